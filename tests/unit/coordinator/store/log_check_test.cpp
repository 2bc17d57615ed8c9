#include "coordinator/store/log_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "coordinator/store/sqlite.h"
#include "coordinator/store/turn_log.h"
#include "tests/unit/coordinator/store/store_support.h"

namespace overwinter::store {
namespace {

using testing::HasSubstr;

// A store that is open and written to while its log is looked at.
class LogCheckTest : public testing::Test {
 protected:
  LogCheckTest() : store_(test::must_open(test::small_config(folder_.path()))) {
    while (written_ < 300) write();
  }
  void write() {
    const TurnRef ref = turns_[written_ % turns_.size()].ref();
    ASSERT_TRUE(store_->append_and_commit(std::span(&ref, 1)).ok());
    ++written_;
  }
  [[nodiscard]] Database must_open_log() const {
    auto database = Database::open(log_, {.vfs = {}, .create = false});
    EXPECT_TRUE(database.has_value());
    return database ? std::move(*database) : Database();
  }
  // What a disk, or somebody with an editor, does behind the writer's back.
  void damage(const std::string& sql) {
    const Status status = must_open_log().execute(sql);
    ASSERT_TRUE(status.ok()) << status.message;
  }
  [[nodiscard]] LogCheck look(const LogCheckBounds& bounds = {}) const {
    auto found = check_newest_turns(folder_.path(), written_, bounds);
    EXPECT_TRUE(found.has_value()) << found.error().message;
    return found ? *found : LogCheck{};
  }

  const test::TemporaryFolder folder_;
  const std::string log_ = (folder_.path() / "log.db").string();
  const std::vector<test::Turn> turns_ = test::a_life(6);
  const std::unique_ptr<Store> store_;
  std::uint64_t written_ = 0;
};

TEST_F(LogCheckTest, AllOfItFits) {
  const LogCheck found = look();
  EXPECT_EQ(found.turns, written_);
  EXPECT_EQ(found.checked, written_);
  EXPECT_EQ(found.problem, "");
}

TEST_F(LogCheckTest, TheWriterGoesOnBetweenAndDuring) {
  for (int i = 0; i < 20; ++i) {
    write();
    EXPECT_EQ(look().checked, written_);
  }
  LogChecks checks(folder_.path());
  const auto first = checks.look(written_);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->checked, written_);
  write();
  // Not looked at again so soon, and what has come since is counted.
  EXPECT_EQ(checks.look(written_)->turns, written_);
  EXPECT_EQ(checks.look(written_)->checked, written_ - 1);
}

TEST_F(LogCheckTest, OfALongLogTheNewestTurns) {
  LogCheckBounds bounds;
  bounds.turns = 100;
  EXPECT_EQ(look(bounds).checked, 100U);
  damage("UPDATE turns SET turn = x'00' WHERE sequence = 150");
  EXPECT_EQ(look(bounds).problem, "");
  bounds.turns = 151;
  EXPECT_THAT(look(bounds).problem, HasSubstr("turn 150"));
  bounds = {};
  bounds.bytes = 1;
  EXPECT_GT(look(bounds).checked, 0U);
  EXPECT_LT(look(bounds).checked, 150U);
}

TEST_F(LogCheckTest, WhatWasChangedIsNamed) {
  damage("UPDATE turns SET turn = x'00' WHERE sequence = 299");
  EXPECT_THAT(look().problem, HasSubstr("turn 299: its content is not what was written"));
}

TEST_F(LogCheckTest, AHashAndALinkThatWereChangedAreNamed) {
  damage("UPDATE turns SET hash = zeroblob(32) WHERE sequence = 7");
  EXPECT_THAT(look().problem, HasSubstr("turn 7: its content is not what was written"));
  damage("UPDATE turns SET previous = zeroblob(32) WHERE sequence = 80");
  EXPECT_THAT(look().problem, HasSubstr("turn 80: it does not follow"));
}

TEST_F(LogCheckTest, ATurnThatWasMadeToFitBreaksWithTheNextOne) {
  auto database = must_open_log();
  auto row = database.prepare("SELECT time_ms, previous FROM turns WHERE sequence = 100");
  ASSERT_TRUE(row.has_value());
  ASSERT_TRUE(row->step().value_or(false));
  Digest previous;
  const std::string_view stored = row->blob(1);
  ASSERT_EQ(stored.size(), previous.bytes.size());
  std::copy(stored.begin(), stored.end(), previous.bytes.begin());
  const std::string forged(1, '\0');
  const Digest hash = turn_hash(previous, 100, time_from_unix_ms(row->integer(0)), forged);
  row->reset();
  auto update = database.prepare("UPDATE turns SET turn = ?, hash = ? WHERE sequence = 100");
  ASSERT_TRUE(update.has_value());
  const std::string_view bytes(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
  ASSERT_TRUE(update->bind_blob(1, forged).bind_blob(2, bytes).run().ok());
  EXPECT_THAT(look().problem, HasSubstr("turn 101: it does not follow"));
}

TEST_F(LogCheckTest, AMissingTurnIsNamedWhereverAPartBegins) {
  damage("DELETE FROM turns WHERE sequence = 200");
  EXPECT_THAT(look().problem, HasSubstr("turn 200: it is missing"));
  damage("DELETE FROM turns WHERE sequence = 236");  // 300 less a part: where one begins
  EXPECT_THAT(look().problem, HasSubstr("turn 236: it is missing"));
}

TEST_F(LogCheckTest, AnEndThatIsLostIsNoticed) {
  damage("DELETE FROM turns WHERE sequence > 298");
  EXPECT_THAT(look().problem, HasSubstr("turn 300 was durable: its end is lost"));
}

TEST_F(LogCheckTest, WhatCannotBeReadIsNoDamage) {
  const auto found = check_newest_turns(folder_.path() / "none", 0, {});
  EXPECT_FALSE(found.has_value());
}

}  // namespace
}  // namespace overwinter::store
