// The loop with real devices and a product in memory. Time is the machine's; nothing waits but for
// events.
#include "worker/runtime/worker_loop.h"

#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "common/base/clock.h"
#include "common/plan/memory_estimate.h"
#include "overwinter/v1/job.pb.h"
#include "tests/unit/worker/runtime/record_lines.h"

namespace overwinter::worker {
namespace {

using namespace std::chrono_literals;

const SeatKey kSeat{JobId(7), 1, 1};

// A coordinator's artifacts: all ones, so every element of C is k. Delivering can be held up.
class OnesArtifacts final : public ArtifactAccess {
 public:
  Result<std::unique_ptr<SeatArtifacts>> open(const SeatAccess& access) override {
    if (!refusal.empty()) return fail(Code::kNotFound, refusal);
    const MutexLock lock(mutex);
    last_capability = access.capability;
    return std::unique_ptr<SeatArtifacts>(std::make_unique<Seat>(*this));
  }
  class Seat final : public SeatArtifacts {
   public:
    explicit Seat(OnesArtifacts& owner) : owner_(owner) {}
    Status read(Operand, const Block&, std::span<std::byte> out, std::stop_token) override {
      auto* values = reinterpret_cast<float*>(out.data());
      std::fill(values, values + out.size() / sizeof(float), 1.0F);
      return Status::success();
    }
    Result<TileAnswer> put(UnitNumber unit, std::span<const std::byte> tile,
                           std::stop_token stop) override {
      std::unique_lock lock(owner_.mutex);
      ++owner_.waiting;
      owner_.changed.notify_all();
      const bool open = owner_.changed.wait(lock, stop, [this] { return owner_.open_gate; });
      --owner_.waiting;
      if (!open) return fail(Code::kCancelled, "given up");
      if (owner_.broken) return fail(Code::kFailedPrecondition, "the result is sealed");
      owner_.tiles[unit] = *reinterpret_cast<const float*>(tile.data());
      return TileAnswer{};
    }
    bool connected() const override { return owner_.is_connected.load(); }
    void renew(const std::string& capability) override {
      const MutexLock lock(owner_.mutex);
      owner_.last_capability = capability;
    }

   private:
    OnesArtifacts& owner_;
  };

  std::filesystem::path spool_folder() const override { return spool; }

  std::filesystem::path spool;
  std::atomic<bool> is_connected{true};
  Mutex mutex;
  Condition changed;
  bool open_gate = true;
  bool broken = false;
  int waiting = 0;
  std::map<UnitNumber, float> tiles;
  std::string last_capability;
  std::string refusal;
};

class RecordingLink final : public CoordinatorLink {
 public:
  void send(std::vector<Output> messages) override {
    for (Output& m : messages) sent.push_back(std::move(m));
  }
  std::vector<Output> sent;
};

class WorkerLoopTest : public ::testing::Test {
 protected:
  WorkerLoopTest() {
    std::string name = (std::filesystem::temp_directory_path() / "ow-loop-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    devices_.push_back(make_cpu_device(256U << 20, 1, 0));
    records_.emplace(WorkerRecords::open(folder_, Incarnation(3)).value());
    WorkerLoopParts parts;
    parts.clock = &system_clock();
    parts.devices = &devices_;
    parts.artifacts = &artifacts_;
    parts.link = &link_;
    parts.records = &*records_;
    WorkerCoreConfig core;
    core.incarnation = Incarnation(3);
    loop_ = std::make_unique<WorkerLoop>(core, parts);
    loop_->post(StreamConnected{});
    loop_->post(Welcome{});
  }
  ~WorkerLoopTest() override {
    loop_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // Turns until the condition holds; what the executors do arrives in between. False after ten
  // seconds.
  bool turn_until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (std::chrono::steady_clock::now() < end) {
      loop_->turn();
      if (holds()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  OfferSeat offer(std::uint64_t tiles = 10, Duration funded = 60s) {
    geometry_.m = 16 * tiles;
    geometry_.k = 24;
    geometry_.n = 16;
    geometry_.tile_rows = geometry_.tile_columns = 16;
    geometry_.panel_depth = 24;
    v1::Plan plan;
    plan::set_geometry(geometry_, *plan.mutable_matmul());
    OfferSeat o;
    o.seat = kSeat;
    o.memory_bytes = plan::matmul_memory(geometry_, 1).total_bytes();
    o.threads = 1;
    o.funded_for = funded;
    o.stop_time = 1s;
    o.job = "projects/p/jobs/\"x\"";
    o.capability = "first";
    o.plan = std::make_shared<const std::string>(plan.SerializeAsString());
    return o;
  }
  template <class T>
  std::optional<T> reported() {
    for (const Output& o : link_.sent) {
      const auto* report = std::get_if<SendReport>(&o);
      if (report == nullptr) continue;
      if (const T* t = std::get_if<T>(&report->report)) return *t;
    }
    return std::nullopt;
  }
  std::size_t delivered() {
    const MutexLock lock(artifacts_.mutex);
    return artifacts_.tiles.size();
  }
  void gate(bool open) {
    const MutexLock lock(artifacts_.mutex);
    artifacts_.open_gate = open;
    artifacts_.changed.notify_all();
  }
  bool sending() {
    const MutexLock lock(artifacts_.mutex);
    return artifacts_.waiting > 0;
  }

  std::filesystem::path folder_;
  OnesArtifacts artifacts_;
  RecordingLink link_;
  ComputePool devices_;
  std::optional<WorkerRecords> records_;
  std::unique_ptr<WorkerLoop> loop_;
  plan::MatmulGeometry geometry_;
};

TEST_F(WorkerLoopTest, ASeatBeginsWorksStopsAndGivesEverythingBack) {
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return delivered() == 10; }));
  for (const auto& [unit, value] : artifacts_.tiles) EXPECT_EQ(value, 24.0F);
  EXPECT_GT(devices_[0]->memory().held_bytes(), 0U);
  loop_->post(StopSeat{kSeat, "done"});
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  EXPECT_EQ(reported<SeatEnded>()->end, SeatEnd::kFinished);
  EXPECT_EQ(devices_[0]->memory().held_bytes(), 0U);
  EXPECT_GT(reported<SeatEnded>()->memory_peak_bytes, 0U);
  EXPECT_LE(reported<SeatEnded>()->memory_peak_bytes,
            plan::matmul_memory(geometry_, 1).total_bytes());
}

TEST_F(WorkerLoopTest, ASeatWhoseProductsAreHalvedTakesWhatItsPlanSays) {
  geometry_.strassen_levels = 2;
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return delivered() == 10; }));
  for (const auto& [unit, value] : artifacts_.tiles) EXPECT_EQ(value, 24.0F);
  loop_->post(StopSeat{kSeat, "done"});
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  EXPECT_EQ(reported<SeatEnded>()->end, SeatEnd::kFinished);
  EXPECT_EQ(devices_[0]->memory().held_bytes(), 0U);
  const plan::MatmulMemory sizes = plan::matmul_memory(geometry_, 1);
  EXPECT_GT(sizes.strassen_bytes, 0U);
  EXPECT_LE(reported<SeatEnded>()->memory_peak_bytes, sizes.total_bytes());
}

TEST_F(WorkerLoopTest, AHeartbeatSaysWhatASeatHoldsWhileAUnitIsUnderWay) {
  gate(false);
  Welcome often;
  often.heartbeat_every = 50ms;
  loop_->post(often);
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return sending(); }));
  link_.sent.clear();
  std::uint64_t used = 0;
  ASSERT_TRUE(turn_until([&] {
    for (const Output& o : link_.sent)
      if (const auto* beat = std::get_if<SendHeartbeat>(&o); beat && !beat->seats.empty())
        used = beat->seats[0].memory_used_bytes;
    return used > 0;
  }));
  // Tiles and panels, and the workspace, which is held without allocating; no unit was answered.
  EXPECT_GT(devices_[0]->memory().held_bytes(), 0U);
  EXPECT_GE(used, devices_[0]->memory().held_bytes());
  EXPECT_LE(used, plan::matmul_memory(geometry_, 1).total_bytes());
  gate(true);
}

TEST_F(WorkerLoopTest, WhatCannotBeDeliveredIsAbandonedWhenTheFundingEnds) {
  gate(false);
  OfferSeat o = offer(10, 200ms);
  o.stop_time = 100ms;
  loop_->post(o);
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  EXPECT_EQ(reported<SeatEnded>()->end, SeatEnd::kFundsEnded);
  EXPECT_LE(reported<SeatEnded>()->used, 200ms);
  EXPECT_EQ(devices_[0]->memory().held_bytes(), 0U);
  EXPECT_EQ(delivered(), 0U);
}

TEST_F(WorkerLoopTest, FinishedTilesWaitInBoundedMemoryAndGoOnLater) {
  gate(false);
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return sending(); }));
  EXPECT_LE(devices_[0]->memory().held_bytes(), plan::matmul_memory(geometry_, 1).total_bytes());
  gate(true);
  ASSERT_TRUE(turn_until([&] { return delivered() == 10; }));
}

TEST_F(WorkerLoopTest, ASeatThatIsCutOffGoesOnAndItsTilesWaitOnDisk) {
  gate(false);
  artifacts_.is_connected = false;
  artifacts_.spool = folder_;
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  // The last tile is computed while the first one still waits to be sent: then the executor is
  // idle.
  ASSERT_TRUE(turn_until([&] { return sending(); }));
  std::promise<void> idle;
  std::function<void(int)> pass = [&](int times) {
    devices_[0]->post([&, times] { times == 0 ? idle.set_value() : pass(times - 1); });
  };
  pass(30);  // behind each of the ten units, which post one another
  idle.get_future().wait();
  loop_->post(StopSeat{kSeat, {}});
  loop_->turn();
  gate(true);
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  // Stopping drops what was not computed; everything was.
  EXPECT_EQ(delivered(), 10U);
  for (const auto& [unit, value] : artifacts_.tiles) EXPECT_EQ(value, 24.0F);
}

TEST_F(WorkerLoopTest, ReclaimedUnitsAreNotDelivered) {
  gate(false);
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return sending(); }));
  loop_->post(ReclaimUnits{kSeat, UnitRanges({2, 10})});
  loop_->turn();
  gate(true);
  loop_->post(StopSeat{kSeat, {}});
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  for (const auto& [unit, value] : artifacts_.tiles) EXPECT_LT(unit, 2U);
  EXPECT_GE(delivered(), 1U);
}

TEST_F(WorkerLoopTest, ATileThatIsNotTakenFailsTheSeat) {
  artifacts_.broken = true;
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  EXPECT_EQ(reported<SeatEnded>()->end, SeatEnd::kFailed);
  EXPECT_EQ(reported<SeatEnded>()->message, "the result is sealed");
}

TEST_F(WorkerLoopTest, SeatsThatCannotBeginSayWhy) {
  struct Case {
    std::function<void(OfferSeat&)> spoil;
    std::string says;
  };
  const std::vector<Case> cases = {
      {[](OfferSeat& o) { o.memory_bytes = 1000; }, "1000 B allowed"},
      {[](OfferSeat& o) { o.plan = std::make_shared<const std::string>("\xff\xff"); },
       "cannot be read"},
      {[](OfferSeat& o) { o.plan = nullptr; }, "cannot be read"},
      {[](OfferSeat& o) { o.plan = std::make_shared<const std::string>(); },
       "does not know the workload"},
  };
  std::uint32_t number = 1;
  for (const Case& c : cases) {
    link_.sent.clear();
    OfferSeat o = offer();
    o.seat.number = number++;
    c.spoil(o);
    loop_->post(o);
    ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
    EXPECT_EQ(reported<SeatEnded>()->end, SeatEnd::kRefused);
    EXPECT_NE(reported<SeatEnded>()->message.find(c.says), std::string::npos)
        << reported<SeatEnded>()->message;
  }
  EXPECT_EQ(devices_[0]->memory().held_bytes(), 0U);
}

TEST_F(WorkerLoopTest, ACapabilityThatIsRenewedWhileTheSeatBeginsIsNotLost) {
  loop_->post(offer());
  loop_->post(FundSeat{kSeat, 90s, "second"});
  ASSERT_TRUE(turn_until([&] {
    const MutexLock lock(artifacts_.mutex);
    return artifacts_.last_capability == "second";
  }));
}

TEST_F(WorkerLoopTest, ALongQueueOfOrdersAsksTheStreamToWaitAndThenToGoOn) {
  bool room = false;
  loop_->set_room_callback([&] { room = true; });
  std::vector<Input> many(5000, Input(Acknowledge{1}));
  EXPECT_FALSE(loop_->post_orders(many));
  EXPECT_FALSE(room);
  loop_->turn();
  EXPECT_TRUE(room);
  EXPECT_TRUE(loop_->post_orders({Acknowledge{2}}));
}

TEST_F(WorkerLoopTest, DestroyedInTheMiddleItLeavesNothingBehind) {
  gate(false);
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  ASSERT_TRUE(turn_until([&] { return sending(); }));
  loop_.reset();
  EXPECT_EQ(devices_[0]->memory().held_bytes(), 0U);
}

TEST_F(WorkerLoopTest, ShutDownHandsBackAndEnds) {
  std::thread runner([&] { loop_->run(); });
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 10})});
  loop_->post(ShutDown{2s});
  loop_->post(Acknowledge{1000});
  std::jthread acknowledger([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      loop_->post(Acknowledge{1000});
      std::this_thread::yield();
    }
  });
  runner.join();
  acknowledger.request_stop();
  ASSERT_TRUE(reported<SeatEnded>().has_value());
}

TEST_F(WorkerLoopTest, TheRecordsSayWhatTheReportsSay) {
  const auto before = system_clock().monotonic();
  loop_->post(offer());
  loop_->post(HandOutUnits{kSeat, UnitRanges({0, 3})});
  ASSERT_TRUE(turn_until([&] { return delivered() == 3; }));
  loop_->post(StopSeat{kSeat, {}});
  ASSERT_TRUE(turn_until([&] { return reported<SeatEnded>().has_value(); }));
  loop_->post(Acknowledge{2});
  loop_->turn();
  const auto lines = test::lines_of(folder_ / "seats.jsonl");
  ASSERT_GE(lines.size(), 3U);
  EXPECT_EQ(lines.front()["record"], "began");
  EXPECT_EQ(lines.front()["job"], "projects/p/jobs/\"x\"");
  EXPECT_EQ(lines.front()["incarnation"], 3);
  const auto working = std::find_if(lines.begin(), lines.end(),
                                    [](const auto& line) { return line["record"] == "working"; });
  ASSERT_NE(working, lines.end());
  EXPECT_EQ((*working)["seat"], "7/1/1");
  const auto at = std::chrono::microseconds((*working)["monotonic_us"].get<std::int64_t>());
  EXPECT_GE(at, std::chrono::duration_cast<std::chrono::microseconds>(before));
  EXPECT_LE(at, system_clock().monotonic());
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const auto& line) { return line["record"] == "working"; }),
            1);
  const auto& ended = lines[lines.size() - 2];
  EXPECT_EQ(ended["record"], "ended");
  EXPECT_EQ(ended["used_ms"], reported<SeatEnded>()->used.count());
  EXPECT_EQ(ended["end"], "FINISHED");
  EXPECT_EQ(lines.back()["report"], 2);
}

}  // namespace
}  // namespace overwinter::worker
