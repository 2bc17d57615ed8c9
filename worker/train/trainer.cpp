#include "worker/train/trainer.h"

#include <cmath>
#include <cstring>
#include <functional>

#include "common/plan/train_batch.h"

namespace overwinter::worker {
namespace {

constexpr float kFirstLossScale = 65536;
constexpr float kLossScaleMax = 16777216;
constexpr std::int64_t kUpdatesToGrow = 2000;

// What the data say of a sample, with the moment at which it was asked for.
Status with_moment(Status status, const std::string& moment) {
  status.message = moment + ": " + status.message;
  return status;
}

std::string number_text(double value) {
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

}  // namespace

Trainer::Trainer(const v1::TrainSpec& spec, const DataSource& data, Collective& collective,
                 plan::TrainRank rank, OptimizerSettings settings, Arena arena,
                 MemoryResource& memory, const std::optional<GemmChoice>& choice)
    : data_(data),
      collective_(collective),
      rank_(std::move(rank)),
      memory_(plan::train_memory(rank_)),
      settings_(settings),
      batch_size_(spec.batch_size()),
      accumulate_(std::max<std::uint32_t>(spec.accumulate(), 1)),
      steps_(spec.steps()),
      arena_(std::move(arena)),
      scratch_(memory),
      parameters_(arena_, rank_),
      team_(rank_.threads, train_kernels(best_kernel_level()), choice),
      buckets_(collective_, parameters_.gradients()) {
  parameters_.initialise(rank_.shape, spec.seed());
  model_ = make_model(rank_, arena_, parameters_, team_);
  counters_[2] = static_cast<std::int64_t>(spec.seed());
  if (is_scaled()) loss_scale_ = kFirstLossScale;
  if (collective_.size() > 1) team_.call_between([this] { collective_.progress(); });
}

Trainer::~Trainer() = default;

Result<std::unique_ptr<Trainer>> Trainer::make(const v1::TrainSpec& spec, const DataSource& data,
                                               Collective& collective, MemoryResource& memory,
                                               std::uint32_t threads,
                                               const std::optional<GemmChoice>& choice) {
  if (spec.steps() == 0)
    return fail(Code::kInvalidArgument, "A training has at least one step.",
                "workload.train.steps");
  auto rank = plan::train_rank(spec, data.facts(), collective.size(), threads);
  if (!rank) return fail(rank.error());
  const auto settings = optimizer_settings(spec.optimizer());
  if (!settings) return fail(settings.error());
  auto arena = Arena::make(memory, *rank);
  if (!arena) return fail(arena.error());
  std::unique_ptr<Trainer> trainer(new Trainer(spec, data, collective, std::move(*rank), *settings,
                                               std::move(*arena), memory, choice));
  // What stays for all steps and cannot be had is said now, not in the first of them.
  if (Status s = trainer->team_.take_workspaces(trainer->rank_.precision); !s.ok()) return fail(s);
  const auto step = trainer->step_memory();
  if (!step) return fail(step.error());
  return trainer;
}

Result<Buffer> Trainer::step_memory() {
  return Buffer::make(scratch_, plan::train_aligned(plan::train_step_bytes(rank_)));
}

std::uint64_t Trainer::steps_done() const {
  return static_cast<std::uint64_t>(counters_[0]);
}

bool Trainer::widens() const {
  return rank_.precision != plan::TrainPrecision::kFp32 &&
         team_.widens(rank_.precision == plan::TrainPrecision::kBf16 ? GemmType::kBf16
                                                                     : GemmType::kFp16);
}

bool Trainer::finished() const {
  return steps_done() >= steps_;
}

// Ranks on other machines may have drawn other last bits; they would drift apart for ever.
Status Trainer::make_equal() {
  if (equal_ || collective_.size() == 1) return Status::success();
  for (const std::span<float> part : {parameters_.weights(), parameters_.moments()}) {
    if (Status s = collective_.broadcast(std::as_writable_bytes(part), 0); !s.ok()) return s;
  }
  equal_ = true;
  model_->weights_changed(true);
  return Status::success();
}

Status Trainer::fill(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    if (Status s = data_.training_sample(first + i, model_->slot(i)); !s.ok()) return s;
  }
  return Status::success();
}

// The loss's terms of this rank's samples; the gradients become those of all ranks' mean.
Result<double> Trainer::batch_gradients() {
  std::memset(parameters_.gradients().data(), 0, parameters_.gradients().size_bytes());
  buckets_.begin_step();
  const bool alone = collective_.size() == 1;
  const plan::SampleRange own = plan::share_of(batch_size_, collective_.size(), collective_.rank());
  const float weight = static_cast<float>(static_cast<double>(loss_scale_) /
                                          static_cast<double>(model_->terms(batch_size_)));
  const std::uint64_t position = static_cast<std::uint64_t>(counters_[1]);
  double loss = 0;
  Status reduced = Status::success();
  for (std::uint64_t piece = 0; piece < accumulate_; ++piece) {
    const plan::SampleRange part = plan::share_of(own.size(), accumulate_, piece);
    if (Status s = fill(position + own.begin + part.begin, part.size()); !s.ok())
      return fail(with_moment(std::move(s), "Step " + std::to_string(counters_[0] + 1)));
    const bool last = piece + 1 == accumulate_;
    const auto final_from = [&](std::size_t offset) {
      if (last && !alone && reduced.ok()) reduced = buckets_.final_from(offset);
    };
    loss += model_->gradients(part.size(), weight, std::cref(final_from));
  }
  if (reduced.ok() && !alone) reduced = buckets_.finish();
  if (!reduced.ok()) return fail(reduced);
  return loss;
}

Status Trainer::check_finite(double loss, const GradientNorm& norm) const {
  if (std::isfinite(loss) && norm.not_finite.empty()) return Status::success();
  const std::string step = std::to_string(counters_[0] + 1);
  const std::string hint = "Lower the learning rate, clip the gradient, or look at the data.";
  std::string weights;
  for (const TensorView& view : model()) {
    const auto* values = reinterpret_cast<const float*>(view.bytes.data());
    for (std::size_t i = 0; i < view.bytes.size() / sizeof(float) && weights.empty(); ++i) {
      if (!std::isfinite(values[i])) weights = view.name;
    }
  }
  if (std::isfinite(loss))
    return error(Code::kOutOfRange,
                 "Step " + step + ": the gradient of " + norm.not_finite + " is not finite.",
                 norm.not_finite, hint);
  std::string tensor = ", though all tensors are finite.";
  if (!weights.empty()) {
    tensor = "; " + weights + " is not finite.";
  } else if (!norm.not_finite.empty()) {
    tensor = "; all weights are finite, the gradient of " + norm.not_finite + " is not.";
  }
  const std::string& named = weights.empty() ? norm.not_finite : weights;
  return error(Code::kOutOfRange, "Step " + step + ": the loss is " + number_text(loss) + tensor,
               named.empty() ? "loss" : named, hint);
}

Result<StepReport> Trainer::step() {
  if (finished()) return fail(Code::kFailedPrecondition, "The training has made all of its steps.");
  // First of all: a rank that were refused has not entered a reduction, nor changed a number.
  auto scratch = step_memory();
  if (!scratch) return fail(scratch.error());
  if (Status s = make_equal(); !s.ok()) return fail(s);
  const auto own = batch_gradients();
  if (!own) return fail(own.error());
  double loss = *own;
  if (Status s = collective_.all_reduce_sum(std::span(&loss, 1)); !s.ok()) return fail(s);
  loss /= static_cast<double>(model_->terms(batch_size_));
  GradientNorm norm = gradient_norm(team_, parameters_, {scratch->data(), scratch->size()});
  norm.norm /= static_cast<double>(loss_scale_);
  StepReport report;
  report.loss = loss;
  report.gradient_norm = norm.norm;
  report.learning_rate = learning_rate_at(settings_, steps_done(), steps_);
  report.updated =
      !is_scaled() || loss_scale_ <= 1 || !std::isfinite(loss) || norm.not_finite.empty();
  if (report.updated) {
    if (Status s = check_finite(loss, norm); !s.ok()) return fail(s);
    update(norm, report.learning_rate);
  } else {
    loss_scale_ /= 2;
    updates_[1] = 0;
  }
  ++counters_[0];
  counters_[1] += static_cast<std::int64_t>(batch_size_);
  report.step = steps_done();
  report.samples = batch_size_;
  report.tokens = rank_.shape.kind == plan::TrainKind::kGpt ? batch_size_ * rank_.shape.context : 0;
  return report;
}

// An update that is left out does not count for AdamW's corrections either.
void Trainer::update(const GradientNorm& norm, double learning_rate) {
  const std::uint64_t number = is_scaled() ? static_cast<std::uint64_t>(updates_[0]) : steps_done();
  optimizer_step(team_, parameters_, settings_, number, learning_rate, norm.norm,
                 1 / static_cast<double>(loss_scale_));
  model_->weights_changed(false);
  if (is_scaled()) grow_scale();
}

void Trainer::grow_scale() {
  ++updates_[0];
  if (++updates_[1] < kUpdatesToGrow) return;
  updates_[1] = 0;
  if (loss_scale_ < kLossScaleMax) loss_scale_ *= 2;
}

Result<std::optional<double>> Trainer::validation_loss(std::uint64_t samples_max) {
  const std::uint64_t all = data_.validation_samples();
  if (all == 0) return std::nullopt;
  if (Status s = make_equal(); !s.ok()) return fail(s);
  const std::uint64_t used = samples_max == 0 ? all : std::min(all, samples_max);
  const plan::SampleRange own = plan::share_of(used, collective_.size(), collective_.rank());
  double loss = 0;
  for (std::uint64_t at = own.begin; at < own.end; at += rank_.micro_batch) {
    const std::uint64_t count = std::min(rank_.micro_batch, own.end - at);
    for (std::uint64_t i = 0; i < count; ++i) {
      const plan::SampleRange place = plan::share_of(all, used, at + i);
      if (Status s = data_.validation_sample(place.begin, model_->slot(i)); !s.ok())
        return fail(
            with_moment(std::move(s), "Validation after step " + std::to_string(counters_[0])));
    }
    loss += model_->loss(count);
  }
  if (Status s = collective_.all_reduce_sum(std::span(&loss, 1)); !s.ok()) return fail(s);
  return loss / static_cast<double>(model_->terms(used));
}

}  // namespace overwinter::worker
