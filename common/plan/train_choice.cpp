#include "common/plan/train_choice.h"

#include <algorithm>

namespace overwinter::plan {
namespace {

constexpr std::size_t kNamesMax = 3;

// "worker-1, worker-2 and 5 more"
std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamesMax); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamesMax)
    text += " and " + std::to_string(names.size() - kNamesMax) + " more";
  return text;
}

std::vector<std::string> names_of(const std::vector<Candidate>& devices, bool Candidate::*what,
                                  bool value) {
  std::vector<std::string> names;
  for (const Candidate& device : devices)
    if (device.*what == value) names.push_back(device.name);
  return names;
}

TrainChoice choose(const std::vector<Candidate>& devices) {
  if (devices.empty()) return {.why = " (auto: no device that fits is known yet)"};
  const auto without = names_of(devices, &Candidate::measured, false);
  if (without.empty()) {
    const std::string all = devices.size() == 1 ? devices.front().name + " has"
                                                : "all " + std::to_string(devices.size()) +
                                                      " devices that may take part have";
    return {.precision = TrainPrecision::kBf16, .why = " (auto: " + all + " instructions for it)"};
  }
  // What was never measured may have them; no one knows.
  const auto lacking = names_of(devices, &Candidate::widens, true);
  return {.why = lacking.empty()
                     ? " (auto: " + names_text(without) + " told no speed of bf16)"
                     : " (auto: " + names_text(lacking) + (lacking.size() == 1 ? " has" : " have") +
                           " no instructions for bf16)"};
}

}  // namespace

Precision product_precision(TrainPrecision precision) {
  switch (precision) {
    case TrainPrecision::kBf16:
      return Precision::kBf16;
    case TrainPrecision::kFp16:
      return Precision::kFp16;
    case TrainPrecision::kFp32:
      break;
  }
  return Precision::kFp32;
}

Result<TrainChoice> choose_precision(const std::string& asked,
                                     const std::vector<Candidate>& devices) {
  if (is_auto_precision(asked)) return choose(devices);
  const auto precision = train_precision(asked);
  if (!precision) return fail(precision.error());
  TrainChoice choice{.precision = *precision, .why = ", as asked"};
  if (const auto lacking = names_of(devices, &Candidate::widens, true); !lacking.empty())
    choice.warning = names_text(lacking) + (lacking.size() == 1 ? " has" : " have") +
                     " no instructions for " + asked +
                     ": products are widened to fp32 there, which is slower than precision: fp32.";
  return choice;
}

}  // namespace overwinter::plan
