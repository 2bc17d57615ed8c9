#include "coordinator/artifacts/tile_sink.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

using formats::Dtype;

constexpr JobId kJob{7};
const ResultSpec kSpec{Dtype::kFloat32, 8, 8, 4, 4, 2};  // 4 tiles of 64 bytes

// Knows C, and takes nothing else.
class ExactVerifier final : public TileVerifier {
 public:
  explicit ExactVerifier(DenseMatrix c) : c_(std::move(c)) {}
  Result<TileVerdict> verify(JobId job, UnitNumber unit, const plan::Tile& tile,
                             std::span<const std::byte> data) override {
    ++calls;
    if (blind) return fail(Code::kUnavailable, "The sketches are not there.");
    EXPECT_EQ(job, kJob);
    EXPECT_EQ(tile, kSpec.grid().tile(unit));
    if (text_of(data) == tile_of(c_, kSpec, unit)) return TileVerdict{true, {}};
    return TileVerdict{false, "Row 0 is wrong."};
  }
  std::atomic<int> calls{0};
  std::atomic<bool> blind{false};

 private:
  const DenseMatrix c_;
};

class TileSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = ResultStore::open(files_, "/data", {}).value();
    ASSERT_TRUE(store_->prepare(kJob, kSpec, {}).ok());
    make_sink({});
  }
  void make_sink(const TileSinkConfig& config) {
    sink_ = std::make_unique<TileSink>(
        *store_, verifier_,
        [this](const std::vector<Delivery>& landed) {
          std::scoped_lock lock(reported_mutex_);
          for (const Delivery& delivery : landed) {
            // The order of it all: what is reported was synced before.
            EXPECT_TRUE(*store_->has_landed(kJob, delivery.unit));
            reported_.push_back(delivery);
          }
        },
        config);
  }
  static Delivery delivery(UnitNumber unit, std::uint32_t seat = 1) {
    return {{kJob, 1, seat}, WorkerId{seat}, unit};
  }
  std::string tile(UnitNumber unit) const { return tile_of(c_, kSpec, unit); }
  Result<TileBuffer> begin(const Delivery& from, std::uint64_t size = 64) {
    std::optional<Result<TileBuffer>> got;
    sink_->begin(from, size, [&](Result<TileBuffer> buffer) { got.emplace(std::move(buffer)); });
    EXPECT_TRUE(got.has_value());
    return std::move(*got);
  }
  // Answers are collected under a number, in the order in which they come.
  void deliver(int number, const Delivery& from, const std::string& content) {
    Result<TileBuffer> buffer = begin(from);
    ASSERT_TRUE(buffer.has_value()) << buffer.error().message;
    ASSERT_TRUE(buffer->append(bytes_of(content)).ok());
    sink_->land(std::move(*buffer), [this, number, from](Result<TileAnswer> answer) {
      // Who is told that a unit is done is told after the report.
      if (answer &&
          (answer->outcome == TileOutcome::kLanded || answer->outcome == TileOutcome::kRepeated)) {
        EXPECT_NE(std::find(reported_.begin(), reported_.end(), from), reported_.end());
      }
      answers_.emplace_back(number, answer ? answer->outcome : TileOutcome{});
      errors_.push_back(answer ? Status::success() : answer.error());
    });
  }
  using Answers = std::vector<std::pair<int, TileOutcome>>;

  test::FaultFiles files_;
  const DenseMatrix c_ = random_matrix(Dtype::kFloat32, 8, 8, 3);
  ExactVerifier verifier_{c_};
  std::unique_ptr<ResultStore> store_;
  std::mutex reported_mutex_;
  std::vector<Delivery> reported_;
  Answers answers_;
  std::vector<Status> errors_;
  std::unique_ptr<TileSink> sink_;
};

TEST_F(TileSinkTest, VerifyWriteSyncReport) {
  deliver(1, delivery(0), tile(0));
  deliver(2, delivery(3, 2), tile(3));
  EXPECT_TRUE(reported_.empty());
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(sink_->flush_needed());
  ASSERT_TRUE(sink_->flush().ok());
  EXPECT_EQ(reported_, (std::vector<Delivery>{delivery(0), delivery(3, 2)}));
  EXPECT_EQ(answers_, (Answers{{1, TileOutcome::kLanded}, {2, TileOutcome::kLanded}}));
  EXPECT_FALSE(sink_->flush_needed());
  EXPECT_EQ(sink_->memory_bytes_held(), 0U);
  ASSERT_TRUE(sink_->flush().ok());
  EXPECT_EQ(reported_.size(), 2U);
}

TEST_F(TileSinkTest, AWrongTileTouchesNothing) {
  const auto before = files_.contents();
  deliver(1, delivery(0), std::string(64, 'w'));
  EXPECT_EQ(answers_, (Answers{{1, TileOutcome::kRejected}}));
  EXPECT_EQ(files_.contents(), before);
  EXPECT_FALSE(sink_->flush_needed());
  deliver(2, delivery(0, 2), tile(0));
  ASSERT_TRUE(sink_->flush().ok());
  EXPECT_EQ(reported_, (std::vector<Delivery>{delivery(0, 2)}));
}

TEST_F(TileSinkTest, WhenTheVerifierCannotTellNothingIsTaken) {
  verifier_.blind = true;
  deliver(1, delivery(0), tile(0));
  ASSERT_EQ(errors_.size(), 1U);
  EXPECT_EQ(errors_[0].code, Code::kUnavailable);
  EXPECT_FALSE(sink_->flush_needed());
}

TEST_F(TileSinkTest, ARepeatedUnitIsReportedAgainAndNotVerified) {
  deliver(1, delivery(0), tile(0));
  deliver(2, delivery(0, 2), tile(0));
  ASSERT_TRUE(sink_->flush().ok());
  EXPECT_EQ(answers_, (Answers{{1, TileOutcome::kLanded}, {2, TileOutcome::kRepeated}}));
  EXPECT_EQ(reported_, (std::vector<Delivery>{delivery(0), delivery(0, 2)}));
  const int calls = verifier_.calls;
  // Already landed: nothing needs to be sent.
  EXPECT_EQ(begin(delivery(0, 3)).error().code, Code::kAlreadyExists);
  EXPECT_EQ(reported_.back(), delivery(0, 3));
  EXPECT_EQ(verifier_.calls, calls);
}

TEST_F(TileSinkTest, ATileThatLandedWhileItWasSent) {
  Result<TileBuffer> late = begin(delivery(0, 2));
  ASSERT_TRUE(late->append(bytes_of(std::string(64, 'w'))).ok());
  deliver(1, delivery(0), tile(0));
  ASSERT_TRUE(sink_->flush().ok());
  std::optional<TileOutcome> outcome;
  sink_->land(std::move(*late), [&](Result<TileAnswer> answer) { outcome = answer->outcome; });
  EXPECT_EQ(outcome, TileOutcome::kRepeated);
  EXPECT_EQ(reported_, (std::vector<Delivery>{delivery(0), delivery(0, 2)}));
}

TEST_F(TileSinkTest, StaleJobs) {
  Result<TileBuffer> early = begin(delivery(0));
  ASSERT_TRUE(early->append(bytes_of(tile(0))).ok());
  deliver(1, delivery(1), tile(1));
  ASSERT_TRUE(store_->remove(kJob).ok());
  EXPECT_EQ(begin(delivery(2)).error().code, Code::kNotFound);
  std::optional<TileOutcome> outcome;
  sink_->land(std::move(*early), [&](Result<TileAnswer> answer) { outcome = answer->outcome; });
  EXPECT_EQ(outcome, TileOutcome::kStale);
  EXPECT_TRUE(sink_->flush_needed());
  ASSERT_TRUE(sink_->flush().ok());
  EXPECT_EQ(answers_, (Answers{{1, TileOutcome::kStale}}));
  EXPECT_TRUE(reported_.empty());
}

TEST_F(TileSinkTest, BadDeliveries) {
  EXPECT_EQ(begin(delivery(4)).error().code, Code::kOutOfRange);
  EXPECT_EQ(begin(delivery(0), 63).error().code, Code::kInvalidArgument);
  EXPECT_EQ(begin(delivery(0), ~std::uint64_t{0}).error().code, Code::kInvalidArgument);
  {
    Result<TileBuffer> buffer = begin(delivery(0));
    EXPECT_EQ(buffer->append(bytes_of(std::string(65, 'x'))).code, Code::kInvalidArgument);
    ASSERT_TRUE(buffer->append(bytes_of(tile(0).substr(0, 63))).ok());
    EXPECT_FALSE(buffer->full());
    std::optional<Status> status;
    sink_->land(std::move(*buffer), [&](Result<TileAnswer> answer) { status = answer.error(); });
    EXPECT_EQ(status->code, Code::kInvalidArgument);
    EXPECT_NE(status->message.find("63 of its 64"), std::string::npos);
  }
  EXPECT_EQ(sink_->memory_bytes_held(), 0U);
  make_sink({.memory_bytes_max = 63, .waiting_max = 1});
  EXPECT_EQ(begin(delivery(0)).error().code, Code::kResourceExhausted);
}

TEST_F(TileSinkTest, MemoryIsBoundedAndWaitersAreServedInOrder) {
  make_sink({.memory_bytes_max = 128, .waiting_max = 2});
  std::vector<Result<TileBuffer>> held;
  held.push_back(begin(delivery(0)));
  held.push_back(begin(delivery(1)));
  EXPECT_EQ(sink_->memory_bytes_held(), 128U);
  std::vector<UnitNumber> served;
  const auto wait = [&](UnitNumber unit) {
    sink_->begin(delivery(unit), 64, [&served, &held, unit](Result<TileBuffer> buffer) {
      served.push_back(unit);
      held.push_back(std::move(buffer));
    });
  };
  held.reserve(10);
  wait(2);
  wait(3);
  EXPECT_TRUE(served.empty());
  EXPECT_EQ(begin(delivery(3)).error().code, Code::kResourceExhausted);
  { const TileBuffer gone = std::move(*held[0]); }
  EXPECT_EQ(served, (std::vector<UnitNumber>{2}));
  EXPECT_EQ(sink_->memory_bytes_held(), 128U);
  { const TileBuffer gone = std::move(*held[1]); }
  EXPECT_EQ(served, (std::vector<UnitNumber>{2, 3}));
  held.clear();
  EXPECT_EQ(sink_->memory_bytes_held(), 0U);
}

TEST_F(TileSinkTest, ASmallTileDoesNotOvertakeALargeOne) {
  const ResultSpec small{Dtype::kFloat32, 2, 2, 2, 2, 1};  // one tile of 16 bytes
  ASSERT_TRUE(store_->prepare(JobId{8}, small, {}).ok());
  make_sink({.memory_bytes_max = 100, .waiting_max = 10});
  std::optional<Result<TileBuffer>> first(begin(delivery(0)));
  std::vector<std::uint64_t> served;
  std::vector<TileBuffer> held;
  const auto take = [&](Result<TileBuffer> buffer) {
    served.push_back(buffer->size_bytes());
    held.push_back(std::move(*buffer));
  };
  sink_->begin(delivery(1), 64, take);
  sink_->begin({{JobId{8}, 1, 1}, WorkerId{1}, 0}, 16, take);  // 36 bytes are free
  EXPECT_TRUE(served.empty());
  first.reset();
  EXPECT_EQ(served, (std::vector<std::uint64_t>{64, 16}));
  held.clear();
}

TEST_F(TileSinkTest, ALongQueueThatIsGivenUpDoesNotNest) {
  make_sink({.memory_bytes_max = 64, .waiting_max = 100'000});
  std::optional<Result<TileBuffer>> first(begin(delivery(0)));
  int served = 0;
  for (int i = 0; i < 100'000; ++i)
    sink_->begin(delivery(1), 64, [&](Result<TileBuffer>) { ++served; });  // dropped at once
  first.reset();
  EXPECT_EQ(served, 100'000);
  EXPECT_EQ(sink_->memory_bytes_held(), 0U);
}

TEST_F(TileSinkTest, AFailedSyncReportsNothing) {
  deliver(1, delivery(0), tile(0));
  files_.fail_once(test::FileOp::kSync, error(Code::kDataLoss, "Syncing failed."));
  EXPECT_TRUE(is_fatal(sink_->flush()));
  EXPECT_TRUE(reported_.empty());
  EXPECT_TRUE(answers_.empty());
}

TEST_F(TileSinkTest, ThreadsDeliverAndFlush) {
  make_sink({.memory_bytes_max = 128, .waiting_max = 1000});
  std::atomic<int> unanswered{4 * 200};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint32_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const UnitNumber unit = static_cast<UnitNumber>(i) % 4;
        const bool lie = i % 7 == 0;
        sink_->begin(delivery(unit, t), 64, [&, unit, lie](Result<TileBuffer> buffer) {
          if (!buffer) {
            --unanswered;
            return;
          }
          EXPECT_TRUE(buffer->append(bytes_of(lie ? std::string(64, 'w') : tile(unit))).ok());
          sink_->land(std::move(*buffer), [&, lie](Result<TileAnswer> answer) {
            if (lie && answer && answer->outcome == TileOutcome::kLanded) ++wrong;
            --unanswered;
          });
        });
      }
    });
  }
  // Flushes while they deliver, until all are answered.
  while (unanswered != 0) ASSERT_TRUE(sink_->flush().ok());
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store_->seal(kJob)->digest, digest_of(c_.npy(false)));
}

}  // namespace
}  // namespace overwinter::artifacts
