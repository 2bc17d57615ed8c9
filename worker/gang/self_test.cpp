#include "worker/gang/self_test.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace overwinter::worker {
namespace {

constexpr std::uint64_t kElementsMax = std::uint64_t{1} << 28;
constexpr Duration kSelfTestAnswerWithin{60'000};

// What the rank puts in: whole numbers, so that the sum is exact in any order.
float value_of(std::uint64_t step, std::size_t rank, std::size_t i) {
  return static_cast<float>((step * 31 + rank * 7 + i) % 1000);
}

Status check_sums(const std::vector<float>& sums, std::uint64_t step, std::size_t ranks) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    float expected = 0;
    for (std::size_t rank = 0; rank < ranks; ++rank) expected += value_of(step, rank, i);
    if (sums[i] != expected) {
      return error(Code::kDataLoss,
                   fmt::format("step {}: element {} of the sum is {} and not {}", step, i, sums[i],
                               expected),
                   "sums");
    }
  }
  return Status::success();
}

Status write_synced(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written =
      file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::fsync(file) == 0;
  const int failed = errno;
  if (file >= 0) ::close(file);
  if (written) return Status::success();
  return error(Code::kInternal, "cannot write " + path + ": " + std::strerror(failed));
}

Status write_checkpoint(RankPort& port, std::size_t rank, std::uint64_t step) {
  v1::RankCheckpoint checkpoint;
  checkpoint.set_step(step);
  v1::LocalFile& file = *checkpoint.add_files();
  const std::string text = std::to_string(step);
  file.set_name(fmt::format("self-test-{}", rank));
  file.set_path(port.task().job_directory() + "/" + file.name());
  file.set_size_bytes(text.size());
  if (Status written = write_synced(file.path(), text); !written.ok()) return written;
  if (Status sent = port.send_checkpoint(checkpoint); !sent.ok()) return sent;
  const auto kept = port.wait_checkpoint_answer(kSelfTestAnswerWithin);
  if (!kept) return kept.error();
  if (!kept->error().empty()) return error(Code::kAborted, kept->error());
  return Status::success();
}

// What all ranks do after this step: the strongest that anybody was asked for.
struct AgreedStop {
  bool checkpoint = false;
  bool end = false;
};
Result<AgreedStop> agree(Collective& collective, RankPort& port, std::uint32_t& checkpoints_done) {
  const v1::RankStop::How how = port.stop_asked();
  // A checkpoint in passing was sent to every rank: it is taken once the last of them has heard of
  // it.
  const bool passing = port.checkpoints_asked() > checkpoints_done;
  std::array<float, 3> asked{how == v1::RankStop::NOW ? 1.0F : 0.0F,
                             how == v1::RankStop::AFTER_CHECKPOINT ? 1.0F : 0.0F,
                             passing ? 1.0F : 0.0F};
  if (Status summed = collective.all_reduce_sum(std::span<float>(asked)); !summed.ok()) {
    return fail(summed);
  }
  if (asked[0] > 0) return AgreedStop{false, true};
  if (asked[1] > 0) return AgreedStop{true, true};
  const bool all = asked[2] == static_cast<float>(collective.size());
  if (all) ++checkpoints_done;
  return AgreedStop{all, false};
}

Status first_step(RankPort& port, std::uint64_t& step) {
  step = port.task().first_step();
  if (port.task().self_test().elements() > kElementsMax) {
    return error(Code::kInvalidArgument,
                 fmt::format("a self-test sums at most {} elements", kElementsMax));
  }
  return Status::success();
}

}  // namespace

Status SelfTest::run(Collective& collective, RankPort& port) {
  const v1::SelfTest& test = port.task().self_test();
  std::uint64_t step = 0;
  if (Status begun = first_step(port, step); !begun.ok()) return begun;
  std::vector<float> values(test.elements());
  std::uint32_t checkpoints_done = 0;
  while (step < port.task().steps()) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = value_of(step, collective.rank(), i);
    }
    auto sum = collective.start_all_reduce_sum(values);
    if (!sum) return sum.error();
    // Stands for the work of a step, during which a reduction goes on.
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(test.step_ms())) {
      collective.progress();
      std::this_thread::yield();
    }
    if (Status done = (*sum)->wait(); !done.ok()) return done;
    if (Status right = check_sums(values, step, collective.size()); !right.ok()) return right;
    ++step;
    v1::RankProgress progress;
    progress.set_step(step);
    progress.set_phase("train");
    progress.set_loss(1.0 / static_cast<double>(step));
    port.progress(progress);
    const auto agreed = agree(collective, port, checkpoints_done);
    if (!agreed) return agreed.error();
    if (agreed->checkpoint) {
      if (Status kept = write_checkpoint(port, collective.rank(), step); !kept.ok()) return kept;
    }
    if (agreed->end) break;
  }
  return collective.barrier();
}

}  // namespace overwinter::worker
