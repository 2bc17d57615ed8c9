#include "coordinator/rpc/refusals.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "coordinator/runtime/audit.h"

namespace overwinter::rpc {
namespace {

class RefusalsTest : public testing::Test {
 protected:
  RefusalsTest() {
    std::string pattern = "/dev/shm/ow-refusals-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    log_ = std::move(telemetry::AuditLog::open(folder_ / "audit").value());
  }
  ~RefusalsTest() override {
    log_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::vector<telemetry::AuditItem> lines() {
    return log_->read_refusals(UINT64_MAX, 100, [](const auto&) { return true; });
  }
  std::filesystem::path folder_;
  std::unique_ptr<telemetry::AuditLog> log_;
  Time now_{Duration(1'764'000'000'000)};
};

TEST_F(RefusalsTest, NameTheMethodTheActorAndTheAddress) {
  const Principal ann{PrincipalKind::kPerson, 7, Role::kViewer, "demo", "ann"};
  tell_refusal(
      *log_,
      {telemetry::Door::kPeople, "/overwinter.v1.JobService/CancelJob", "ipv4:192.0.2.1:4711"},
      &ann, now_, error(Code::kPermissionDenied, "may not"));
  const auto all = lines();
  ASSERT_EQ(all.size(), 1U);
  const telemetry::AuditEvent& event = all[0].event;
  EXPECT_EQ(event.action, "JobService/CancelJob");
  EXPECT_EQ(event.actor, "tokens/7");
  EXPECT_EQ(event.actor_name, "ann");
  EXPECT_EQ(event.role, "viewer");
  EXPECT_EQ(event.address, "192.0.2.1");
  EXPECT_EQ(event.reason, "may not");
  EXPECT_EQ(event.code, Code::kPermissionDenied);
}

// A path may be anybody's text: it is not repeated when it is none of ours.
TEST_F(RefusalsTest, RepeatNoPathThatIsNotOurs) {
  tell_refusal(*log_, {telemetry::Door::kPeople, "/evil\033[31m/Text"}, nullptr, now_,
               error(Code::kUnauthenticated, "no token was sent"));
  // A method of the other port is none of this one.
  tell_refusal(*log_, {telemetry::Door::kWorkers, "/overwinter.v1.JobService/GetJob"}, nullptr,
               now_, error(Code::kUnauthenticated, "no"));
  for (const auto& item : lines()) {
    EXPECT_EQ(item.event.action, "a method that is not there");
    EXPECT_EQ(item.event.actor, "");
  }
  EXPECT_EQ(log_->refusals(telemetry::Door::kPeople, Code::kUnauthenticated), 1U);
  EXPECT_EQ(log_->refusals(telemetry::Door::kWorkers, Code::kUnauthenticated), 1U);
}

TEST_F(RefusalsTest, AreThoseOfFourCodes) {
  for (int code = 0; code <= static_cast<int>(Code::kUnauthenticated); ++code) {
    tell_refusal(*log_, {telemetry::Door::kPeople, "/overwinter.v1.JobService/GetJob"}, nullptr,
                 now_, error(static_cast<Code>(code), "x"));
  }
  EXPECT_EQ(lines().size(), 4U);
}

TEST(Peer, HasAnAddressWithoutItsPort) {
  EXPECT_EQ(address_of_peer("ipv4:192.0.2.1:55"), "192.0.2.1");
  EXPECT_EQ(address_of_peer("ipv6:%5B2001:db8::1%5D:55"), "2001:db8::1");
  EXPECT_EQ(address_of_peer("ipv6:[::1]:55"), "::1");
  EXPECT_EQ(address_of_peer("unix:/run/x"), "");
  EXPECT_EQ(address_of_peer(""), "");
}

}  // namespace
}  // namespace overwinter::rpc
