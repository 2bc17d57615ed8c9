#include <google/protobuf/duration.pb.h>

#include <map>

#include "common/base/money.h"
#include "common/spec/spec.h"

namespace overwinter::spec {
namespace {

// In double quotes, as YAML and JSON read it.
std::string quoted(const std::string& text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      out += "\\u00";
      out += kDigits[static_cast<unsigned char>(c) >> 4];
      out += kDigits[c & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string milliseconds(const google::protobuf::Duration& d) {
  return std::to_string(d.seconds() * 1000 + d.nanos() / 1'000'000) + "ms";
}

void line(std::string& out, int indent, const std::string& key, const std::string& value) {
  if (value.empty()) return;
  out += std::string(static_cast<std::size_t>(indent), ' ') + key + ": " + value + "\n";
}
std::string text(const std::string& value) {
  return value.empty() ? value : quoted(value);
}
std::string count(std::uint64_t value) {
  return value == 0 ? "" : std::to_string(value);
}

void print_workload(const v1::JobSpec& spec, std::string& out) {
  if (spec.has_matmul()) {
    out += "workload:\n  matmul:\n";
    line(out, 4, "a", text(spec.matmul().a()));
    line(out, 4, "b", text(spec.matmul().b()));
    line(out, 4, "algorithm", text(spec.matmul().algorithm()));
    line(out, 4, "precision", text(spec.matmul().precision()));
  }
  if (spec.has_noop()) {
    out += "workload:\n  noop:\n";
    line(out, 4, "units", count(spec.noop().units()));
    line(out, 4, "units_per_range_max", count(spec.noop().units_per_range_max()));
  }
}

}  // namespace

std::string spec_to_yaml(const v1::JobSpec& spec) {
  std::string out;
  line(out, 0, "project", text(spec.project()));
  line(out, 0, "name", text(spec.name()));
  if (!spec.labels().empty()) {
    out += "labels:\n";
    const std::map<std::string, std::string> sorted(spec.labels().begin(), spec.labels().end());
    for (const auto& [key, value] : sorted) line(out, 2, quoted(key), quoted(value));
  }
  print_workload(spec, out);
  if (spec.has_workers()) {
    out += "workers:\n";
    line(out, 2, "min", count(spec.workers().min()));
    line(out, 2, "max", count(spec.workers().max()));
    line(out, 2, "device", text(spec.workers().device()));
  }
  line(out, 0, "transport", text(spec.transport()));
  if (spec.memory_per_device_bytes() != 0)
    line(out, 0, "memory_per_device", std::to_string(spec.memory_per_device_bytes()) + "B");
  if (spec.has_budget()) {
    out += "budget:\n";
    if (spec.budget().has_cap())
      line(out, 2, "cap", format_money(Money{spec.budget().cap().amount_micros()}));
    if (spec.budget().has_deadline())
      line(out, 2, "deadline", milliseconds(spec.budget().deadline()));
  }
  if (spec.has_time_limit()) line(out, 0, "time_limit", milliseconds(spec.time_limit()));
  line(out, 0, "priority", text(spec.priority()));
  line(out, 0, "spot", text(spec.spot()));
  return out;
}

}  // namespace overwinter::spec
