// A whole worker against a small coordinator over real TLS.
#include "worker/rpc/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "common/base/clock.h"
#include "common/plan/matmul_geometry.h"
#include "common/plan/memory_estimate.h"
#include "overwinter/v1/job.pb.h"
#include "tests/unit/worker/rpc/fake_coordinator.h"
#include "worker/rpc/join.h"
#include "worker/rpc/seat_artifacts.h"
#include "worker/runtime/worker_loop.h"

namespace overwinter::worker {
namespace {

class WorkerUnderTest {
 public:
  WorkerUnderTest(FakeCoordinator& coordinator, const std::filesystem::path& folder)
      : records_(WorkerRecords::open(folder, Incarnation(5)).value()),
        session_(
            config(coordinator, folder),
            [this](std::vector<Input> inputs) { return loop_->post_orders(std::move(inputs)); }),
        artifacts_({[this] { return session_.artifacts(); },
                    [this] { return session_.descriptor_socket(); }, Duration(10), Duration(50)}) {
    devices_.push_back(make_cpu_device(64U << 20, 1, 0));
    WorkerLoopParts parts;
    parts.clock = &system_clock();
    parts.devices = &devices_;
    parts.artifacts = &artifacts_;
    parts.link = &session_;
    parts.records = &records_;
    parts.generation_changed = [this](Generation g) { generation = g; };
    WorkerCoreConfig core;
    core.incarnation = Incarnation(5);
    loop_ = std::make_unique<WorkerLoop>(core, parts);
    loop_->set_room_callback([this] { session_.have_room(); });
    session_.start();
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~WorkerUnderTest() {
    stop();
    loop_.reset();
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->post(ShutDown{Duration(1000)});
    thread_.join();
    session_.stop(Duration(200));
  }
  Generation generation;

 private:
  static SessionConfig config(FakeCoordinator& coordinator, const std::filesystem::path& folder) {
    SessionConfig config;
    config.data_folder = folder;
    config.addresses = {coordinator.address()};
    config.machine.host_id = "host";
    config.machine.version = "0.1.0";
    DeviceInfo device;
    device.kind = "cpu";
    device.memory_bytes = 64U << 20;
    device.threads = 1;
    config.machine.devices = {device};
    config.first_pause = Duration(10);
    config.longest_pause = Duration(50);
    return config;
  }
  ComputePool devices_;
  WorkerRecords records_;
  Session session_;
  RemoteArtifacts artifacts_;
  std::unique_ptr<WorkerLoop> loop_;
  std::thread thread_;
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() : folder_(fresh_folder()) {}
  ~SessionTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void join_cluster() {
    JoinWish wish;
    wish.name = "box";
    auto joined = join(coordinator_.join_file(), wish, folder_, Duration(5000));
    ASSERT_TRUE(joined.has_value()) << joined.error().message;
    EXPECT_EQ(joined->worker, 12U);
    EXPECT_EQ(joined->name, "box-2");
  }
  static v1::SeatKey seat() {
    v1::SeatKey key;
    key.set_job(7);
    key.set_attempt(1);
    key.set_number(1);
    return key;
  }
  // Puts A and B into the store and makes the offer of a seat for their product.
  v1::OfferSeat product(std::uint64_t m, std::uint64_t k, std::uint64_t n) {
    geometry_.m = m;
    geometry_.k = k;
    geometry_.n = n;
    geometry_.tile_rows = 20;
    geometry_.tile_columns = 30;
    geometry_.panel_depth = 16;
    geometry_.group_rows = 2;
    coordinator_.store.matrices["a"] = matrix(m, k, 1);
    coordinator_.store.matrices["b"] = matrix(k, n, 2);
    v1::Plan plan;
    plan::set_geometry(geometry_, *plan.mutable_matmul());
    plan.mutable_matmul()->set_a_digest("a");
    plan.mutable_matmul()->set_b_digest("b");
    v1::OfferSeat offer;
    *offer.mutable_seat() = seat();
    offer.set_memory_bytes(plan::matmul_memory(geometry_, 1).total_bytes());
    offer.set_threads(1);
    offer.mutable_funded_for()->set_seconds(60);
    offer.mutable_stop_time()->set_seconds(1);
    offer.set_job("projects/demo/jobs/x");
    offer.set_capability("may");
    offer.set_plan(plan.SerializeAsString());
    return offer;
  }
  static FakeStore::Matrix matrix(std::uint64_t rows, std::uint64_t columns, std::uint64_t seed) {
    FakeStore::Matrix made{rows, columns, std::vector<float>(rows * columns)};
    for (std::size_t i = 0; i < made.values.size(); ++i) {
      made.values[i] = static_cast<float>((i * 7 + seed * 13) % 11) - 5.0F;
    }
    return made;
  }
  v1::CoordinatorMessage hand_out(std::uint64_t begin, std::uint64_t end) {
    v1::CoordinatorMessage message;
    *message.mutable_hand_out_units()->mutable_seat() = seat();
    auto* range = message.mutable_hand_out_units()->add_units();
    range->set_begin(begin);
    range->set_end(end);
    return message;
  }
  void expect_right() {
    const auto& a = coordinator_.store.matrices["a"];
    const auto& b = coordinator_.store.matrices["b"];
    for (const auto& [unit, bytes] : coordinator_.tiles()) {
      const plan::Tile tile = geometry_.grid().tile(unit);
      ASSERT_EQ(bytes.size(), tile.elements() * sizeof(float));
      for (std::uint64_t i = 0; i < tile.rows(); ++i) {
        for (std::uint64_t j = 0; j < tile.columns(); ++j) {
          float want = 0;  // small integers: exact
          for (std::uint64_t l = 0; l < geometry_.k; ++l) {
            want += a.values[(tile.row_begin + i) * a.columns + l] *
                    b.values[l * b.columns + tile.column_begin + j];
          }
          float got = 0;
          std::memcpy(&got, bytes.data() + (i * tile.columns() + j) * sizeof(float), sizeof(float));
          ASSERT_EQ(want, got);
        }
      }
    }
  }
  static bool has_end(const std::vector<v1::WorkerMessage>& messages, v1::SeatEnded::End end) {
    return std::any_of(messages.begin(), messages.end(), [end](const v1::WorkerMessage& m) {
      return m.report().has_seat_ended() && m.report().seat_ended().end() == end;
    });
  }
  static bool has_began(const std::vector<v1::WorkerMessage>& messages) {
    return std::any_of(messages.begin(), messages.end(),
                       [](const v1::WorkerMessage& m) { return m.report().has_seat_began(); });
  }
  bool until_tiles(std::size_t count) {
    return coordinator_.until([&](const auto&) { return coordinator_.tiles_now() >= count; });
  }

  FakeCoordinator coordinator_;
  std::filesystem::path folder_;
  plan::MatmulGeometry geometry_;
};

TEST_F(SessionTest, JoinKeepsACertificateThatIsThisWorkersAlone) {
  join_cluster();
  const auto leaf = load_leaf(leaf_folder(folder_)).value();
  EXPECT_EQ(identity_of_certificate(leaf.leaf.cert_chain_pem).value().id, "12");
  EXPECT_EQ(std::filesystem::status(leaf_paths(leaf_folder(folder_)).key).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "join.key"));
}

TEST_F(SessionTest, AJoinThatIsRefusedSaysWhyAndKeepsItsKey) {
  JoinWish wish;
  wish.name = "unwanted";
  auto joined = join(coordinator_.join_file(), wish, folder_, Duration(3000));
  ASSERT_FALSE(joined.has_value());
  EXPECT_EQ(joined.error().code, Code::kPermissionDenied);
  EXPECT_EQ(joined.error().message, "the join file has no use left");
  // The same key again: the coordinator sees the same worker.
  const std::string key = std::filesystem::exists(folder_ / "join.key") ? "kept" : "lost";
  EXPECT_EQ(key, "kept");
}

TEST_F(SessionTest, JoiningNobodyIsUnavailableAndAWrongPinIsRefused) {
  JoinFile file = coordinator_.join_file();
  JoinFile nobody = file;
  nobody.addresses = {"127.0.0.1:1"};
  EXPECT_EQ(join(nobody, JoinWish{}, folder_, Duration(1)).error().code, Code::kUnavailable);
  file.root_fingerprint.bytes[3] ^= 1;
  EXPECT_EQ(join(file, JoinWish{}, folder_, Duration(1)).error().code, Code::kUnauthenticated);
}

TEST_F(SessionTest, AProductIsComputedAndDeliveredOverTls) {
  join_cluster();
  *coordinator_.next_welcome.add_start() = product(50, 40, 70);
  coordinator_.next_welcome.set_generation(9);
  WorkerUnderTest worker(coordinator_, folder_);
  ASSERT_TRUE(coordinator_.until(has_began));
  coordinator_.say(hand_out(0, geometry_.grid().units()));
  ASSERT_TRUE(until_tiles(geometry_.grid().units()));
  expect_right();
  v1::CoordinatorMessage stop;
  *stop.mutable_stop_seat()->mutable_seat() = seat();
  coordinator_.say(stop);
  ASSERT_TRUE(
      coordinator_.until([](const auto& m) { return has_end(m, v1::SeatEnded::FINISHED); }));
  worker.stop();
  EXPECT_EQ(worker.generation, Generation(9));
  std::ifstream records(folder_ / "seats.jsonl");
  const std::string text((std::istreambuf_iterator<char>(records)), {});
  EXPECT_NE(text.find("\"record\": \"began\""), std::string::npos);
  EXPECT_NE(text.find("\"record\": \"ended\""), std::string::npos);
  EXPECT_NE(text.find("\"seat\": \"7/1/1\""), std::string::npos);
}

TEST_F(SessionTest, ASeatThatDoesNotFitItsMemoryIsRefusedWithTheNumbers) {
  join_cluster();
  v1::OfferSeat offer = product(50, 40, 70);
  offer.set_memory_bytes(offer.memory_bytes() - 1);
  *coordinator_.next_welcome.add_start() = offer;
  WorkerUnderTest worker(coordinator_, folder_);
  ASSERT_TRUE(coordinator_.until([](const auto& m) { return has_end(m, v1::SeatEnded::REFUSED); }));
  for (const auto& m : coordinator_.messages()) {
    if (!m.report().has_seat_ended()) continue;
    EXPECT_NE(m.report().seat_ended().message().find("allowed"), std::string::npos);
  }
}

TEST_F(SessionTest, ALostCoordinatorStopsNothingAndTilesWaitForIt) {
  join_cluster();
  *coordinator_.next_welcome.add_start() = product(50, 40, 70);
  WorkerUnderTest worker(coordinator_, folder_);
  ASSERT_TRUE(coordinator_.until(has_began));
  const std::string address = coordinator_.address();
  coordinator_.put_failures = 3;
  coordinator_.say(hand_out(0, geometry_.grid().units()));
  coordinator_.drop_stream();
  coordinator_.stop();
  coordinator_.start(address);
  ASSERT_TRUE(until_tiles(geometry_.grid().units()));
  expect_right();
  // It came back and said what it holds, with the same incarnation.
  ASSERT_TRUE(coordinator_.until([](const auto& messages) {
    return std::count_if(messages.begin(), messages.end(), [](const v1::WorkerMessage& m) {
             return m.has_hello() && m.hello().incarnation() == 5;
           }) >= 2;
  }));
}

TEST_F(SessionTest, HeartbeatsAndReportsComeInOrder) {
  join_cluster();
  v1::OfferSeat offer = product(10, 10, 10);
  v1::Plan noop;
  noop.mutable_noop()->set_units(5000);
  offer.set_plan(noop.SerializeAsString());
  *coordinator_.next_welcome.add_start() = offer;
  WorkerUnderTest worker(coordinator_, folder_);
  ASSERT_TRUE(coordinator_.until(has_began));
  coordinator_.say(hand_out(0, 5000));
  std::uint64_t done = 0;
  ASSERT_TRUE(coordinator_.until([&](const auto& messages) {
    done = 0;
    bool beat = false;
    for (const v1::WorkerMessage& m : messages) {
      for (const auto& r : m.report().units_reported().units()) done += r.end() - r.begin();
      beat = beat || m.heartbeat().seats_size() == 1;
    }
    return done == 5000 && beat;
  }));
  std::uint64_t last = 0;
  for (const v1::WorkerMessage& m : coordinator_.messages()) {
    if (!m.has_report()) continue;
    EXPECT_EQ(m.report().number(), last + 1);
    last = m.report().number();
  }
}

TEST_F(SessionTest, ABlobThatIsGoneFailsTheSeatInASentence) {
  join_cluster();
  *coordinator_.next_welcome.add_start() = product(50, 40, 70);
  coordinator_.store.matrices.erase("b");
  WorkerUnderTest worker(coordinator_, folder_);
  ASSERT_TRUE(coordinator_.until(has_began));
  coordinator_.say(hand_out(0, 3));
  ASSERT_TRUE(coordinator_.until([](const auto& m) { return has_end(m, v1::SeatEnded::FAILED); }));
}

TEST_F(SessionTest, RenewInstallsANewCertificate) {
  join_cluster();
  const std::string before = load_leaf(leaf_folder(folder_)).value().leaf.cert_chain_pem;
  auto credentials = worker_client_credentials(leaf_folder(folder_)).value();
  auto channel = grpc::CreateChannel(coordinator_.address(), credentials);
  ASSERT_TRUE(renew(channel, folder_, Duration(5000)).ok());
  EXPECT_NE(load_leaf(leaf_folder(folder_)).value().leaf.cert_chain_pem, before);
}

}  // namespace
}  // namespace overwinter::worker
