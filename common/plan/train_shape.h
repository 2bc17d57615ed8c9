// What a training holds by its model: tensors with their names and shapes, and what the data must
// look like. Planner and worker read the same lists.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::plan {

inline constexpr std::uint64_t kTrainLayersMax = 1024;
inline constexpr std::uint64_t kTrainWidthMax = 1U << 20;  // of a layer, a context, a vocabulary
inline constexpr std::uint64_t kTrainParametersMax = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kTrainBatchMax = 1U << 24;
inline constexpr std::uint64_t kTrainClassesMax = 65536;
inline constexpr std::uint64_t kByteVocabulary = 256;  // a token is a byte

// What the data say of themselves.
struct DataFacts {
  std::uint64_t samples = 0;  // rows, or bytes of text
  std::uint64_t inputs = 0;   // columns of x; 0 for text
  std::uint64_t outputs = 0;  // classes, or columns of y; 0 for text
  bool classes = false;       // targets are classes
  bool text = false;
  std::uint64_t vocabulary = kByteVocabulary;  // of text: how many kinds of tokens
  std::uint64_t table_bytes =
      0;  // what a worker holds of the data in memory (CSV); 0: read in place
};

struct TrainTensor {
  std::string name;
  std::vector<std::uint64_t> shape;  // one or two sizes
  bool trainable = true;

  [[nodiscard]] std::uint64_t elements() const;
};

enum class TrainKind { kGpt, kDense };

// kDense is the MLP and its shortest forms: linear and logistic have no hidden layer.
struct TrainShape {
  TrainKind kind = TrainKind::kGpt;
  std::uint64_t layers = 0;  // gpt
  std::uint64_t heads = 0;
  std::uint64_t width = 0;
  std::uint64_t context = 0;
  std::uint64_t vocabulary = 0;
  std::vector<std::uint64_t> widths;  // dense: inputs, hidden …, outputs
  bool classes = true;                // cross-entropy, else squared error
};

// INVALID_ARGUMENT with the field (workload.train.model…) when a size is absent, too large or does
// not go with the others, or when model and data do not fit.
[[nodiscard]] Result<TrainShape> train_shape(const v1::ModelSpec& model, const DataFacts& data);

// All tensors in the order in which weights lie. gpt: names and shapes of GPT-2 in Hugging Face
// (Conv1D: inputs x outputs; the head is wte.weight). dense: layers.N.weight (outputs x inputs, as
// torch.nn.Linear) and layers.N.bias.
[[nodiscard]] std::vector<TrainTensor> train_tensors(const TrainShape& shape);

// Marks what a pattern names (* and ? as in a shell) as not trainable. INVALID_ARGUMENT when a
// pattern names nothing, or nothing is left to train.
[[nodiscard]] Status freeze_tensors(std::span<const std::string> patterns,
                                    std::vector<TrainTensor>& tensors);
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view name);

[[nodiscard]] std::uint64_t train_parameters(std::span<const TrainTensor> tensors);

// Floating-point operations of forward and backward over so many samples: two a multiply-add,
// backward twice forward, attention without what the causal mask removes.
[[nodiscard]] double train_flops(const TrainShape& shape, std::uint64_t samples);

}  // namespace overwinter::plan
