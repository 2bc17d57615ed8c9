// The suite of every Collective, run on the forms within one process; Open MPI's runs it under
// mpirun.
#include "worker/collective/collective.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/contract/collective_suite.h"
#include "worker/collective/single_collective.h"
#include "worker/collective/thread_collective.h"

namespace overwinter::worker {
namespace {

// Runs `work` for each rank on a thread of its own.
template <class Work>
void on_ranks(std::size_t ranks, Work work) {
  ThreadGroup group(ranks);
  std::vector<std::unique_ptr<Collective>> ends;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks; ++r) ends.push_back(group.end_of(r));
  for (std::size_t r = 0; r < ranks; ++r) threads.emplace_back([&, r] { work(r, ends[r]); });
  for (std::thread& thread : threads) thread.join();
}

TEST(CollectiveContract, Single) {
  SingleCollective single;
  EXPECT_EQ(CollectiveSuite(single).run(), std::vector<std::string>{});
}

TEST(CollectiveContract, Threads) {
  for (const std::size_t ranks : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{5}}) {
    std::vector<std::vector<std::string>> wrong(ranks);
    on_ranks(ranks, [&](std::size_t r, std::unique_ptr<Collective>& end) {
      wrong[r] = CollectiveSuite(*end).run();
    });
    for (const auto& of_rank : wrong) EXPECT_EQ(of_rank, std::vector<std::string>{});
  }
}

// A collective that leaves out one rank's values.
class Forgetful final : public Collective {
 public:
  explicit Forgetful(Collective& inner) : inner_(inner) {}
  [[nodiscard]] std::size_t rank() const override { return inner_.rank(); }
  [[nodiscard]] std::size_t size() const override { return inner_.size(); }
  Status all_reduce_sum(std::span<float> values) override {
    if (rank() == 1 && !values.empty()) values.back() = 0;
    return inner_.all_reduce_sum(values);
  }
  Status all_reduce_sum(std::span<double> values) override { return inner_.all_reduce_sum(values); }
  [[nodiscard]] Result<std::unique_ptr<Pending>> start_all_reduce_sum(
      std::span<float> values) override {
    return inner_.start_all_reduce_sum(values);
  }
  Status broadcast(std::span<std::byte> bytes, std::size_t root) override {
    return inner_.broadcast(bytes, root);
  }
  Status barrier() override { return inner_.barrier(); }

 private:
  Collective& inner_;
};

TEST(CollectiveContract, TheSuiteFindsALostValue) {
  std::vector<std::vector<std::string>> wrong(2);
  on_ranks(2, [&](std::size_t r, std::unique_ptr<Collective>& end) {
    Forgetful forgetful(*end);
    wrong[r] = CollectiveSuite(forgetful).run();
  });
  EXPECT_FALSE(wrong[0].empty());
}

TEST(ThreadCollective, NobodyWaitsForARankThatIsGone) {
  on_ranks(3, [&](std::size_t r, std::unique_ptr<Collective>& end) {
    if (r == 2) {
      end.reset();
      return;
    }
    EXPECT_EQ(end->barrier().code, Code::kAborted);
    std::vector<float> one(1);
    EXPECT_EQ(end->all_reduce_sum(std::span(one)).code, Code::kAborted);
  });
}

TEST(ThreadCollective, CallsThatDifferEndTheGroup) {
  on_ranks(2, [&](std::size_t r, std::unique_ptr<Collective>& end) {
    std::vector<float> values(r + 1);
    EXPECT_EQ(end->all_reduce_sum(std::span(values)).code, Code::kAborted);
  });
}

}  // namespace
}  // namespace overwinter::worker
