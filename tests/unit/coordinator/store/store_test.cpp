#include "coordinator/store/store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/coordinator/store/store_support.h"

namespace overwinter::store {
namespace {

using test::a_life;
using test::must_open;
using test::small_config;
using test::state_of;
using test::TemporaryFolder;

void append(Store& store, const std::vector<test::Turn>& turns, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    const TurnRef ref = turns[i].ref();
    ASSERT_TRUE(store.append_and_commit(std::span(&ref, 1)).ok());
  }
}

TEST(Store, ANewStoreIsEmpty) {
  const TemporaryFolder folder;
  const auto store = must_open(small_config(folder.path() / "store"));
  const auto state = store->restore();
  ASSERT_TRUE(state);
  EXPECT_TRUE(*state == core::ClusterState());
  EXPECT_FALSE(store->restore());  // once
}

TEST(Store, TheStateIsThatOfTheFactsWhereverTheProjectionStands) {
  const auto turns = a_life(12);
  ASSERT_GT(turns.size(), 20U);
  for (const bool projected : {false, true}) {
    const TemporaryFolder folder;
    const auto config = small_config(folder.path());
    const std::size_t half = turns.size() / 2;
    {
      const auto store = must_open(config);
      append(*store, turns, 0, half);
      if (projected) {
        ASSERT_TRUE(store->catch_up().ok());
      }
    }
    {
      const auto store = must_open(config);
      const auto state = store->restore();
      ASSERT_TRUE(state);
      EXPECT_TRUE(*state == state_of(turns, half)) << projected;
      append(*store, turns, half, turns.size());
      if (projected) {
        ASSERT_TRUE(store->catch_up().ok());
      }
      EXPECT_EQ(store->statistics().turns, turns.size());
    }
    const auto state = must_open(config)->restore();
    ASSERT_TRUE(state);
    EXPECT_TRUE(*state == state_of(turns, turns.size()));
    EXPECT_EQ(core::digest(*state), core::digest(state_of(turns, turns.size())));
  }
}

TEST(Store, SeveralTurnsAreOneCommit) {
  const auto turns = a_life(3);
  const TemporaryFolder folder;
  const auto store = must_open(small_config(folder.path()));
  std::vector<TurnRef> refs;
  for (const auto& turn : turns) refs.push_back(turn.ref());
  ASSERT_TRUE(store->append_and_commit(refs).ok());
  EXPECT_EQ(store->statistics().commits, 1U);
  EXPECT_EQ(store->statistics().turns, turns.size());
}

TEST(Store, ASecondCoordinatorIsRefused) {
  const TemporaryFolder folder;
  const auto first = must_open(small_config(folder.path()));
  const auto second = open_store(small_config(folder.path()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kFailedPrecondition);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
}

TEST(Store, VerifyFindsNothingInASoundStoreAndWhatWasChanged) {
  const auto turns = a_life(12);
  const TemporaryFolder folder;
  {
    const auto store = must_open(small_config(folder.path()));
    append(*store, turns, 0, turns.size() - 3);
    ASSERT_TRUE(store->catch_up().ok());
    append(*store, turns, turns.size() - 3, turns.size());
  }
  const auto sound = verify_store(folder.path());
  ASSERT_TRUE(sound) << sound.error().message;
  EXPECT_EQ(sound->turns, turns.size());
  EXPECT_GT(sound->rows, 50U);
  EXPECT_TRUE(sound->differences.empty()) << sound->differences.front();
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "projection.db.verify"));

  auto database = Database::open((folder.path() / "projection.db").string(), {});
  ASSERT_TRUE(database);
  ASSERT_TRUE(database->execute("UPDATE usage SET used_ms = used_ms + 1 WHERE rowid = 1").ok());
  const auto changed = verify_store(folder.path());
  ASSERT_TRUE(changed);
  ASSERT_EQ(changed->differences.size(), 1U);
  EXPECT_EQ(changed->differences[0].substr(0, 5), "usage");
}

TEST(Store, ADamagedProjectionIsBuiltAnew) {
  const auto turns = a_life(6);
  const TemporaryFolder folder;
  {
    const auto store = must_open(small_config(folder.path()));
    append(*store, turns, 0, turns.size());
    ASSERT_TRUE(store->catch_up().ok());
  }
  {
    auto database = Database::open((folder.path() / "projection.db").string(), {});
    ASSERT_TRUE(database->execute("UPDATE jobs SET record = x'00'").ok());
  }
  const auto state = must_open(small_config(folder.path()))->restore();
  ASSERT_TRUE(state);
  EXPECT_TRUE(*state == state_of(turns, turns.size()));
  EXPECT_TRUE(verify_store(folder.path())->differences.empty());
}

TEST(Store, NewerFormatsAndStrangeFilesAreRefused) {
  const TemporaryFolder folder;
  must_open(small_config(folder.path())).reset();
  {
    auto database = Database::open((folder.path() / "log.db").string(), {});
    ASSERT_TRUE(database->execute("PRAGMA user_version = 9").ok());
  }
  const auto newer = open_store(small_config(folder.path()));
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code, Code::kFailedPrecondition);
  EXPECT_NE(newer.error().message.find("format 9"), std::string::npos);
  EXPECT_NE(newer.error().message.find("format 1"), std::string::npos);
  {
    auto database = Database::open((folder.path() / "log.db").string(), {});
    ASSERT_TRUE(database->execute("PRAGMA application_id = 77").ok());
  }
  EXPECT_EQ(open_store(small_config(folder.path())).error().code, Code::kFailedPrecondition);
}

TEST(Store, ALogThatLostItsEndIsRefused) {
  const auto turns = a_life(6);
  const TemporaryFolder folder;
  {
    const auto store = must_open(small_config(folder.path()));
    append(*store, turns, 0, turns.size());
    ASSERT_TRUE(store->catch_up().ok());
  }
  {
    auto database = Database::open((folder.path() / "log.db").string(), {});
    ASSERT_TRUE(
        database->execute("DELETE FROM turns WHERE sequence = " + std::to_string(turns.size()))
            .ok());
  }
  const auto store = open_store(small_config(folder.path()));
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kDataLoss);
  EXPECT_NE(store.error().message.find("turn " + std::to_string(turns.size())), std::string::npos);
}

TEST(Store, ABreakInTheChainNamesItsTurn) {
  const auto turns = a_life(6);
  for (const std::string change :
       {"UPDATE turns SET time_ms = time_ms + 1 WHERE sequence = 7",
        "UPDATE turns SET turn = CAST(turn || x'00' AS BLOB) WHERE sequence = 7",
        "UPDATE turns SET hash = zeroblob(32) WHERE sequence = 7",
        "UPDATE turns SET previous = zeroblob(32) WHERE sequence = 7",
        "DELETE FROM turns WHERE sequence = 7"}) {
    const TemporaryFolder folder;
    {
      const auto store = must_open(small_config(folder.path()));
      append(*store, turns, 0, turns.size());
    }
    {
      auto database = Database::open((folder.path() / "log.db").string(), {});
      ASSERT_TRUE(database->execute(change).ok());
    }
    const auto store = open_store(small_config(folder.path()));
    ASSERT_FALSE(store) << change;
    EXPECT_EQ(store.error().code, Code::kDataLoss);
    EXPECT_NE(store.error().message.find("turn 7"), std::string::npos) << store.error().message;
  }
}

TEST(Store, WithoutRoomNewWorkIsRefusedWithASentence) {
  const TemporaryFolder folder;
  EXPECT_TRUE(must_open(small_config(folder.path() / "one"))->disk_room().ok());
  auto wanting = small_config(folder.path() / "two");
  wanting.room_min_bytes = ~std::uint64_t{0} / 2;
  const Status room = must_open(wanting)->disk_room();
  EXPECT_EQ(room.code, Code::kResourceExhausted);
  EXPECT_NE(room.message.find("the coordinator's disk is full"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::store
