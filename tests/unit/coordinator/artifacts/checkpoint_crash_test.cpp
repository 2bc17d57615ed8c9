// Every file operation of a job's checkpoints × {power cut, killed, EIO, ENOSPC, short write,
// failed fsync}, with what was not synced lost, kept or in part: a checkpoint is whole or
// invisible, the newest that was acknowledged is never lost, and the job goes on from there. And
// each single sync, left out, is found.
#include <gtest/gtest.h>

#include <functional>

#include "coordinator/artifacts/artifact_folder.h"
#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/checkpoint_support.h"

namespace overwinter::artifacts {
namespace {

using test::FaultFiles;
using test::FileOp;
using Rest = FaultFiles::Rest;

constexpr JobId kJob{7};
constexpr std::uint32_t kKeep = 2;
constexpr Time kNow = time_from_unix_ms(1'764'000'000'000);
// Two attempts; the second went back to step 2.
const std::vector<CheckpointKey> kPlan{{1, 1}, {1, 2}, {1, 3}, {2, 3}, {2, 4}};

CheckpointStoreConfig config() {
  CheckpointStoreConfig settings;
  settings.free_bytes_min = 0;
  return settings;
}

// Sends all checkpoints that are not stored yet; each that was acknowledged goes into `known`. With
// `patient`, one that failed is sent again, as a worker does, unless the process had to end.
Status live(FaultFiles& files, std::vector<CheckpointKey>& known, bool patient) {
  if (Status status = open_artifact_folder(files, "/data/artifacts"); !status.ok()) return status;
  auto store = CheckpointStore::open(files, "/data/artifacts", config());
  if (!store) return store.error();
  for (const CheckpointKey& key : kPlan) {
    if (!known.empty() && key <= known.back()) continue;
    const TestCheckpoint checkpoint = a_checkpoint(kJob, key);
    Status status = send(**store, checkpoint, kKeep, kNow);
    if (!status.ok() && patient && !is_fatal(status) && !files.crashed())
      status = send(**store, checkpoint, kKeep, kNow);
    // It had been stored, and the acknowledgement was lost.
    if (status.code == Code::kFailedPrecondition && patient) status = Status::success();
    if (!status.ok()) return status;
    known.push_back(key);
  }
  return Status::success();
}

// What a new process finds: empty, or what is wrong.
std::string damage(FaultFiles& files, const std::vector<CheckpointKey>& known) {
  if (!files.contents().contains("/data/artifacts/FORMAT") && known.empty()) return {};
  auto opened = CheckpointStore::open(files, "/data/artifacts", config());
  if (!opened) return "the store does not open: " + opened.error().message;
  CheckpointStore& store = **opened;
  const std::vector<StoredCheckpoint> found = store.list(kJob);
  for (const StoredCheckpoint& one : found) {
    const CheckpointKey key = one.manifest->key();
    const TestCheckpoint sent = a_checkpoint(kJob, key);
    if (one.manifest->files != sent.manifest.files) return "a manifest is another one";
    for (const auto& [name, content] : sent.contents) {
      if (read_all(store, kJob, key, name).value_or("?") != content)
        return "the file " + name + " of a visible checkpoint is damaged";
    }
    if (!store.verify(kJob, key).ok()) return "a visible checkpoint is damaged";
  }
  if (found.size() < std::min<std::size_t>(kKeep, known.size()))
    return "too few are left: " + std::to_string(found.size());
  if (!known.empty() && found.front().manifest->key() < known.back())
    return "the newest that was acknowledged is gone";
  const auto good = store.last_good(kJob);
  if (!good || (good->manifest != nullptr) != !found.empty() || !good->skipped.empty())
    return "the last good one is not the newest";
  return {};
}

// Nothing half-written stays after a start.
void expect_tidy(FaultFiles& files) {
  for (const auto& [path, content] : files.contents()) {
    EXPECT_FALSE(path.ends_with(".part")) << path;
    if (!path.starts_with("/data/artifacts/checkpoints/")) continue;
    const std::string folder = path.substr(0, path.rfind('/'));
    EXPECT_TRUE(files.contents().contains(folder + "/manifest")) << path;
  }
}

std::uint64_t whole_life(const std::function<void(FaultFiles&)>& plant) {
  FaultFiles files;
  plant(files);
  std::vector<CheckpointKey> known;
  EXPECT_TRUE(live(files, known, false).ok());
  EXPECT_EQ(damage(files, known), "");
  return files.operations();
}

struct Outcome {
  std::uint64_t points = 0;
  std::uint64_t damaged = 0;
  std::uint64_t at_risk = 0;  // acknowledged before the crash, over all points
};

// `go_on`: nothing may be found, and the job is lived to its end. Else: until something is found.
// `from`: nothing before this operation differs from a life without the plant.
Outcome crash_everywhere(const std::function<void(FaultFiles&)>& plant, bool go_on,
                         std::uint64_t from = 0) {
  const std::uint64_t operations = whole_life(plant);
  Outcome outcome;
  for (std::uint64_t at = from; at <= operations && (go_on || outcome.damaged == 0); ++at) {
    for (std::uint64_t seed = 0; seed < (go_on ? 6 : 24); ++seed) {
      FaultFiles files;
      plant(files);
      files.crash_after(at);
      std::vector<CheckpointKey> known;
      const Status ended = live(files, known, false);
      // The last operations are of the retention, which fails nobody's commit.
      if (go_on && known.size() < kPlan.size()) {
        EXPECT_FALSE(ended.ok());
      }
      const Rest rest = seed == 0 ? Rest::kLost : seed == 1 ? Rest::kKept : Rest::kRandom;
      const auto after = files.after_power_cut(rest, seed * 1000 + at);
      ++outcome.points;
      outcome.at_risk += known.size();
      const std::string found = damage(*after, known);
      outcome.damaged += found.empty() ? 0 : 1;
      if (!go_on) continue;
      EXPECT_EQ(found, "") << "operation " << at << " seed " << seed;
      if (!known.empty()) expect_tidy(*after);
      const Status later = live(*after, known, true);
      EXPECT_TRUE(later.ok()) << later.message << " operation " << at << " seed " << seed;
      EXPECT_EQ(damage(*after, known), "");
      expect_tidy(*after);
    }
  }
  return outcome;
}

TEST(CheckpointCrash, WholeOrInvisibleAndTheJobGoesOn) {
  const Outcome outcome = crash_everywhere([](FaultFiles&) {}, true);
  EXPECT_EQ(outcome.damaged, 0U);
  EXPECT_GT(outcome.at_risk, 1000U);
  RecordProperty("points", static_cast<int>(outcome.points));
}

// A process is killed, the next goes on with what it sees, and then the power goes.
TEST(CheckpointCrash, KilledThenPowerCut) {
  const std::uint64_t operations = whole_life([](FaultFiles&) {});
  int points = 0;
  for (std::uint64_t killed = 0; killed < operations; killed += 3) {
    FaultFiles first;
    first.crash_after(killed);
    std::vector<CheckpointKey> known;
    (void)live(first, known, false);
    for (std::uint64_t cut = 0;; cut += 3) {
      const auto second = first.after_kill();
      second->crash_after(cut);
      std::vector<CheckpointKey> later = known;
      const bool whole = live(*second, later, true).ok();
      for (const Rest rest : {Rest::kLost, Rest::kRandom}) {
        ++points;
        ASSERT_EQ(damage(*second->after_power_cut(rest, cut), later), "")
            << "killed at " << killed << ", power cut at " << cut;
      }
      if (whole) break;
    }
  }
  RecordProperty("points", points);
}

// EIO, ENOSPC, a short write, a failed fsync: at each operation of each kind, once.
TEST(CheckpointCrash, EveryOperationFailsOnce) {
  const Status eio = error(Code::kInternal, "Input/output error.");
  const Status enospc = error(Code::kResourceExhausted, "No space left on device.");
  const Status data_loss = error(Code::kDataLoss, "Input/output error.");
  struct Kind {
    FileOp op;
    std::vector<Status> statuses;
  };
  // As the POSIX port tells them: EIO of a write is fatal, and so is whatever a sync says.
  const std::vector<Kind> kinds{
      {FileOp::kOpen, {eio, enospc}},       {FileOp::kWrite, {data_loss, enospc}},
      {FileOp::kAllocate, {eio, enospc}},   {FileOp::kSync, {data_loss}},
      {FileOp::kRename, {eio, enospc}},     {FileOp::kRemove, {eio}},
      {FileOp::kMakeFolder, {eio, enospc}}, {FileOp::kRemoveFolder, {eio}},
      {FileOp::kSyncFolder, {data_loss}}};
  int points = 0;
  int ended = 0;
  for (const Kind& kind : kinds) {
    for (const Status& status : kind.statuses) {
      for (const bool short_writes : {false, true}) {
        if (short_writes && kind.op != FileOp::kWrite) continue;
        for (std::uint64_t skip = 0;; ++skip) {
          FaultFiles files;
          files.short_writes = short_writes;
          files.fail_once(kind.op, status, skip);
          std::vector<CheckpointKey> known;
          Status lived = live(files, known, true);
          if (!files.faults_spent()) break;  // there is no such operation
          ++points;
          const std::string where = status.message + " " + files.log().back() + " " +
                                    std::to_string(static_cast<int>(kind.op)) + " skip " +
                                    std::to_string(skip);
          ended += lived.ok() ? 0 : 1;
          for (const Rest rest : {Rest::kLost, Rest::kKept, Rest::kRandom}) {
            const auto after = files.after_power_cut(rest, skip);
            EXPECT_EQ(damage(*after, known), "") << where;
            std::vector<CheckpointKey> later = known;
            lived = live(*after, later, true);
            EXPECT_TRUE(lived.ok()) << lived.message << where;
            EXPECT_EQ(damage(*after, later), "") << where;
          }
          const auto killed = files.after_kill();
          EXPECT_EQ(damage(*killed, known), "") << where;
          lived = live(*killed, known, true);
          EXPECT_TRUE(lived.ok()) << lived.message << where;
          expect_tidy(*killed);
        }
      }
    }
  }
  EXPECT_GT(points, 200);
  EXPECT_GT(ended, 50);
  RecordProperty("points", points);
}

// The test must be able to find what it looks for: planted bugs.
TEST(CheckpointCrash, AMissingFileSyncIsFound) {
  EXPECT_GT(crash_everywhere([](FaultFiles& files) { files.skip_file_sync = true; }, false).damaged,
            0U);
}

TEST(CheckpointCrash, AMissingFolderSyncIsFound) {
  EXPECT_GT(
      crash_everywhere([](FaultFiles& files) { files.skip_folder_sync = true; }, false).damaged,
      0U);
}

// Each sync, left out alone. Those of the first start are needed only by who follows a killed
// process (KilledThenPowerCut).
TEST(CheckpointCrash, EachSingleSyncIsNeeded) {
  constexpr std::uint64_t kOfTheStart = 5;
  FaultFiles whole;
  std::vector<CheckpointKey> known;
  ASSERT_TRUE(live(whole, known, false).ok());
  EXPECT_GT(whole.syncs(), 5 * kPlan.size());
  const std::vector<std::string> log = whole.log();
  std::string idle;
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < log.size(); ++at) {
    if (!log[at].starts_with("sync")) continue;
    const std::uint64_t skipped = number++;
    if (skipped < kOfTheStart) continue;
    const auto plant = [skipped](FaultFiles& files) { files.skip_one_sync = skipped; };
    if (crash_everywhere(plant, false, at).damaged == 0) idle += log[at] + "\n";
  }
  EXPECT_EQ(number, whole.syncs());
  EXPECT_EQ(idle, "");
}

}  // namespace
}  // namespace overwinter::artifacts
