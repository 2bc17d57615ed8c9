#include "worker/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <numbers>

#include "common/base/check.h"
#include "common/plan/train_batch.h"

namespace overwinter::worker {
namespace {

Status refuse_setting(const std::string& what, const std::string& field) {
  return error(Code::kInvalidArgument, what, "workload.train.optimizer." + field);
}

Status check_rate(double rate, const std::string& field) {
  if (std::isfinite(rate) && rate > 0) return Status::success();
  return refuse_setting("The learning rate is a number above 0.", field + ".learning_rate");
}

Status check_share(double value, const std::string& what, const std::string& field) {
  if (value >= 0 && value < 1) return Status::success();
  return refuse_setting(what + " lies from 0 to below 1.", field);
}

Status check_not_negative(double value, const std::string& what, const std::string& field) {
  if (std::isfinite(value) && value >= 0) return Status::success();
  return refuse_setting(what + " is not negative.", field);
}

Result<bool> is_cosine(const std::string& word, const std::string& field) {
  if (word == "cosine") return true;
  if (word.empty() || word == "constant") return false;
  return fail(refuse_setting("The schedule is cosine or constant.", field + ".schedule"));
}

// Sums are made over pieces, so that they do not depend on who made them.
struct NormRecord {
  const Parameter* of;
  std::size_t begin;
  double squares;
};
static_assert(sizeof(NormRecord) == plan::kNormRecordBytes);

// One for each piece of each tensor that trains, in order.
std::span<NormRecord> norm_records(const Parameters& parameters, std::span<std::byte> scratch) {
  auto* const records = reinterpret_cast<NormRecord*>(scratch.data());
  std::size_t count = 0;
  for (const Parameter& p : parameters.all()) {
    if (p.gradients == nullptr) continue;
    for (std::size_t at = 0; at < p.count; at += plan::kNormElements) {
      check((count + 1) * sizeof(NormRecord) <= scratch.size(), "a step's own memory is planned");
      new (records + count++) NormRecord{&p, at, 0};
    }
  }
  return {records, count};
}

// A thread's share of a tensor in whole lines of the cache: what is left over of a vector register
// may be rounded otherwise, and is at the tensor's end then, whatever the number of threads.
plan::SampleRange whole_lines(std::size_t count, std::uint32_t threads, std::uint32_t thread) {
  constexpr std::size_t kLine = plan::kTrainAlignment / sizeof(float);
  const plan::SampleRange lines = plan::share_of((count + kLine - 1) / kLine, threads, thread);
  return {std::min(count, lines.begin * kLine), std::min(count, lines.end * kLine)};
}

}  // namespace

Result<OptimizerSettings> optimizer_settings(const v1::OptimizerSpec& spec) {
  OptimizerSettings s;
  const std::string field = spec.has_sgd() ? "sgd" : "adamw";
  const auto fill = [&](const auto& from) {
    s.learning_rate = from.learning_rate();
    s.warmup_steps = from.warmup_steps();
    s.weight_decay = from.weight_decay();
    s.clip_norm = from.clip_norm();
    return is_cosine(from.schedule(), field);
  };
  if (spec.has_sgd() || spec.has_adamw()) {
    const auto cosine = spec.has_sgd() ? fill(spec.sgd()) : fill(spec.adamw());
    if (!cosine) return fail(cosine.error());
    s.cosine = *cosine;
  }
  const auto given = [](double value, double otherwise) { return value == 0 ? otherwise : value; };
  if (spec.has_sgd()) {
    s.adamw = false;
    s.momentum = spec.sgd().momentum();
  } else if (spec.has_adamw()) {
    s.beta1 = given(spec.adamw().beta1(), s.beta1);
    s.beta2 = given(spec.adamw().beta2(), s.beta2);
    s.epsilon = given(spec.adamw().epsilon(), s.epsilon);
  }
  for (const Status& status :
       {check_rate(s.learning_rate, field), check_share(s.beta1, "Beta1", field + ".beta1"),
        check_share(s.beta2, "Beta2", field + ".beta2"),
        check_share(s.momentum, "The momentum", field + ".momentum"),
        check_not_negative(s.epsilon, "Epsilon", field + ".epsilon"),
        check_not_negative(s.weight_decay, "The weight decay", field + ".weight_decay"),
        check_not_negative(s.clip_norm, "The norm to clip to", field + ".clip_norm")}) {
    if (!status.ok()) return fail(status);
  }
  return s;
}

double learning_rate_at(const OptimizerSettings& s, std::uint64_t step, std::uint64_t steps) {
  const auto n = [](std::uint64_t v) { return static_cast<double>(v); };
  if (step < s.warmup_steps) return s.learning_rate * n(step + 1) / n(s.warmup_steps);
  if (!s.cosine) return s.learning_rate;
  const std::uint64_t last = std::max<std::uint64_t>(steps, 1) - 1;
  if (step >= last) return s.learning_rate * 0.1;
  const double way = n(step - s.warmup_steps) / n(last - s.warmup_steps);
  return s.learning_rate * (0.1 + 0.45 * (1 + std::cos(std::numbers::pi * way)));
}

GradientNorm gradient_norm(ComputeTeam& team, Parameters& parameters,
                           std::span<std::byte> scratch) {
  const std::span<NormRecord> pieces = norm_records(parameters, scratch);
  team.run([&](std::uint32_t thread) {
    const auto own = plan::share_of(pieces.size(), team.size(), thread);
    for (std::uint64_t i = own.begin; i < own.end; ++i) {
      NormRecord& piece = pieces[i];
      piece.squares = team.kernels().sum_of_squares(
          piece.of->gradients + piece.begin,
          std::min<std::size_t>(plan::kNormElements, piece.of->count - piece.begin));
    }
  });
  GradientNorm result;
  double total = 0;
  for (const NormRecord& piece : pieces) {
    total += piece.squares;
    if (!std::isfinite(piece.squares) && result.not_finite.empty())
      result.not_finite = piece.of->name;
  }
  result.norm = std::sqrt(total);
  return result;
}

void optimizer_step(ComputeTeam& team, Parameters& parameters, const OptimizerSettings& s,
                    std::uint64_t step, double learning_rate, double norm, double scale) {
  if (s.clip_norm > 0 && norm > s.clip_norm) scale *= s.clip_norm / norm;
  const double t = static_cast<double>(step) + 1;
  AdamwStep adamw;
  adamw.learning_rate = static_cast<float>(learning_rate);
  adamw.beta1 = static_cast<float>(s.beta1);
  adamw.beta2 = static_cast<float>(s.beta2);
  adamw.rest1 = static_cast<float>(1 - s.beta1);
  adamw.rest2 = static_cast<float>(1 - s.beta2);
  adamw.epsilon = static_cast<float>(s.epsilon);
  adamw.correction1 = static_cast<float>(1 - std::pow(s.beta1, t));
  adamw.correction2 = static_cast<float>(1 - std::pow(s.beta2, t));
  adamw.gradient_scale = static_cast<float>(scale);
  SgdStep sgd;
  sgd.learning_rate = static_cast<float>(learning_rate);
  sgd.momentum = static_cast<float>(s.momentum);
  sgd.gradient_scale = static_cast<float>(scale);
  team.run([&](std::uint32_t thread) {
    AdamwStep own_adamw = adamw;
    SgdStep own_sgd = sgd;
    for (const Parameter& p : parameters.all()) {
      if (p.gradients == nullptr) continue;
      const plan::SampleRange own = whole_lines(p.count, team.size(), thread);
      const std::size_t at = own.begin;
      const float decay = p.shape.size() == 2 ? static_cast<float>(s.weight_decay) : 0.0F;
      if (s.adamw) {
        own_adamw.weight_decay = decay;
        team.kernels().adamw(p.weights + at, p.gradients + at, p.first + at, p.second + at,
                             own.size(), own_adamw);
      } else {
        own_sgd.weight_decay = decay;
        team.kernels().sgd(p.weights + at, p.gradients + at,
                           p.first == nullptr ? nullptr : p.first + at, own.size(), own_sgd);
      }
    }
  });
}

}  // namespace overwinter::worker
