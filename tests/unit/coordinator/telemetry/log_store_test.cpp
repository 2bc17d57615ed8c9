#include "coordinator/telemetry/log_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

class LogStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "logsXXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    base_ = fs::absolute(name);
    reopen();
  }
  void TearDown() override {
    store_.reset();
    fs::remove_all(base_);
  }
  void reopen() {
    store_.reset();
    auto store = LogStore::open(base_ / "logs", bounds_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  void print(const JobKey& key, const std::string& text, std::uint32_t rank = 0,
             AttemptNumber attempt = 1, std::int64_t ms = 1000) {
    store_->append(
        key, {{.attempt = attempt, .rank = rank, .time = time_from_unix_ms(ms), .text = text}});
  }
  LogPage page(const JobKey& key, const LogQuery& query = {}) {
    auto read = store_->read(key, query);
    EXPECT_TRUE(read);
    return read.value_or(LogPage{});
  }
  std::vector<std::string> texts(const JobKey& key, const LogQuery& query = {}) {
    std::vector<std::string> out;
    for (const LogItem& item : page(key, query).items)
      out.push_back(item.entry.is_gap() ? "-" + std::to_string(item.entry.lines_lost)
                                        : item.entry.text);
    return out;
  }
  std::uint64_t bytes_on_disk(const JobKey& key) {
    std::uint64_t bytes = 0;
    std::error_code gone;
    for (const auto& file : fs::directory_iterator(store_->folder(key), gone))
      bytes += file.file_size();
    return bytes;
  }

  using Texts = std::vector<std::string>;
  const JobKey job_{"demo", JobId(7)};
  LogBounds bounds_;
  fs::path base_;
  std::unique_ptr<LogStore> store_;
};

TEST_F(LogStoreTest, ATailOverManySegmentsIsTheEndOfAll) {
  bounds_.job_bytes = std::uint64_t{4} << 20;  // segments of 64 KiB
  reopen();
  const std::string filling(900, '.');
  // One rank prints now and then, another one all the time.
  for (int i = 0; i < 1500; ++i)
    print(job_, std::to_string(i) + filling, i % 97 == 0 ? 1 : 0, 1, 1000 + i);
  const Texts all = texts(job_, {.items_max = 2000, .bytes_max = std::size_t{1} << 30});
  ASSERT_EQ(all.size(), 1500U);
  for (const std::uint64_t n : {1U, 12U, 71U, 72U, 500U, 1499U}) {
    LogQuery query{.tail = n, .items_max = 2000, .bytes_max = std::size_t{1} << 30};
    EXPECT_EQ(texts(job_, query), Texts(all.end() - static_cast<std::ptrdiff_t>(n), all.end()))
        << n;
  }
  // Sixteen of them are the other rank's: the last ones stand far from the end.
  EXPECT_EQ(texts(job_, {.rank = 1, .tail = 3}),
            (Texts{"1261" + filling, "1358" + filling, "1455" + filling}));
  EXPECT_EQ(texts(job_, {.rank = 1, .tail = 100}).size(), 16U);
  // Not one of the last hundred was printed since then.
  EXPECT_EQ(texts(job_, {.tail = 100, .since = time_from_unix_ms(2490)}).size(), 10U);
}

TEST_F(LogStoreTest, ReadsByRankAttemptTailTimeAndCursor) {
  print(job_, "a", 0, 1, 1000);
  print(job_, "b", 1, 1, 2000);
  print(job_, "c", 0, 1, 3000);
  print(job_, "d", 1, 2, 4000);
  EXPECT_EQ(texts(job_), (Texts{"a", "b", "c", "d"}));
  EXPECT_EQ(texts(job_, {.rank = 0}), (Texts{"a", "c"}));
  EXPECT_EQ(texts(job_, {.rank = 1, .attempt = 1}), (Texts{"b"}));
  EXPECT_EQ(texts(job_, {.attempt = 2}), (Texts{"d"}));
  EXPECT_EQ(texts(job_, {.tail = 2}), (Texts{"c", "d"}));
  EXPECT_EQ(texts(job_, {.tail = 0}), Texts{});
  EXPECT_EQ(texts(job_, {.rank = 0, .tail = 1}), (Texts{"c"}));
  EXPECT_EQ(texts(job_, {.since = time_from_unix_ms(3000)}), (Texts{"c", "d"}));
  EXPECT_EQ(texts(job_, {.rank = 9}), Texts{});

  LogPage first = page(job_, {.items_max = 3});
  EXPECT_EQ(first.items.size(), 3u);
  EXPECT_TRUE(first.more);
  EXPECT_EQ(texts(job_, {.after = first.next}), (Texts{"d"}));
  // A follower comes back with what it was given, whatever it filters by.
  const LogPage none = page(job_, {.rank = 9});
  EXPECT_FALSE(none.more);
  print(job_, "e", 9);
  EXPECT_EQ(texts(job_, {.rank = 9, .after = none.next}), (Texts{"e"}));
  EXPECT_EQ(texts(job_, {.after = none.next}), (Texts{"e"}));
}

TEST_F(LogStoreTest, ProjectsAreApart) {
  print(job_, "mine");
  EXPECT_EQ(texts({"other", JobId(7)}), Texts{});
  EXPECT_FALSE(store_->read({"../demo", JobId(7)}, {}));
  EXPECT_FALSE(store_->read({"", JobId(7)}, {}));
  print({"../evil", JobId(1)}, "x");
  EXPECT_FALSE(fs::exists(base_ / "evil"));
}

TEST_F(LogStoreTest, SecretsAreNotKept) {
  const std::string token = "ow_" + std::string(43, 'B');
  print(job_, "my token is " + token);
  EXPECT_EQ(texts(job_), (Texts{"my token is [redacted]"}));
  std::ifstream in(store_->folder(job_) / "1-0-1.log");
  const std::string raw((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(raw.find(token), std::string::npos);
}

TEST_F(LogStoreTest, TheMiddleGoesAndItIsSaidHowMuch) {
  bounds_.job_bytes = 512 * 1024;
  reopen();
  const int count = 40'000;
  std::vector<LogEntry> batch;
  for (int i = 0; i < count; ++i) {
    batch.push_back({.attempt = 1,
                     .rank = 0,
                     .time = time_from_unix_ms(i),
                     .text = "line " + std::to_string(i) + std::string(60, '.')});
    if (batch.size() == 500) store_->append(job_, std::exchange(batch, {}));
  }
  EXPECT_LE(bytes_on_disk(job_), bounds_.job_bytes);
  EXPECT_GT(bytes_on_disk(job_), bounds_.job_bytes * 3 / 4);
  std::uint64_t kept = 0, lost = 0, lost_bytes = 0, kept_bytes = 0;
  std::string last;
  LogQuery query;
  while (true) {
    const LogPage some = page(job_, query);
    for (const LogItem& item : some.items) {
      if (kept + lost == 0) {
        EXPECT_EQ(item.entry.text.substr(0, 7), "line 0.");
      }
      kept += item.entry.is_gap() ? 0 : 1;
      kept_bytes += item.entry.text.size();
      lost += item.entry.lines_lost;
      lost_bytes += item.entry.bytes_lost;
      last = item.entry.text;
    }
    query.after = some.next;
    if (!some.more) break;
  }
  EXPECT_EQ(last.substr(0, 11), "line 39999.");
  EXPECT_EQ(kept + lost, static_cast<std::uint64_t>(count));
  EXPECT_GT(lost, 0u);
  std::uint64_t all_bytes = 0;
  for (int i = 0; i < count; ++i) all_bytes += 65 + std::to_string(i).size();
  EXPECT_EQ(kept_bytes + lost_bytes, all_bytes);
  // The same after a restart.
  const auto tail = texts(job_, {.tail = 3});
  reopen();
  EXPECT_EQ(texts(job_, {.tail = 3}), tail);
}

// A loud rank does not push out the last words of a silent one, nor those of an earlier attempt.
TEST_F(LogStoreTest, TheLoudestLoses) {
  bounds_.job_bytes = 256 * 1024;
  reopen();
  print(job_, "last words of attempt 1", 1, 1);
  for (int i = 0; i < 3000; ++i) print(job_, std::string(500, 'x'), 0, 2);
  EXPECT_EQ(texts(job_, {.attempt = 1}), (Texts{"last words of attempt 1"}));
  EXPECT_LE(bytes_on_disk(job_), bounds_.job_bytes);
}

TEST_F(LogStoreTest, ManyRanksAreBoundedToo) {
  bounds_.job_bytes = 64 * 1024;
  reopen();
  for (std::uint32_t rank = 0; rank < 2000; ++rank) print(job_, std::string(200, 'x'), rank);
  EXPECT_LE(bytes_on_disk(job_), bounds_.job_bytes);
  EXPECT_EQ(texts(job_, {.rank = 1999}).size(), 1u);
}

TEST_F(LogStoreTest, TheTotalBoundTakesTheSilentJobOfTheLargestProject) {
  bounds_.job_bytes = 64 * 1024;
  bounds_.total_bytes = 200 * 1024;
  reopen();
  const JobKey small{"small", JobId(1)};
  print(small, "kept", 0, 1, 1);
  for (std::uint64_t id = 10; id < 15; ++id)
    for (int i = 0; i < 60; ++i)
      print({"large", JobId(id)}, std::string(1000, 'x'), 0, 1, static_cast<std::int64_t>(id));
  EXPECT_LE(store_->total_bytes(), bounds_.total_bytes);
  EXPECT_EQ(texts(small), (Texts{"kept"}));
  EXPECT_EQ(texts({"large", JobId(10)}), Texts{});
  EXPECT_EQ(texts({"large", JobId(14)}).size(), 60u);
  EXPECT_FALSE(fs::exists(store_->folder({"large", JobId(10)})));
}

TEST_F(LogStoreTest, ATornEndIsCutAndWritingGoesOn) {
  print(job_, "one");
  print(job_, "two");
  const std::uint64_t seen = page(job_).next;
  const fs::path file = store_->folder(job_) / "1-0-1.log";
  store_.reset();
  fs::resize_file(file, fs::file_size(file) - 1);
  std::ofstream(file.parent_path() / "1-1-1.log") << "no segment at all";
  std::ofstream(file.parent_path() / "stranger") << "left alone";
  reopen();
  EXPECT_EQ(texts(job_), (Texts{"one"}));
  print(job_, "three");
  EXPECT_EQ(texts(job_), (Texts{"one", "three"}));
  // Not missed by who had already seen "two".
  EXPECT_EQ(texts(job_, {.after = seen}), (Texts{"three"}));
  EXPECT_TRUE(fs::exists(file.parent_path() / "1-0-2.log"));
  EXPECT_FALSE(fs::exists(file.parent_path() / "1-1-1.log"));
  EXPECT_TRUE(fs::exists(file.parent_path() / "stranger"));
  reopen();
  EXPECT_EQ(texts(job_), (Texts{"one", "three"}));
}

TEST_F(LogStoreTest, WhatTheDiskDoesNotTakeIsCounted) {
  print(job_, "before");
  // The job's folder becomes a file: nothing can be made in it, root or not.
  const fs::path folder = store_->folder({"demo", JobId(8)});
  std::ofstream(folder) << "x";
  print({"demo", JobId(8)}, "lost 1");
  print({"demo", JobId(8)}, "lost 2");
  fs::remove(folder);
  print({"demo", JobId(8)}, "kept");
  EXPECT_EQ(texts({"demo", JobId(8)}), (Texts{"-2", "kept"}));
}

TEST_F(LogStoreTest, ForgetsJobs) {
  print(job_, "old", 0, 1, 1000);
  print({"demo", JobId(8)}, "new", 0, 1, 9000);
  EXPECT_EQ(store_->silent_since(time_from_unix_ms(5000)), (std::vector<JobKey>{job_}));
  store_->remove(job_);
  EXPECT_EQ(texts(job_), Texts{});
  EXPECT_FALSE(fs::exists(store_->folder(job_)));
  EXPECT_EQ(texts({"demo", JobId(8)}), (Texts{"new"}));
}

TEST_F(LogStoreTest, AnotherFormatIsRefused) {
  std::ofstream(base_ / "logs" / "FORMAT") << "overwinter-telemetry 2\n";
  const auto store = LogStore::open(base_ / "logs", {});
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace overwinter::telemetry
