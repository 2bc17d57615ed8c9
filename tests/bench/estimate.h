// What a training's rank is predicted to hold beside what a process of its own came to hold.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace overwinter::bench {

// One training, of a step of made-up data.
struct EstimateCase {
  const char* model;  // of models() in estimate_side.cpp
  std::uint64_t batch;
  const char* precision = "fp32";
  bool recomputed = false;
  const char* optimizer = "adamw";  // adamw, momentum, sgd
  std::uint32_t accumulate = 1;
  const char* freeze = "";  // a pattern
  std::uint32_t threads = 1;
  std::uint32_t ranks = 1;  // threads of the process, each with a trainer of its own
  bool quick = false;       // among those that CI runs
};
[[nodiscard]] std::span<const EstimateCase> estimate_cases();
[[nodiscard]] std::string describe(const EstimateCase& of);

// Bytes, of all ranks of the case.
struct Estimate {
  double predicted = 0;  // plan::train_memory
  double counted = 0;    // what its seats held at most, as a worker reports it
  double measured = 0;   // what the process came to hold beyond what it began with, libraries too
  // 16 bits, multiplied by instructions of the processor: what oneDNN holds then is not known, no
  // such machine was measured. It is printed and not judged.
  bool by_instructions = false;
  // predicted / measured - 1: above 0 too much was predicted.
  [[nodiscard]] double error() const { return predicted / measured - 1; }
};

// Predictions are within this share of what was measured, and of small trainings within that share
// of kEstimateMatters: there it is page by page of libraries that are measured.
inline constexpr double kEstimateWithin = 0.05;
inline constexpr double kEstimateMatters = 64.0 * 1024 * 1024;
[[nodiscard]] bool is_good(const Estimate& estimate);
// "predicted 312.4 MiB, measured 309.0 MiB, 1.1 %"
[[nodiscard]] std::string text_of(const Estimate& estimate);

// Runs the case in a child of this program, which hands `--estimate-side NUMBER` on.
[[nodiscard]] Result<Estimate> run_estimate(const EstimateCase& of);
int estimate_side(const std::string& number);

}  // namespace overwinter::bench
