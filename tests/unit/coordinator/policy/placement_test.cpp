#include "coordinator/policy/placement.h"

#include <gtest/gtest.h>

#include "common/base/bytes.h"

namespace overwinter::policy {
namespace {

struct Fixture {
  DeviceInfo device{"cpu", "model", 4 * kGiB, 4, 10, 5};
  std::vector<std::string> projects;
  Demand demand;
  Fixture() {
    demand.memory_bytes = kGiB;
    demand.threads = 1;
  }
  [[nodiscard]] Candidate candidate() const {
    Candidate c;
    c.worker = WorkerId(1);
    c.worker_name = "box";
    c.projects = &projects;
    c.device = &device;
    return c;
  }
  [[nodiscard]] Verdict verdict(const Candidate& c) const { return can_hold({&demand, "p"}, c); }
};

TEST(Placement, ASeatsShareIsTheLargerOfItsParts) {
  Fixture f;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 250'000U);
  f.demand.memory_bytes = 3 * kGiB;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 750'000U);
  f.demand.threads = 0;
  EXPECT_EQ(seat_size(f.demand, f.device).threads, 4U);
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 1'000'000U);
}

TEST(Placement, EachHardConstraintSaysItsNumbers) {
  Fixture f;
  EXPECT_TRUE(f.verdict(f.candidate()).fits());
  Candidate c = f.candidate();
  c.not_ready = "is lost";
  EXPECT_EQ(f.verdict(c).why, Why::kNotReady);
  c = f.candidate();
  c.spot = true;
  f.demand.spot = SpotUse::kNever;
  EXPECT_EQ(f.verdict(c).why, Why::kSpot);
  f.demand.spot = SpotUse::kOnly;
  EXPECT_EQ(f.verdict(f.candidate()).why, Why::kSpot);
  f.demand.spot = SpotUse::kAllowed;
  f.projects = {"q"};
  EXPECT_EQ(f.verdict(f.candidate()).why, Why::kProject);
  f.projects = {"q", "p"};
  f.demand.device_kind = "H100";
  EXPECT_EQ(f.verdict(f.candidate()).why, Why::kKind);
  f.demand.device_kind = "cpu";
  f.demand.memory_bytes = 5 * kGiB;
  Verdict v = f.verdict(f.candidate());
  EXPECT_EQ(v.why, Why::kMemoryTotal);
  EXPECT_EQ(v.has, 4 * kGiB);
  EXPECT_EQ(v.needs, 5 * kGiB);
  f.demand.memory_bytes = 2 * kGiB;
  c = f.candidate();
  c.memory_used = 3 * kGiB;
  v = f.verdict(c);
  EXPECT_EQ(v.why, Why::kMemoryFree);
  EXPECT_EQ(v.has, kGiB);
  c = f.candidate();
  c.threads_used = 4;
  EXPECT_EQ(f.verdict(c).why, Why::kThreadsFree);
  c = f.candidate();
  c.share_used_ppm = 600'000;  // 60 % of another's memory, 50 % of ours
  EXPECT_EQ(f.verdict(c).why, Why::kShareFree);
}

TEST(Placement, CheaperThenFasterThenTheSmallerId) {
  Fixture f;
  Candidate a = f.candidate();
  Candidate b = f.candidate();
  b.worker = WorkerId(2);
  EXPECT_LT(score(a), score(b));
  DeviceInfo fast = f.device;
  fast.gflops_fp32 = 20;
  b.device = &fast;
  EXPECT_LT(score(b), score(a));
  a.price_per_hour = Money{1};
  b.price_per_hour = Money{2};
  EXPECT_LT(score(a), score(b));
}

TEST(Placement, WhoHoldsNothingComesFirstThenPriorityThenSubmission) {
  Demand normal;
  Demand high;
  high.priority = Priority::kHigh;
  EXPECT_LT(rank(high, JobId(9), false), rank(normal, JobId(1), false));
  EXPECT_LT(rank(normal, JobId(1), false), rank(normal, JobId(2), false));
  EXPECT_LT(rank(normal, JobId(2), false), rank(high, JobId(1), true));
}

TEST(Placement, AnExplanationNamesTheNearestDeviceAndWhatWouldHelp) {
  Fixture f;
  f.demand.memory_bytes = 5 * kGiB;
  const DeviceInfo small{"cpu", "model", kGiB, 4, 10, 5};
  Candidate other = f.candidate();
  other.worker_name = "small";
  other.device = &small;
  const Explanation e = explain({&f.demand, "p"}, {other, f.candidate()});
  EXPECT_FALSE(e.could_start);
  ASSERT_EQ(e.lines.size(), 2U);
  EXPECT_NE(e.summary.find("box"), std::string::npos) << e.summary;
  EXPECT_NE(e.would_help.find("1.0 GiB more than box"), std::string::npos) << e.would_help;
  EXPECT_EQ(explain({&f.demand, "p"}, {}).summary, "no worker is known");
}

}  // namespace
}  // namespace overwinter::policy
