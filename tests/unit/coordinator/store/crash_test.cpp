// The power goes at every write, sync and truncation of a loaded run, with what was not synced
// lost, kept or torn: each acknowledged turn is there afterwards, nothing that was never appended
// is, and the chain holds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <random>

#include "coordinator/store/wal_check.h"
#include "coordinator/wire/fact_codec.h"
#include "tests/unit/coordinator/store/fault_vfs.h"
#include "tests/unit/coordinator/store/store_support.h"

namespace overwinter::store {
namespace {

using test::FaultVfs;
using test::must_open;
using test::TemporaryFolder;
using Rest = test::FaultVfs::Rest;

const std::vector<test::Turn>& the_life() {
  static const std::vector<test::Turn> turns = test::a_life(4);
  return turns;
}

std::vector<std::size_t> groups_of(std::size_t turns) {
  std::vector<std::size_t> out;
  for (std::size_t at = 0, i = 0; at < turns; ++i) {
    out.push_back(std::min<std::size_t>(1 + i % 3, turns - at));
    at += out.back();
  }
  return out;
}

// Appends the life in groups of 1 to 3 turns; what was acknowledged, and what was being appended.
struct Progress {
  std::size_t acknowledged = 0;
  std::size_t tried = 0;
};

Progress run_log(const std::string& path, const FaultVfs& vfs, std::string_view synchronous) {
  Progress run;
  auto log = TurnLog::open(path, {.vfs = vfs.name(), .synchronous = synchronous});
  if (!log) return run;
  std::size_t group_number = 0;
  for (const std::size_t group : groups_of(the_life().size())) {
    std::vector<TurnRef> refs;
    for (std::size_t i = 0; i < group; ++i) refs.push_back(the_life()[run.acknowledged + i].ref());
    run.tried = run.acknowledged + group;
    if (!log->append(refs).ok()) return run;
    run.acknowledged += group;
    // The WAL is copied back in the middle of it, in both ways.
    if (++group_number % 7 == 0) {
      if (!log->truncate_wal().ok()) return run;
    } else if (group_number % 5 == 0 && !log->database().checkpoint("PASSIVE")) {
      return run;
    }
  }
  return run;
}

// Empty: all is well.
std::string check_log(const std::filesystem::path& folder, const Progress& run, Rest = {}) {
  const std::string path = (folder / "log.db").string();
  if (Status status = check_wal(path + "-wal"); !status.ok()) return status.message;
  auto log = TurnLog::open(path, {});
  if (!log) return log.error().message;
  std::string wrong;
  const auto head = read_turns(log->database(), LogHead{}, [&](const TurnRow& row) {
    const test::Turn& turn = the_life()[row.sequence - 1];
    if (row.bytes != wire::encode_turn(row.sequence, turn.time, turn.facts)) {
      wrong = "turn " + std::to_string(row.sequence) + " is another one";
    }
    return Status::success();
  });
  if (!head) return head.error().message;
  if (!wrong.empty()) return wrong;
  if (head->sequence < run.acknowledged) {
    return std::to_string(run.acknowledged) + " turns were acknowledged, " +
           std::to_string(head->sequence) + " are there";
  }
  if (head->sequence > run.tried) return "turns that were never appended";
  return {};
}

// It is written behind SQLite's back. Kept by every power cut: that is when it could say too much.
void keep_witness(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code none;
  std::filesystem::copy_file(from / "committed", to / "committed", none);
}

struct Killed {
  std::uint64_t points = 0;
  std::uint64_t wrong = 0;
  std::string first;
};

// `run` at every crash point, `check` on what is left.
template <class Runner, class CheckAt>
Killed kill_at_every_point(Runner run_at, CheckAt check_at, std::uint64_t stride = 1) {
  Killed out;
  for (std::uint64_t point = 1;; point += stride) {
    const TemporaryFolder before;
    FaultVfs vfs("fault");
    vfs.crash_at(point);
    const auto run = run_at(before.path(), vfs);
    if (!vfs.crashed()) return out;
    ++out.points;
    for (const Rest rest : {Rest::kLost, Rest::kKept, Rest::kRandom}) {
      const TemporaryFolder after;
      vfs.restore_into(after.path(), rest, point);
      keep_witness(before.path(), after.path());
      const std::string wrong = check_at(after.path(), run, rest);
      if (wrong.empty()) continue;
      ++out.wrong;
      if (out.first.empty()) out.first = "at operation " + std::to_string(point) + ": " + wrong;
    }
  }
}

TEST(StoreCrash, EachAcknowledgedTurnSurvivesAnyPowerCut) {
  const Killed killed = kill_at_every_point(
      [](const std::filesystem::path& folder, const FaultVfs& vfs) {
        return run_log((folder / "log.db").string(), vfs, "FULL");
      },
      check_log);
  EXPECT_EQ(killed.wrong, 0U) << killed.first;
  EXPECT_GT(killed.points, 100U);
  std::printf("log: killed at %llu of %llu points, 3 power cuts each, %zu turns\n",
              static_cast<unsigned long long>(killed.points),
              static_cast<unsigned long long>(killed.points), the_life().size());
}

TEST(StoreCrash, SynchronousNormalIsFound) {
  const Killed killed = kill_at_every_point(
      [](const std::filesystem::path& folder, const FaultVfs& vfs) {
        return run_log((folder / "log.db").string(), vfs, "NORMAL");
      },
      check_log, 3);
  EXPECT_GT(killed.wrong, 0U) << "a planted bug was not found";
  std::printf("planted synchronous=NORMAL: wrong after %llu power cuts, first %s\n",
              static_cast<unsigned long long>(killed.wrong), killed.first.c_str());
}

// The whole store: log and projection, restart included.
StoreConfig store_config(const std::filesystem::path& folder, const std::string& vfs) {
  StoreConfig config = test::small_config(folder);
  config.vfs = vfs;
  config.project_every = Duration(3'600'000);  // projected below, at known places
  return config;
}

Progress run_store(const std::filesystem::path& folder, const FaultVfs& vfs) {
  Progress run;
  auto store = open_store(store_config(folder, vfs.name()));
  if (!store || !(*store)->restore()) return run;
  std::size_t group_number = 0;
  for (const std::size_t group : groups_of(the_life().size())) {
    std::vector<TurnRef> refs;
    for (std::size_t i = 0; i < group; ++i) refs.push_back(the_life()[run.acknowledged + i].ref());
    run.tried = run.acknowledged + group;
    if (!(*store)->append_and_commit(refs).ok()) return run;
    run.acknowledged += group;
    if (++group_number % 4 == 0 && !(*store)->catch_up().ok()) return run;
  }
  return run;
}

std::string check_store(const std::filesystem::path& folder, const Progress& run, Rest rest) {
  std::size_t turns = 0;
  {
    const auto store = open_store(store_config(folder, {}));
    if (!store) return store.error().message;
    const auto state = (*store)->restore();
    if (!state) return state.error().message;
    turns = (*store)->statistics().turns;
    if (turns < run.acknowledged) return "an acknowledged turn is gone";
    if (turns > run.tried) return "turns that were never appended";
    if (!(*state == test::state_of(the_life(), turns))) return "the state is another one";
  }
  // Once for each point: it takes as long as all the rest together.
  if (rest != Rest::kRandom) return {};
  const auto report = verify_store(folder);
  if (!report) return report.error().message;
  return report->differences.empty() ? std::string() : report->differences.front();
}

TEST(StoreCrash, StateAndProjectionAreThoseOfTheLogAfterAnyPowerCut) {
  // OVERWINTER_EVERY_POINT: the long form.
  const std::uint64_t stride = std::getenv("OVERWINTER_EVERY_POINT") == nullptr ? 5 : 1;
  const Killed killed = kill_at_every_point(run_store, check_store, stride);
  EXPECT_EQ(killed.wrong, 0U) << killed.first;
  EXPECT_GT(killed.points, 20U);
  std::printf("store: killed at %llu points (one of %llu), 3 power cuts each\n",
              static_cast<unsigned long long>(killed.points),
              static_cast<unsigned long long>(stride));
}

TEST(StoreCrash, AFullDiskIsToldApartAndNothingIsHalfWritten) {
  const TemporaryFolder folder;
  FaultVfs vfs("fault");
  auto log = TurnLog::open((folder.path() / "log.db").string(), {.vfs = vfs.name()});
  ASSERT_TRUE(log);
  const TurnRef one = the_life()[0].ref();
  const TurnRef two = the_life()[1].ref();
  ASSERT_TRUE(log->append(std::span(&one, 1)).ok());
  vfs.set_full(true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(log->append(std::span(&two, 1)).code, Code::kResourceExhausted);
    EXPECT_EQ(log->head().sequence, 1U);
  }
  vfs.set_full(false);
  EXPECT_TRUE(log->append(std::span(&two, 1)).ok());
  const auto head = read_turns(log->database(), LogHead{}, [](const TurnRow&) { return Status(); });
  ASSERT_TRUE(head);
  EXPECT_EQ(head->sequence, 2U);
}

TEST(StoreCrash, TheReserveIsGivenUpOnce) {
  const TemporaryFolder folder;
  FaultVfs vfs("fault");
  const auto store = must_open(store_config(folder.path() / "store", vfs.name()));
  ASSERT_TRUE(store);
  const auto reserve = folder.path() / "store" / "reserve";
  EXPECT_EQ(std::filesystem::file_size(reserve), 64 * kKiB);
  vfs.set_full(true);
  const TurnRef one = the_life()[0].ref();
  EXPECT_EQ(store->append_and_commit(std::span(&one, 1)).code, Code::kResourceExhausted);
  EXPECT_EQ(std::filesystem::file_size(reserve), 0U);
  EXPECT_TRUE(store->statistics().reserve_in_use);
  EXPECT_EQ(store->disk_room().code, Code::kResourceExhausted);
  vfs.set_full(false);
  EXPECT_TRUE(store->append_and_commit(std::span(&one, 1)).ok());
}

// The one commit that a WAL cannot tell from a torn one, and that no watermark covers yet: its
// witness does.
TEST(StoreCrash, AFlippedBitInTheLastCommitIsRefusedAtTheStartAndByVerify) {
  const TemporaryFolder sound;
  FaultVfs vfs("fault");
  const std::filesystem::path wal = sound.path() / "log.db-wal";
  const auto store = must_open(store_config(sound.path(), vfs.name()));
  ASSERT_TRUE(store && store->restore());
  const std::size_t last = 6;
  std::uintmax_t begins = 0;
  for (std::size_t turn = 0; turn <= last; ++turn) {
    if (turn == last) begins = std::filesystem::file_size(wal);
    const TurnRef ref = the_life()[turn].ref();
    ASSERT_TRUE(store->append_and_commit(std::span(&ref, 1)).ok());
  }
  const std::uintmax_t ends = std::filesystem::file_size(wal);
  ASSERT_GT(ends, begins);
  std::mt19937_64 random(8);
  for (int round = 0; round < 40; ++round) {
    const TemporaryFolder folder;
    vfs.restore_into(folder.path(), Rest::kKept, 0);
    keep_witness(sound.path(), folder.path());
    const auto at = static_cast<std::streamoff>(begins + random() % (ends - begins));
    {
      std::fstream stream(folder.path() / "log.db-wal",
                          std::ios::in | std::ios::out | std::ios::binary);
      stream.seekg(at);
      const int byte = stream.get();
      stream.seekp(at);
      stream.put(static_cast<char>(byte ^ (1 << (random() % 8))));
    }
    const auto verified = verify_store(folder.path());
    ASSERT_FALSE(verified) << "at byte " << at;
    EXPECT_EQ(verified.error().code, Code::kDataLoss);
    // And again: the first look has emptied the WAL.
    const auto opened = open_store(store_config(folder.path(), {}));
    ASSERT_FALSE(opened) << "at byte " << at;
    EXPECT_NE(opened.error().message.find("turn " + std::to_string(last + 1)), std::string::npos)
        << opened.error().message;
  }
  // Whoever takes the loss goes on without it.
  const TemporaryFolder folder;
  vfs.restore_into(folder.path(), Rest::kKept, 0);
  std::filesystem::resize_file(folder.path() / "log.db-wal", begins);
  EXPECT_TRUE(open_store(store_config(folder.path(), {})));
}

// A flipped bit is refused, or it lies where it changes nothing: never is anything else read.
TEST(StoreCrash, AFlippedBitIsNoticedOrHarmless) {
  const TemporaryFolder sound;
  FaultVfs vfs("fault");
  const Progress run = [&] {
    Progress out;
    auto log = TurnLog::open((sound.path() / "log.db").string(), {.vfs = vfs.name()});
    for (const test::Turn& turn : the_life()) {
      const TurnRef ref = turn.ref();
      EXPECT_TRUE(log->append(std::span(&ref, 1)).ok());
      if (++out.acknowledged == the_life().size() / 2) {
        EXPECT_TRUE(log->truncate_wal().ok());
      }
    }
    out.tried = out.acknowledged;
    return out;
  }();
  std::mt19937_64 random(20261124);
  int refused = 0;
  int harmless = 0;
  int last_commit = 0;
  for (int round = 0; round < 600; ++round) {
    const TemporaryFolder folder;
    vfs.restore_into(folder.path(), Rest::kKept, 0);
    const auto file = folder.path() / (round % 2 == 0 ? "log.db" : "log.db-wal");
    const std::uint64_t size = std::filesystem::file_size(file);
    const auto at = static_cast<std::streamoff>(random() % size);
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(at);
    const int byte = stream.get();
    stream.seekp(at);
    stream.put(static_cast<char>(byte ^ (1 << (random() % 8))));
    stream.close();
    const std::string wrong = check_log(folder.path(), run);
    if (wrong.empty()) {
      ++harmless;
    } else if (wrong.find("are there") != std::string::npos) {
      // The one that a WAL cannot tell from a torn commit: the last.
      EXPECT_EQ(wrong, std::to_string(run.acknowledged) + " turns were acknowledged, " +
                           std::to_string(run.acknowledged - 1) + " are there");
      ++last_commit;
    } else {
      EXPECT_EQ(wrong.find("another one"), std::string::npos) << wrong;
      ++refused;
    }
  }
  EXPECT_GT(refused, 150);
  std::printf("600 flipped bits: %d refused, %d harmless, %d in the very last commit\n", refused,
              harmless, last_commit);
}

}  // namespace
}  // namespace overwinter::store
