#include <cmath>

#include "worker/train/data_source.h"
#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

class TextSource final : public DataSource {
 public:
  TextSource(std::vector<ByteSpan> texts, std::uint64_t bytes, std::uint64_t training,
             std::uint64_t context, std::optional<std::uint64_t> seed)
      : texts_(std::move(texts)),
        bytes_(bytes),
        training_(training),
        context_(context),
        order_((training - 1) / context, seed) {}

  [[nodiscard]] plan::DataFacts facts() const override {
    plan::DataFacts facts;
    facts.samples = bytes_;
    facts.text = true;
    return facts;
  }
  [[nodiscard]] std::uint64_t training_samples() const override { return order_.count(); }
  [[nodiscard]] std::uint64_t validation_samples() const override {
    return bytes_ == training_ ? 0 : (bytes_ - training_ - 1) / context_;
  }
  Status training_sample(std::uint64_t sample, const SampleSlot& slot) const override {
    const SampleOrder::Place place = order_.place(sample);
    const std::uint64_t shift = order_.number_of_pass(place.pass) % context_;
    copy((place.index * context_ + shift) % (training_ - context_), slot);
    return Status::success();
  }
  Status validation_sample(std::uint64_t index, const SampleSlot& slot) const override {
    copy(training_ + index * context_, slot);
    return Status::success();
  }

 private:
  // The window's bytes as tokens, and those one further on as targets.
  void copy(std::uint64_t offset, const SampleSlot& slot) const {
    std::size_t text = 0;
    while (offset >= texts_[text].size()) offset -= texts_[text++].size();
    for (std::uint64_t i = 0; i <= context_; ++i) {
      while (offset == texts_[text].size()) {
        ++text;
        offset = 0;
      }
      const auto token = static_cast<std::int32_t>(texts_[text][offset++]);
      if (i < context_) slot.tokens[i] = token;
      if (i > 0) slot.classes[i - 1] = token;
    }
  }

  const std::vector<ByteSpan> texts_;
  const std::uint64_t bytes_;
  const std::uint64_t training_;
  const std::uint64_t context_;
  const SampleOrder order_;
};

}  // namespace

Result<std::uint64_t> validation_part(double fraction, std::uint64_t count) {
  if (!(fraction >= 0 && fraction < 1))
    return fail(Code::kInvalidArgument, "The validation fraction lies from 0 to below 1.",
                "workload.train.data.validation_fraction");
  return static_cast<std::uint64_t>(std::floor(fraction * static_cast<double>(count)));
}

Result<std::unique_ptr<DataSource>> make_text_source(std::vector<ByteSpan> texts,
                                                     std::uint64_t context,
                                                     double validation_fraction,
                                                     std::optional<std::uint64_t> seed) {
  std::uint64_t bytes = 0;
  for (const ByteSpan& text : texts) bytes += text.size();
  const auto validation = validation_part(validation_fraction, bytes);
  if (!validation) return fail(validation.error());
  const std::uint64_t training = bytes - *validation;
  if (context == 0 || training < context + 1)
    return fail(Code::kInvalidArgument,
                "The text has " + std::to_string(training) +
                    " bytes to train on, which is too short for a context of " +
                    std::to_string(context) + ".",
                "workload.train.model.gpt.context", "Take a shorter context or more text.");
  if (*validation > 0 && *validation < context + 1)
    return fail(Code::kInvalidArgument,
                "A fraction of " + std::to_string(validation_fraction) + " leaves " +
                    std::to_string(*validation) +
                    " bytes to validate on, which is too short for a context of " +
                    std::to_string(context) + ".",
                "workload.train.data.validation_fraction",
                "Take a larger fraction, or 0 for no validation.");
  return std::make_unique<TextSource>(std::move(texts), bytes, training, context, seed);
}

}  // namespace overwinter::worker
