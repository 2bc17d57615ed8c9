#include "tests/bench/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/clock.h"

namespace overwinter::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string number(double value) {
  if (value != 0 && value < 0.1) return fmt::format("{:.4f}", value);
  if (value < 100) return fmt::format("{:.2f}", value);
  return fmt::format("{:.0f}", value);
}

std::string spread(const Summary& s) {
  if (s.runs <= 1) return number(s.median);
  return fmt::format("{} ({} to {}, {} runs)", number(s.median), number(s.min), number(s.max),
                     s.runs);
}

std::string row_text(const Row& row) {
  std::string out =
      fmt::format("  {} [{}]\n      ours   {}\n", row.name, row.unit, spread(row.ours));
  if (row.ours.runs >= 100) out += fmt::format("      p99    {}\n", number(row.ours.p99));
  if (row.peer) {
    out += fmt::format("      peer   {}  {}\n", spread(*row.peer), row.peer_name);
    if (row.peer->runs >= 100) out += fmt::format("      p99    {}\n", number(row.peer->p99));
  }
  if (row.ratio) out += fmt::format("      ratio  {:.3f}\n", *row.ratio);
  if (row.fraction)
    out += fmt::format("      limit  {:.3f} of {}\n", *row.fraction, row.limit_name);
  if (!row.target.empty()) {
    const char* verdict = !row.met ? "" : *row.met ? ": met" : ": MISSED";
    out += fmt::format("      target {}{}\n", row.target, verdict);
  }
  if (!row.note.empty()) out += fmt::format("      note   {}\n", row.note);
  return out;
}

Json summary_json(const Summary& s) {
  return {{"runs", s.runs}, {"min", s.min}, {"median", s.median}, {"p99", s.p99}, {"max", s.max}};
}

Json row_json(const Row& row) {
  Json json{{"name", row.name}, {"unit", row.unit}, {"ours", summary_json(row.ours)}};
  if (row.peer) {
    json["peer_name"] = row.peer_name;
    json["peer"] = summary_json(*row.peer);
  }
  if (row.ratio) json["ratio"] = *row.ratio;
  if (row.fraction) {
    json["limit"] = row.limit_name;
    json["fraction_of_limit"] = *row.fraction;
  }
  if (!row.target.empty()) json["target"] = row.target;
  if (row.met) json["met"] = *row.met;
  if (!row.note.empty()) json["note"] = row.note;
  return json;
}

}  // namespace

Summary summarize(std::vector<double> runs) {
  Summary out;
  out.runs = runs.size();
  if (runs.empty()) return out;
  std::sort(runs.begin(), runs.end());
  const std::size_t half = runs.size() / 2;
  out.min = runs.front();
  out.max = runs.back();
  out.median = runs.size() % 2 == 1 ? runs[half] : (runs[half - 1] + runs[half]) / 2;
  out.p99 = runs[(runs.size() * 99 + 99) / 100 - 1];
  return out;
}

Machine this_machine() {
  Machine out;
  out.cpu = cpu_model();
  out.cores = std::thread::hardware_concurrency();
  out.memory_gib = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) *
                   static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0 * 1024.0);
  out.date = format_time(Time(system_clock().wall()));
  out.build = OVERWINTER_BENCH_BUILD;
  double load[1] = {0};
  if (::getloadavg(load, 1) == 1) out.load = load[0];
  return out;
}

std::string as_table(const Machine& machine, const std::vector<SuiteReport>& suites) {
  std::string out =
      fmt::format("{}, {} cores, {:.1f} GiB; {}; build {}; load at the start {:.2f}\n", machine.cpu,
                  machine.cores, machine.memory_gib, machine.date, machine.build, machine.load);
  for (const SuiteReport& suite : suites) {
    out += fmt::format("\n{}: {}\n", suite.suite, suite.what);
    if (!suite.skipped.empty()) out += "  skipped: " + suite.skipped + "\n";
    for (const Row& row : suite.rows) out += row_text(row);
  }
  return out;
}

std::string as_json(const Machine& machine, const std::vector<SuiteReport>& suites) {
  Json json{{"machine",
             {{"cpu", machine.cpu}, {"cores", machine.cores}, {"memory_gib", machine.memory_gib}}},
            {"date", machine.date},
            {"build", machine.build},
            {"load_at_start", machine.load},
            {"suites", Json::array()}};
  for (const SuiteReport& suite : suites) {
    Json one{{"suite", suite.suite}, {"what", suite.what}, {"rows", Json::array()}};
    if (!suite.skipped.empty()) one["skipped"] = suite.skipped;
    for (const Row& row : suite.rows) one["rows"].push_back(row_json(row));
    json["suites"].push_back(std::move(one));
  }
  return json.dump(2) + "\n";
}

void say(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace overwinter::bench
