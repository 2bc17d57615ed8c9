#include "coordinator/dashboard/log_blocks.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

namespace overwinter::dashboard {
namespace {

class LogBlocksTest : public testing::Test {
 protected:
  LogBlocksTest() {
    std::string pattern = "/dev/shm/ow-blocks-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    open();
  }
  ~LogBlocksTest() override {
    telemetry_.reset();
    std::filesystem::remove_all(folder_);
  }
  void open() {
    telemetry_.reset();
    auto opened = telemetry::Telemetry::open(folder_ / "telemetry");
    ASSERT_TRUE(opened);
    telemetry_ = std::move(*opened);
  }
  // Returns once they can be read.
  void print(std::uint32_t rank, const std::vector<std::string>& lines) {
    std::promise<void> written;
    bool told = false;
    const auto watch = telemetry_->watch(job_, [&] {
      if (!told) written.set_value();
      told = true;
    });
    telemetry::JobBatch batch{.job = job_, .entries = {}, .points = {}};
    for (const auto& text : lines) {
      batch.entries.push_back(
          {.attempt = 1, .rank = rank, .time = time_from_unix_ms(5), .text = text});
    }
    telemetry_->push(std::move(batch));
    ASSERT_EQ(written.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  LogBlock read(const BlockQuery& query) {
    auto block = read_block(*telemetry_, job_, query);
    EXPECT_TRUE(block);
    return std::move(*block);
  }
  static std::vector<std::string> texts(const LogBlock& block) {
    std::vector<std::string> out;
    for (const auto& item : block.items) out.push_back(item.entry.text);
    return out;
  }
  static std::vector<std::string> numbered(int from, int to) {
    std::vector<std::string> out;
    for (int i = from; i < to; ++i) out.push_back("line " + std::to_string(i));
    return out;
  }

  const telemetry::JobKey job_{"demo", JobId(1)};
  std::filesystem::path folder_;
  std::unique_ptr<telemetry::Telemetry> telemetry_;
};

TEST_F(LogBlocksTest, TheLastBlockThenThoseBeforeItAreTheWholeLog) {
  print(0, numbered(0, 2'500));
  LogBlock block = read({});
  EXPECT_EQ(block.items.size(), kBlockLinesMax);
  EXPECT_EQ(texts(block).back(), "line 2499");
  EXPECT_TRUE(block.has_earlier);
  EXPECT_FALSE(block.has_later);
  std::vector<std::string> all = texts(block);
  int blocks = 1;
  while (block.has_earlier && blocks < 10) {
    BlockQuery query;
    query.before = block.items.front().sequence;
    block = read(query);
    EXPECT_TRUE(block.has_later);
    const auto more = texts(block);
    all.insert(all.begin(), more.begin(), more.end());
    ++blocks;
  }
  EXPECT_EQ(all, numbered(0, 2'500));
  EXPECT_EQ(blocks, 5);
}

TEST_F(LogBlocksTest, FromANumberOnwardsToTheEndAndToWhatComesLater) {
  print(0, numbered(0, 700));
  BlockQuery query;
  query.from = 1;
  const LogBlock first = read(query);
  EXPECT_EQ(first.items.size(), 500U);
  EXPECT_FALSE(first.has_earlier);
  EXPECT_TRUE(first.has_later);
  query.from = first.next;
  const LogBlock second = read(query);
  EXPECT_EQ(texts(second), numbered(500, 700));
  EXPECT_FALSE(second.has_later);
  query.from = second.next;
  EXPECT_TRUE(read(query).items.empty());
  print(0, {"new"});
  EXPECT_EQ(texts(read(query)), std::vector<std::string>{"new"});
}

TEST_F(LogBlocksTest, BlocksReachOverTheHoleOfARestart) {
  print(0, numbered(0, 10));
  open();
  print(0, numbered(10, 13));
  const LogBlock last = read({});
  EXPECT_EQ(texts(last), numbered(0, 13));
  BlockQuery query;
  query.before = last.items[10].sequence;
  EXPECT_GT(*query.before, 1'000'000U);
  EXPECT_EQ(texts(read(query)), numbered(0, 10));
  query.lines_max = 3;
  EXPECT_EQ(texts(read(query)), numbered(7, 10));
}

TEST_F(LogBlocksTest, ARankAlone) {
  for (int i = 0; i < 50; ++i) {
    print(0, numbered(i * 20, i * 20 + 20));
    print(1, {"one " + std::to_string(i)});
  }
  BlockQuery query;
  query.rank = 1;
  query.lines_max = 5;
  const LogBlock last = read(query);
  EXPECT_EQ(texts(last).front(), "one 45");
  query.before = last.items.front().sequence;
  EXPECT_EQ(texts(read(query)),
            (std::vector<std::string>{"one 40", "one 41", "one 42", "one 43", "one 44"}));
  query.before = 1;
  const LogBlock none = read(query);
  EXPECT_TRUE(none.items.empty());
  EXPECT_FALSE(none.has_earlier);
}

TEST_F(LogBlocksTest, ASearchFindsEveryLineInPages) {
  std::vector<std::string> lines = numbered(0, 1'200);
  for (std::size_t i = 0; i < lines.size(); i += 4) lines[i] += " Needle";
  print(0, lines);
  const auto found = search(*telemetry_, job_, {}, "nEEDLE");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->items.size(), kHitsMax);
  EXPECT_TRUE(found->has_later);
  BlockQuery query;
  query.from = found->next;
  const auto rest = search(*telemetry_, job_, query, "needle");
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->items.size(), 100U);
  EXPECT_FALSE(rest->has_later);
  EXPECT_EQ(rest->items.front().entry.text, "line 800 Needle");
  EXPECT_TRUE(search(*telemetry_, job_, {}, "nothing has this")->items.empty());
}

TEST_F(LogBlocksTest, AsJsonNumbersAreTextAndBytesThatAreNoTextAreReplaced) {
  print(3, {"<b>\xFF\x1b[31mred", std::string(telemetry::kLineBytesMax + 1, 'x')});
  const auto json = nlohmann::json::parse(
      block_json(read({})).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  EXPECT_EQ(json.at("lines")[0].at("number"), "1");
  EXPECT_EQ(json.at("lines")[0].at("rank"), 3);
  EXPECT_EQ(json.at("lines")[0].at("text"), "<b>\xEF\xBF\xBD\x1b[31mred");
  EXPECT_FALSE(json.at("lines")[0].contains("cut"));
  EXPECT_EQ(json.at("lines")[1].at("cut"), true);
  EXPECT_EQ(json.at("next"), "3");
}

}  // namespace
}  // namespace overwinter::dashboard
