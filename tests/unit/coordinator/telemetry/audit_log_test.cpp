// Segments and the log over them, in a folder of their own.
#include "coordinator/telemetry/audit_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;
constexpr Time kStart{Duration(1'764'000'000'000)};

class Folder {
 public:
  Folder() {
    std::string pattern = "/dev/shm/ow-audit-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

AuditEvent event(int i) {
  AuditEvent out;
  out.time = kStart + Duration(i);
  out.door = Door::kDashboard;
  out.code = Code::kPermissionDenied;
  out.project = "demo";
  out.actor = "tokens/7";
  out.actor_name = "ann";
  out.role = "viewer";
  out.action = "JobService/CancelJob";
  out.object = "projects/demo/jobs/" + std::to_string(i);
  out.before = "before";
  out.after = "after";
  out.reason = "a reason";
  out.address = "192.0.2.1";
  out.repeated = static_cast<std::uint32_t>(i);
  return out;
}
const auto kAll = [](const AuditItem&) { return true; };

std::unique_ptr<AuditSegments> open(const Folder& folder, std::size_t bytes = 1 << 20) {
  auto out = AuditSegments::open(folder.path(), "refusals", {bytes, false});
  EXPECT_TRUE(out) << out.error().message;
  return std::move(*out);
}

TEST(AuditSegments, GiveBackWhatWasWrittenNewestFirst) {
  const Folder folder;
  {
    auto segments = open(folder);
    for (int i = 1; i <= 5; ++i) {
      const AuditItem item{static_cast<std::uint64_t>(i) * 10, event(i)};
      ASSERT_TRUE(segments->append({&item, 1}).ok());
    }
  }
  auto segments = open(folder);
  EXPECT_EQ(segments->last_key(), 50U);
  const auto items = segments->read(UINT64_MAX, 100, kAll);
  ASSERT_EQ(items.size(), 5U);
  for (int i = 0; i < 5; ++i) {
    const auto at = static_cast<std::size_t>(i);
    EXPECT_EQ(items[at].key, static_cast<std::uint64_t>(5 - i) * 10);
    EXPECT_EQ(items[at].event, event(5 - i));
  }
  EXPECT_EQ(segments->read(30, 100, kAll).size(), 2U);
  EXPECT_EQ(segments->read(UINT64_MAX, 2, kAll).size(), 2U);
  const auto third = segments->read(
      UINT64_MAX, 100, [](const AuditItem& item) { return item.event.object.ends_with("/3"); });
  ASSERT_EQ(third.size(), 1U);
  EXPECT_EQ(third[0].key, 30U);
}

TEST(AuditSegments, NeverTakeMoreThanTwoFiles) {
  const Folder folder;
  constexpr std::size_t kBytes = 8192;
  auto segments = open(folder, kBytes);
  for (int i = 1; i <= 1000; ++i) {
    const AuditItem item{static_cast<std::uint64_t>(i), event(i)};
    ASSERT_TRUE(segments->append({&item, 1}).ok());
    EXPECT_LE(segments->bytes(), 2 * kBytes);
  }
  std::uintmax_t on_disk = 0;
  std::size_t files = 0;
  for (const auto& file : fs::directory_iterator(folder.path())) {
    on_disk += file.file_size();
    ++files;
    EXPECT_EQ(file.status().permissions() & fs::perms(0777), fs::perms(0600));
  }
  EXPECT_EQ(files, 2U);
  EXPECT_LE(on_disk, 2 * kBytes);
  const auto items = segments->read(UINT64_MAX, 10'000, kAll);
  EXPECT_EQ(items.front().key, 1000U);
  // Without a gap from the newest one backwards.
  for (std::size_t i = 1; i < items.size(); ++i) EXPECT_EQ(items[i].key + 1, items[i - 1].key);
  segments.reset();
  EXPECT_EQ(open(folder, kBytes)->read(UINT64_MAX, 10'000, kAll).size(), items.size());
}

// Torn anywhere in the last record, or changed anywhere in it: the ones before are still there, and
// new ones follow them.
TEST(AuditSegments, GoOnBehindWhatIsWhole) {
  std::size_t whole = 0;
  std::size_t before_last = 0;
  std::string bytes;
  {
    const Folder folder;
    auto segments = open(folder);
    for (int i = 1; i <= 3; ++i) {
      const AuditItem item{static_cast<std::uint64_t>(i), event(i)};
      before_last = segments->bytes();
      ASSERT_TRUE(segments->append({&item, 1}).ok());
    }
    whole = segments->bytes();
    std::ifstream in(folder.path() / "refusals-1.log", std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  ASSERT_EQ(bytes.size(), whole);
  for (std::size_t at = before_last; at < whole; ++at) {
    for (const bool torn : {true, false}) {
      const Folder folder;
      std::string damaged = torn ? bytes.substr(0, at) : bytes;
      if (!torn) damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
      std::ofstream(folder.path() / "refusals-1.log", std::ios::binary) << damaged;
      auto segments = open(folder);
      EXPECT_EQ(segments->read(UINT64_MAX, 10, kAll).size(), 2U) << at;
      const AuditItem item{9, event(9)};
      ASSERT_TRUE(segments->append({&item, 1}).ok());
      const auto items = segments->read(UINT64_MAX, 10, kAll);
      ASSERT_EQ(items.size(), 3U) << at;
      EXPECT_EQ(items[0].event, event(9));
    }
  }
}

TEST(AuditSegments, AreNotMisledByOtherFiles) {
  const Folder folder;
  std::ofstream(folder.path() / "refusals-7.log") << "no segment";
  std::ofstream(folder.path() / "refusals-x.log") << "a name that is none";
  auto segments = open(folder);
  const AuditItem item{1, event(1)};
  ASSERT_TRUE(segments->append({&item, 1}).ok());
  EXPECT_EQ(segments->read(UINT64_MAX, 10, kAll).size(), 1U);
  EXPECT_TRUE(fs::exists(folder.path() / "refusals-8.log"));
}

TEST(AuditSegments, CutLongTextsAtACharacter) {
  const Folder folder;
  auto segments = open(folder);
  AuditItem item{1, event(1)};
  item.event.reason.clear();
  for (int i = 0; i < 1000; ++i) item.event.reason += "é";
  item.event.reason.insert(0, "x");
  ASSERT_TRUE(segments->append({&item, 1}).ok());
  const auto items = segments->read(UINT64_MAX, 10, kAll);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_EQ(items[0].event.reason, item.event.reason.substr(0, 999));
}

std::unique_ptr<AuditLog> open_log(const Folder& folder, const AuditLogConfig& config = {}) {
  auto log = AuditLog::open(folder.path() / "audit", config);
  EXPECT_TRUE(log) << log.error().message;
  return std::move(*log);
}

TEST(AuditLog, AFloodIsTenLinesAndALastOneWithItsCount) {
  const Folder folder;
  auto log = open_log(folder);
  AuditEvent flood = event(0);
  flood.repeated = 0;
  for (int i = 0; i < 2000; ++i) {
    flood.time = kStart + Duration(i);
    log->refused(flood);
  }
  EXPECT_EQ(log->refusals(Door::kDashboard, Code::kPermissionDenied), 2000U);
  EXPECT_EQ(log->refusals(Door::kPeople, Code::kPermissionDenied), 0U);
  EXPECT_EQ(log->read_refusals(UINT64_MAX, 100, kAll).size(), 10U);
  log.reset();  // what is counted is told of at the end
  log = open_log(folder);
  const auto items = log->read_refusals(UINT64_MAX, 100, kAll);
  ASSERT_EQ(items.size(), 11U);
  std::uint64_t told = 0;
  for (const AuditItem& item : items) told += 1 + item.event.repeated;
  EXPECT_EQ(told, 2000U);
  EXPECT_EQ(log->lost(), 0U);
}

TEST(AuditLog, RefusalsTakeNoDecisionAway) {
  const Folder folder;
  AuditLogConfig config;
  config.segment_bytes = 8192;
  config.limits.lines = 1'000'000;
  auto log = open_log(folder, config);
  AuditEvent decision = event(0);
  decision.code = Code::kOk;
  decision.action = "secret.set";
  log->decided(decision);
  for (int i = 1; i <= 1000; ++i) {
    log->refused(event(i));
    if (i % 50 == 0) (void)log->read_refusals(UINT64_MAX, 1, kAll);  // waits for the disk
  }
  const auto decisions = log->read_decisions(UINT64_MAX, 100, kAll);
  ASSERT_EQ(decisions.size(), 1U);
  EXPECT_EQ(decisions[0].event.action, "secret.set");
  // Keys are one order over both.
  std::set<std::uint64_t> keys{decisions[0].key};
  for (const AuditItem& item : log->read_refusals(UINT64_MAX, 10'000, kAll)) {
    EXPECT_TRUE(keys.insert(item.key).second);
    EXPECT_GT(item.key, decisions[0].key);
  }
}

TEST(AuditLog, RefusesAFolderOfAnotherFormat) {
  const Folder folder;
  { open_log(folder); }
  std::ofstream(folder.path() / "audit" / "FORMAT") << "overwinter-audit 2\n";
  const auto log = AuditLog::open(folder.path() / "audit");
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace overwinter::telemetry
