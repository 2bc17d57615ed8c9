// What a suite found, and how it is printed: a table for people, JSON for machines.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace overwinter::bench {

// Of the runs of one side.
struct Summary {
  std::size_t runs = 0;
  double min = 0;
  double median = 0;
  double p99 = 0;  // nearest rank
  double max = 0;
};
[[nodiscard]] Summary summarize(std::vector<double> runs);

struct Row {
  std::string name;
  std::string unit;
  Summary ours;
  std::string peer_name;  // empty: no other side
  std::optional<Summary> peer;
  std::optional<double> ratio;  // ours to the peer's, of medians: more is better
  std::string limit_name;
  std::optional<double> fraction;  // of the limit
  std::string target;              // empty: as measured
  std::optional<bool> met;
  std::string note;
};

struct SuiteReport {
  std::string suite;
  std::string what;     // one sentence: what was measured and how
  std::string skipped;  // the reason, when nothing was measured
  std::vector<Row> rows;
};

// The machine and the moment. load: of the last minute, at the start.
struct Machine {
  std::string cpu;
  unsigned cores = 0;
  double memory_gib = 0;
  std::string date;
  std::string build;
  double load = 0;
};
[[nodiscard]] Machine this_machine();

[[nodiscard]] std::string as_table(const Machine& machine, const std::vector<SuiteReport>& suites);
[[nodiscard]] std::string as_json(const Machine& machine, const std::vector<SuiteReport>& suites);

// A line to standard error: what goes on.
void say(const std::string& text);

}  // namespace overwinter::bench
