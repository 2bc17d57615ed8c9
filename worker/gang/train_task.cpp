#include "worker/gang/train_task.h"

#include <fmt/core.h>

#include <array>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "common/base/log.h"
#include "worker/gang/checkpoint_sender.h"
#include "worker/gang/train_load.h"

namespace overwinter::worker {
namespace {

constexpr std::uint64_t kCheckpointSamples = 64;  // of the validation part
constexpr Duration kLookForStopEvery{500};        // for a stop, while an answer is awaited
constexpr Duration kAnswerWithin{30 * 60'000};    // as long as a gang may stand still
constexpr int kLastTries = 2;

struct Agreed {
  bool now = false;
  bool after_checkpoint = false;
  bool checkpoint = false;
};

class Training {
 public:
  Training(Collective& collective, RankPort& port, const Clock& clock, LoadedTraining& loaded)
      : collective_(collective),
        port_(port),
        clock_(clock),
        loaded_(loaded),
        trainer_(*loaded.trainer),
        sender_(port.task().job_directory()),
        last_checkpoint_(clock.monotonic()) {}

  Status run();

 private:
  [[nodiscard]] bool leads() const { return collective_.rank() == 0; }
  [[nodiscard]] bool checkpoint_due() const;
  Result<Agreed> agree();
  Status step();
  Status validate(std::uint64_t samples_max);
  Status checkpoint();
  Status write();
  Status finish(std::uint64_t samples_max);
  Status keep_last();
  Status wait_for_answer();
  void take_answer();
  void tell(const std::string& phase);
  void tell_failure(const Status& why);

  Collective& collective_;
  RankPort& port_;
  const Clock& clock_;
  LoadedTraining& loaded_;
  Trainer& trainer_;
  CheckpointSender sender_;  // rank 0's
  std::chrono::nanoseconds last_checkpoint_;
  std::uint32_t passing_done_ = 0;
  bool stepped_ = false;
  double loss_ = 0;
  v1::RankProgress progress_;
};

Status Training::run() {
  for (;;) {
    if (leads()) take_answer();
    const auto agreed = agree();
    if (!agreed) return agreed.error();
    if (agreed->now) return collective_.barrier();
    if (trainer_.finished()) return finish(0);
    if (agreed->after_checkpoint) return finish(kCheckpointSamples);
    if (agreed->checkpoint) {
      if (Status done = checkpoint(); !done.ok()) return done;
    }
    if (Status done = step(); !done.ok()) return done;
  }
}

// Asked of rank 0 only: others know neither its clock nor what is on its way.
bool Training::checkpoint_due() const {
  if (!stepped_ || sender_.busy()) return false;
  const v1::RankTask& task = port_.task();
  const std::uint64_t steps = task.checkpoint_every_steps();
  const std::chrono::milliseconds every(task.checkpoint_every_ms());
  return (steps > 0 && trainer_.steps_done() % steps == 0) ||
         (every.count() > 0 && clock_.monotonic() - last_checkpoint_ >= every) ||
         port_.checkpoints_asked() > passing_done_;
}

Result<Agreed> Training::agree() {
  const v1::RankStop::How how = port_.stop_asked();
  std::array<float, 3> asked{how == v1::RankStop::NOW ? 1.0F : 0.0F,
                             how == v1::RankStop::AFTER_CHECKPOINT ? 1.0F : 0.0F,
                             leads() && checkpoint_due() ? 1.0F : 0.0F};
  if (Status s = collective_.all_reduce_sum(std::span<float>(asked)); !s.ok()) return fail(s);
  return Agreed{asked[0] > 0, asked[1] > 0, asked[2] > 0};
}

Status Training::step() {
  const auto begin = clock_.monotonic();
  const auto report = trainer_.step();
  if (!report) return report.error();
  stepped_ = true;
  loss_ = report->loss;
  if (leads()) {
    progress_.clear_validation_loss();
    progress_.set_loss(report->loss);
    progress_.clear_gradient_norm();  // of an update that fp16 left out: no number
    if (report->updated) progress_.set_gradient_norm(report->gradient_norm);
    progress_.set_learning_rate(report->learning_rate);
    const double seconds = std::chrono::duration<double>(clock_.monotonic() - begin).count();
    if (seconds > 0) {
      progress_.set_samples_per_second(static_cast<double>(report->samples) / seconds);
      progress_.set_tokens_per_second(static_cast<double>(report->tokens) / seconds);
    }
  }
  tell("train");
  return Status::success();
}

Status Training::validate(std::uint64_t samples_max) {
  tell("validate");
  const auto loss = trainer_.validation_loss(samples_max);
  if (!loss) return loss.error();
  if (leads() && *loss) progress_.set_validation_loss(**loss);
  tell("checkpoint");
  return Status::success();
}

// One in passing, on all ranks.
Status Training::checkpoint() {
  if (Status s = validate(kCheckpointSamples); !s.ok()) return s;
  if (!leads()) return Status::success();
  if (Status written = write(); !written.ok()) tell_failure(written);
  return Status::success();
}

Status Training::write() {
  // Read first: what is asked for from here on wants a later one.
  passing_done_ = port_.checkpoints_asked();
  last_checkpoint_ = clock_.monotonic();
  const std::uint64_t step = trainer_.steps_done();
  return sender_.write({step, step * loaded_.spec.batch_size(), loss_}, trainer_.state());
}

// The last of a training: what it made is kept by the daemon when this returns.
Status Training::finish(std::uint64_t samples_max) {
  // Without a step the checkpoint that it went on from is the last.
  if (stepped_ || trainer_.finished()) {
    if (Status s = validate(samples_max); !s.ok()) return s;
  }
  if (leads() && stepped_) {
    if (Status kept = keep_last(); !kept.ok()) return kept;
  }
  return collective_.barrier();
}

Status Training::keep_last() {
  Status kept = Status::success();
  if (sender_.busy()) {
    kept = wait_for_answer();
    if (!kept.ok()) tell_failure(kept);
  }
  for (int i = 0; i < kLastTries; ++i) {
    if (port_.stop_asked() == v1::RankStop::NOW) return Status::success();
    if (sender_.busy()) break;  // it was not answered in all the time there is
    kept = write();
    if (kept.ok()) kept = wait_for_answer();
    if (kept.ok()) return kept;
    tell_failure(kept);
  }
  return error(kept.code, fmt::format("The last checkpoint, of step {}, was not kept: {}",
                                      trainer_.steps_done(), kept.message));
}

// Success, too, when nobody waits for it any more.
Status Training::wait_for_answer() {
  Status last = Status::success();
  for (Duration waited{0}; waited < kAnswerWithin; waited += kLookForStopEvery) {
    if (port_.stop_asked() == v1::RankStop::NOW) return Status::success();
    last = sender_.wait(port_, kLookForStopEvery);
    if (!sender_.busy()) return last;
  }
  return last;
}

void Training::take_answer() {
  const std::optional<Status> outcome = sender_.poll(port_);
  if (outcome && !outcome->ok()) tell_failure(*outcome);
}

void Training::tell(const std::string& phase) {
  progress_.set_step(trainer_.steps_done());
  progress_.set_phase(phase);
  progress_.set_memory_used_bytes(loaded_.memory.held_bytes());
  progress_.set_memory_peak_bytes(loaded_.memory.peak_bytes());
  port_.progress(progress_);
}

void Training::tell_failure(const Status& why) {
  log_warning("a checkpoint was not kept: {}", why.message);
  tell("checkpoint was not kept: " + why.message);
}

// The field of a rank's last word is the tensor that was no number; others' fields are places in
// the job's specification.
Status last_word(Status status) {
  if (status.code != Code::kOutOfRange) status.field.clear();
  return status;
}

}  // namespace

Status TrainTask::run(Collective& collective, RankPort& port) {
  v1::RankProgress loads;
  loads.set_step(port.task().first_step());
  loads.set_phase("load");
  port.progress(loads);
  const auto loaded = load_training(port.task(), collective);
  if (!loaded) return last_word(loaded.error());
  return last_word(Training(collective, port, clock_, **loaded).run());
}

}  // namespace overwinter::worker
