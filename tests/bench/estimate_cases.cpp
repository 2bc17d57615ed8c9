// The trainings of which the memory is predicted and measured: each dimension at least twice.
#include <fmt/format.h>

#include <array>

#include "tests/bench/estimate.h"

namespace overwinter::bench {
namespace {

using Case = EstimateCase;

constexpr std::array kCases{
    // A GPT of 4 layers, width 256, context 256: where activations are most of it.
    Case{.model = "gpt", .batch = 16, .quick = true},
    Case{.model = "gpt", .batch = 16, .threads = 2, .quick = true},
    Case{.model = "gpt", .batch = 16, .precision = "bf16", .quick = true},
    Case{.model = "gpt", .batch = 16, .precision = "bf16", .threads = 2},
    Case{.model = "gpt", .batch = 16, .precision = "fp16"},
    Case{.model = "gpt", .batch = 16, .precision = "fp16", .threads = 2},
    Case{.model = "gpt", .batch = 16, .recomputed = true, .quick = true},
    Case{.model = "gpt", .batch = 16, .recomputed = true, .threads = 2},
    Case{.model = "gpt", .batch = 16, .precision = "bf16", .recomputed = true, .threads = 2},
    Case{.model = "gpt", .batch = 16, .precision = "fp16", .recomputed = true},
    Case{.model = "gpt", .batch = 16, .optimizer = "momentum"},
    Case{.model = "gpt", .batch = 16, .optimizer = "sgd"},
    Case{.model = "gpt", .batch = 16, .accumulate = 4, .threads = 2, .quick = true},
    Case{.model = "gpt", .batch = 16, .freeze = "h.0.*"},
    Case{.model = "gpt", .batch = 16, .freeze = "w*", .threads = 2},
    Case{.model = "gpt", .batch = 16, .ranks = 2},
    Case{.model = "gpt", .batch = 8, .precision = "bf16", .ranks = 2},
    Case{.model = "gpt", .batch = 4},
    Case{.model = "gpt", .batch = 4, .threads = 2},
    Case{.model = "gpt", .batch = 4, .precision = "bf16", .threads = 2},
    Case{.model = "gpt", .batch = 1},
    Case{.model = "gpt", .batch = 1, .precision = "fp16"},
    // Width 768, 2 layers, long sequences.
    Case{.model = "gpt-wide", .batch = 2},
    Case{.model = "gpt-wide", .batch = 2, .threads = 2},
    Case{.model = "gpt-wide", .batch = 2, .precision = "bf16", .threads = 2},
    Case{.model = "gpt-wide", .batch = 4, .recomputed = true, .threads = 2},
    Case{.model = "gpt-wide", .batch = 4, .precision = "bf16", .recomputed = true},
    Case{.model = "gpt-wide", .batch = 4, .optimizer = "sgd", .accumulate = 2},
    // Short sequences, small width.
    Case{.model = "gpt-narrow", .batch = 64, .quick = true},
    Case{.model = "gpt-narrow", .batch = 64, .threads = 2},
    Case{.model = "gpt-narrow", .batch = 128, .precision = "bf16", .threads = 2},
    Case{.model = "gpt-narrow", .batch = 8},
    // 50,257 kinds of tokens: weights of the embedding and the logits' part.
    Case{.model = "gpt-words", .batch = 8},
    Case{.model = "gpt-words", .batch = 8, .precision = "bf16", .threads = 2},
    Case{.model = "gpt-words",
         .batch = 8,
         .recomputed = true,
         .optimizer = "momentum",
         .threads = 2},
    // Rows: MLPs and linear regression.
    Case{.model = "mlp", .batch = 512, .quick = true},
    Case{.model = "mlp", .batch = 512, .threads = 2},
    Case{.model = "mlp", .batch = 8192, .threads = 2},
    Case{.model = "mlp", .batch = 8192, .precision = "bf16", .threads = 2, .quick = true},
    Case{.model = "mlp", .batch = 8192, .precision = "fp16", .optimizer = "sgd"},
    Case{.model = "mlp", .batch = 8192, .accumulate = 8, .ranks = 2},
    Case{.model = "mlp-wide", .batch = 256},
    Case{.model = "mlp-wide", .batch = 256, .threads = 2},
    Case{.model = "mlp-wide", .batch = 256, .precision = "bf16", .threads = 2},
    Case{.model = "mlp-wide", .batch = 256, .optimizer = "momentum", .freeze = "layers.0.*"},
    Case{.model = "mlp-wide", .batch = 2048, .optimizer = "sgd", .threads = 2},
    Case{.model = "linear", .batch = 16384},
    Case{.model = "linear", .batch = 16384, .precision = "bf16", .threads = 2},
    // GPT-2 with 124 M parameters.
    Case{.model = "gpt2", .batch = 1, .threads = 2},
    Case{.model = "gpt2", .batch = 2, .precision = "bf16", .recomputed = true, .threads = 2},
};

}  // namespace

std::span<const EstimateCase> estimate_cases() {
  return kCases;
}

std::string describe(const EstimateCase& of) {
  std::string text = fmt::format("{} {} x{} {}", of.model, of.precision, of.batch, of.optimizer);
  if (of.recomputed) text += " recomputed";
  if (of.accumulate > 1) text += fmt::format(" accumulate {}", of.accumulate);
  if (*of.freeze != '\0') text += fmt::format(" freeze {}", of.freeze);
  if (of.threads > 1) text += fmt::format(" {} threads", of.threads);
  if (of.ranks > 1) text += fmt::format(" {} ranks", of.ranks);
  return text;
}

}  // namespace overwinter::bench
