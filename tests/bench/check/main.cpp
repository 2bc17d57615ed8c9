// Fails when the memory of a training is not what was predicted: of a few cases, or of those that
// are named by number; `all` is all of them. Prints a line for each.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "tests/bench/estimate.h"

int main(int argc, char** argv) {
  using namespace overwinter::bench;
  if (argc == 3 && std::strcmp(argv[1], "--estimate-side") == 0) return estimate_side(argv[2]);
  const auto cases = estimate_cases();
  const bool all = argc == 2 && std::strcmp(argv[1], "all") == 0;
  int bad = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    bool wanted = all || (argc == 1 && cases[i].quick);
    for (int a = 1; a < argc; ++a) wanted = wanted || std::to_string(i) == argv[a];
    if (!wanted) continue;
    const auto estimate = run_estimate(cases[i]);
    const bool unjudged = estimate && estimate->by_instructions;
    const bool good = unjudged || (estimate && is_good(*estimate));
    bad += good ? 0 : 1;
    const std::string text = estimate ? text_of(*estimate) : estimate.error().message;
    fmt::print("{:>2} {:<60} {} {}\n", i, describe(cases[i]), text,
               unjudged ? "(not judged: 16 bits by instructions)"
               : good   ? ""
                        : "NOT WITHIN 5 %");
    std::fflush(stdout);
  }
  return bad == 0 ? 0 : 1;
}
