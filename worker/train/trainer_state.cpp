#include <cmath>
#include <cstring>
#include <map>

#include "worker/train/trainer.h"

namespace overwinter::worker {
namespace {

constexpr std::array<const char*, 3> kCounters = {"trainer.step", "trainer.position",
                                                  "trainer.seed"};

// Of fp16's scale.
constexpr const char* kLossScale = "trainer.loss_scale";
constexpr std::array<const char*, 2> kUpdates = {"trainer.updates", "trainer.good_updates"};

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

TensorView view_of(std::string name, const std::vector<std::uint64_t>& shape, const float* values,
                   std::size_t count) {
  return {std::move(name), "F32", shape, std::as_bytes(std::span(values, count))};
}

using ByName = std::map<std::string_view, const TensorView*, std::less<>>;

// What of `given` is the wanted tensor.
Result<const TensorView*> matching(const ByName& given, const TensorView& wanted) {
  const auto it = given.find(wanted.name);
  if (it == given.end())
    return fail(Code::kInvalidArgument, "The file has no tensor " + wanted.name + " of shape " +
                                            shape_text(wanted.shape) + ".");
  const TensorView& found = *it->second;
  if (found.shape != wanted.shape)
    return fail(Code::kInvalidArgument, "The tensor " + wanted.name + " has the shape " +
                                            shape_text(found.shape) + "; expected is " +
                                            shape_text(wanted.shape) + ".");
  if (found.dtype != wanted.dtype || found.bytes.size() != wanted.bytes.size())
    return fail(Code::kInvalidArgument, "The tensor " + wanted.name + " is " + found.dtype +
                                            "; expected is " + wanted.dtype + ".");
  return &found;
}

Status copy_all(const std::vector<TensorView>& wanted, const ByName& given) {
  std::vector<const TensorView*> found;
  for (const TensorView& want : wanted) {
    const auto one = matching(given, want);
    if (!one) return one.error();
    found.push_back(*one);
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    // The views were made of this trainer's own memory, which is not constant.
    std::memcpy(const_cast<std::byte*>(wanted[i].bytes.data()), found[i]->bytes.data(),
                wanted[i].bytes.size());
  }
  return Status::success();
}

}  // namespace

std::vector<TensorView> Trainer::model() const {
  std::vector<TensorView> views;
  for (const Parameter& p : parameters_.all())
    views.push_back(view_of(p.name, p.shape, p.weights, p.count));
  return views;
}

std::vector<TensorView> Trainer::state() const {
  std::vector<TensorView> views = model();
  for (const Parameter& p : parameters_.all()) {
    if (p.first != nullptr)
      views.push_back(view_of("optimizer.first." + p.name, p.shape, p.first, p.count));
    if (p.second != nullptr)
      views.push_back(view_of("optimizer.second." + p.name, p.shape, p.second, p.count));
  }
  for (std::size_t i = 0; i < kCounters.size(); ++i)
    views.push_back({kCounters[i], "I64", {1}, std::as_bytes(std::span(&counters_[i], 1))});
  if (!is_scaled()) return views;
  // Wide types first: a file has no gaps between its tensors.
  for (std::size_t i = 0; i < kUpdates.size(); ++i)
    views.push_back({kUpdates[i], "I64", {1}, std::as_bytes(std::span(&updates_[i], 1))});
  views.push_back(view_of(kLossScale, {1}, &loss_scale_, 1));
  return views;
}

Status Trainer::restore(std::span<const TensorView> state) {
  ByName given;
  for (const TensorView& view : state) given[view.name] = &view;
  std::array<std::int64_t, 3> counters{};
  for (std::size_t i = 0; i < kCounters.size(); ++i) {
    const auto one =
        matching(given, {kCounters[i], "I64", {1}, std::as_bytes(std::span(&counters[i], 1))});
    if (!one) return one.error();
    std::memcpy(&counters[i], (*one)->bytes.data(), sizeof(counters[i]));
  }
  constexpr std::int64_t kStepsMax = std::int64_t{1} << 38;  // times the largest batch fits
  if (counters[0] < 0 || counters[0] > kStepsMax ||
      counters[1] != counters[0] * static_cast<std::int64_t>(batch_size_))
    return error(Code::kInvalidArgument,
                 "The checkpoint saw " + std::to_string(counters[1]) + " samples in " +
                     std::to_string(counters[0]) + " steps, which is no batch of " +
                     std::to_string(batch_size_) + ".",
                 "workload.train.batch_size");
  if (counters[2] != counters_[2])
    return error(Code::kInvalidArgument,
                 "The checkpoint was made with the seed " + std::to_string(counters[2]) + ".",
                 "workload.train.seed");
  if (is_scaled()) {
    float scale = 0;
    const auto one = matching(given, view_of(kLossScale, {1}, &scale, 1));
    if (!one) return one.error();
    std::memcpy(&scale, (*one)->bytes.data(), sizeof(scale));
    if (!(scale >= 1 && std::isfinite(scale)))
      return error(Code::kInvalidArgument, "The checkpoint's scale of the loss is no scale.",
                   "workload.train.precision");
  }
  if (Status s = copy_all(this->state(), given); !s.ok()) return s;
  equal_ = false;
  model_->weights_changed(true);
  return Status::success();
}

Status Trainer::init_from(std::span<const TensorView> weights) {
  constexpr std::string_view kPrefix = "transformer.";
  ByName given;
  for (const TensorView& view : weights) {
    std::string_view name = view.name;
    if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
    given[name] = &view;
  }
  if (Status s = copy_all(model(), given); !s.ok()) {
    s.field = "workload.train.init_from";
    return s;
  }
  equal_ = false;
  model_->weights_changed(true);
  return Status::success();
}

}  // namespace overwinter::worker
