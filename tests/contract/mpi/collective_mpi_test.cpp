// The suite of collectives over Open MPI: every rank runs this program under mpirun, and any rank's
// failure is the run's.
#include "worker/gang/mpi_collective.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/contract/collective_suite.h"

namespace overwinter::worker {
namespace {

class MpiCollectiveTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = MpiCollective::make();
    ASSERT_TRUE(made) << made.error().message;
    collective_ = std::move(*made);
  }
  std::unique_ptr<MpiCollective> collective_;
};

TEST_F(MpiCollectiveTest, keeps_the_suite) {
  EXPECT_EQ(CollectiveSuite(*collective_).run(), std::vector<std::string>{});
}

// One that nobody waits for has ended before its values go.
TEST_F(MpiCollectiveTest, dropped) {
  {
    std::vector<float> values(2'000'000, 1.0F);
    ASSERT_TRUE(collective_->start_all_reduce_sum(values));
  }
  ASSERT_TRUE(collective_->barrier().ok());
}

TEST_F(MpiCollectiveTest, all_meet) {
  std::vector<std::size_t> met;
  ASSERT_TRUE(collective_->meet_all([&](std::size_t rank) { met.push_back(rank); }).ok());
  EXPECT_EQ(met.size(), collective_->size() - 1);
}

// Not a limit, a figure: 64 MB as the collective does it and as one call of MPI. On an idle machine
// alone.
TEST_F(MpiCollectiveTest, rate) {
  if (std::getenv("OVERWINTER_MEASURE") == nullptr) GTEST_SKIP() << "set OVERWINTER_MEASURE";
  using Clock = std::chrono::steady_clock;
  std::vector<float> values(16 << 20, 0.0F);
  const auto rate = [&](const auto& reduce) {
    reduce();  // pages and connections
    const auto begin = Clock::now();
    for (int i = 0; i < 3; ++i) reduce();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count() / 3;
    return static_cast<double>(values.size() * sizeof(float)) / seconds / 1e9;
  };
  const double pieces =
      rate([&] { ASSERT_TRUE(collective_->all_reduce_sum(std::span(values)).ok()); });
  const double started = rate([&] {
    auto pending = collective_->start_all_reduce_sum(values);
    ASSERT_TRUE(pending && (*pending)->wait().ok());
  });
  const double whole = rate([&] {
    MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
  });
  if (collective_->rank() == 0) {
    std::printf("64 MB: %.2f GB/s in pieces, %.2f started, %.2f in one call\n", pieces, started,
                whole);
  }
}

}  // namespace
}  // namespace overwinter::worker

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  const int failed = RUN_ALL_TESTS();
  int any = 0;
  MPI_Allreduce(&failed, &any, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return any;
}
