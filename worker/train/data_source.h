// DataSource: samples by number, for training and for validation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/plan/train_shape.h"
#include "worker/memory/memory_resource.h"

namespace overwinter::worker {

// Where a sample is written. Text: `tokens` and `classes` have a context's length. Rows: `values`
// has the inputs, and `classes` one number or `targets` the outputs.
struct SampleSlot {
  std::span<std::int32_t> tokens;
  std::span<float> values;
  std::span<std::int32_t> classes;
  std::span<float> targets;
};

// Immutable once made; any thread. OUT_OF_RANGE of a sample: a number is not finite in fp32, with
// its place in the data; the field is the tensor (x, y).
class DataSource {
 public:
  virtual ~DataSource() = default;
  [[nodiscard]] virtual plan::DataFacts facts() const = 0;
  // Samples of a pass, at least 1, and of the validation part, perhaps 0.
  [[nodiscard]] virtual std::uint64_t training_samples() const = 0;
  [[nodiscard]] virtual std::uint64_t validation_samples() const = 0;
  // Sample number `sample` of the whole training: any number (sample_order.h).
  virtual Status training_sample(std::uint64_t sample, const SampleSlot& slot) const = 0;
  virtual Status validation_sample(std::uint64_t index, const SampleSlot& slot) const = 0;
};

using ByteSpan = std::span<const std::byte>;

// The bytes of `texts`, one after the other; they outlive the source. The last
// floor(validation_fraction * bytes) are for validation, in windows that do not overlap. A sample
// of training is a window of `context` tokens and their successors. With a seed each pass shuffles
// the windows and begins them elsewhere; without, they follow each other from the beginning.
[[nodiscard]] Result<std::unique_ptr<DataSource>> make_text_source(
    std::vector<ByteSpan> texts, std::uint64_t context, double validation_fraction,
    std::optional<std::uint64_t> seed);

// x and y: whole .npy files, which outlive the source; y of a whole-number kind with one column
// holds classes.
[[nodiscard]] Result<std::unique_ptr<DataSource>> make_npy_source(
    ByteSpan x, ByteSpan y, double validation_fraction, std::optional<std::uint64_t> seed);

// A CSV file with a line of names (csv_table.h); its table is kept in memory of `resource`. Targets
// that are all whole numbers from 0 on are classes.
[[nodiscard]] Result<std::unique_ptr<DataSource>> make_csv_source(ByteSpan csv,
                                                                  const std::string& target,
                                                                  double validation_fraction,
                                                                  std::optional<std::uint64_t> seed,
                                                                  MemoryResource& resource);

// How many of `count` are for validation. INVALID_ARGUMENT for a fraction outside [0, 1).
[[nodiscard]] Result<std::uint64_t> validation_part(double fraction, std::uint64_t count);

}  // namespace overwinter::worker
