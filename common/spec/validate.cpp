#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cctype>

#include "common/base/bytes.h"
#include "common/spec/spec.h"
#include "common/spec/spec_keys.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {
namespace {

constexpr std::size_t kLabelsMax = 64;
constexpr std::uint64_t kMemoryMin = 1 * kMiB;
constexpr std::uint64_t kMemoryMax = 1ULL << 50;
constexpr std::int64_t kDurationSecondsMax = 366LL * 24 * 3600;
constexpr std::int64_t kMoneyMicrosMax = 9'000'000'000'000'000;

class Validator {
 public:
  Validator(v1::JobSpec& spec, std::string_view default_project, const SpecOptions& options)
      : spec_(spec), default_project_(default_project), options_(options) {}

  std::vector<Violation> run() {
    workload();
    names();
    labels();
    workers();
    choices();
    limits();
    return std::move(violations_);
  }

 private:
  void refuse(std::string field, std::string message) {
    violations_.push_back({std::move(field), std::move(message)});
  }

  void workload() {
    switch (spec_.workload_case()) {
      case v1::JobSpec::kMatmul:
        factor("workload.matmul.a", spec_.matmul().a());
        factor("workload.matmul.b", spec_.matmul().b());
        if (spec_.matmul().algorithm().empty()) spec_.mutable_matmul()->set_algorithm("auto");
        choice("workload.matmul.algorithm", spec_.matmul().algorithm());
        if (!spec_.matmul().precision().empty())
          choice("workload.matmul.precision", spec_.matmul().precision());
        return;
      case v1::JobSpec::kNoop:
        noop();
        return;
      case v1::JobSpec::WORKLOAD_NOT_SET:
        refuse("workload",
               "The job has no workload; this release runs matmul: workload: { matmul: "
               "{ a: A.npy, b: B.npy } }.");
    }
  }

  void noop() {
    if (!options_.allow_test_workloads) {
      refuse("workload.noop", "noop is for test builds; this release runs matmul.");
      return;
    }
    v1::NoopSpec& noop = *spec_.mutable_noop();
    if (noop.units_per_range_max() == 0) noop.set_units_per_range_max(64);
    if (noop.units() > find_key("workload.noop.units")->most)
      refuse("workload.noop.units", "workload.noop.units is too large.");
    if (noop.units_per_range_max() > find_key("workload.noop.units_per_range_max")->most)
      refuse("workload.noop.units_per_range_max", "It is too large.");
  }

  void factor(const std::string& field, const std::string& text) {
    if (text.empty()) {
      refuse(field, field + " is missing: a .npy file, or artifact://SHA256 of a stored one.");
      return;
    }
    if (text.size() > 4096 || has_control_character(text)) {
      refuse(field, field + " is longer than 4096 bytes or holds a control character.");
      return;
    }
    const bool uri = text.substr(0, 11) == "artifact://";
    if ((uri || options_.require_artifacts) && artifact_digest(text).empty())
      refuse(field, field + " must be artifact:// and 64 hexadecimal digits, not \"" +
                        printable(text) + "\".");
  }

  void names() {
    if (spec_.project().empty())
      spec_.set_project(default_project_.empty() ? "default" : std::string(default_project_));
    if (!is_project_name(spec_.project()))
      refuse("project",
             "project must be 1 to 40 lower case letters, digits and dashes, beginning "
             "with a letter.");
    if (spec_.name().empty()) spec_.set_name(spec_.has_noop() ? "noop" : "matmul");
    if (!is_job_name(spec_.name()))
      refuse("name", "name must be 1 to 80 characters, without control characters and \"/\".");
  }

  void labels() {
    if (spec_.labels().size() > kLabelsMax) refuse("labels", "A job has at most 64 labels.");
    for (const auto& [key, value] : spec_.labels()) {
      const bool good_key = !key.empty() && key.size() <= 63 &&
                            std::all_of(key.begin(), key.end(), [](unsigned char c) {
                              return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
                            });
      if (!good_key)
        refuse("labels", "The label \"" + printable(key) +
                             "\" must be 1 to 63 letters, digits, \"_\", \"-\" and \".\".");
      else if (value.size() > 255 || has_control_character(value))
        refuse("labels." + key, "A label has at most 255 bytes and no control characters.");
    }
  }

  void workers() {
    v1::WorkersSpec& workers = *spec_.mutable_workers();
    if (workers.min() == 0) workers.set_min(1);
    if (workers.device().empty()) workers.set_device("any");
    choice("workers.device", workers.device());
    if (workers.min() > find_key("workers.min")->most)
      refuse("workers.min", "workers.min must be at most 10000.");
    if (workers.max() > find_key("workers.max")->most)
      refuse("workers.max", "workers.max must be at most 10000.");
    if (workers.max() != 0 && workers.max() < workers.min())
      refuse("workers.max", "workers.max is " + std::to_string(workers.max()) +
                                ", less than workers.min, which is " +
                                std::to_string(workers.min()) + ".");
  }

  void choices() {
    if (spec_.transport().empty()) spec_.set_transport("auto");
    if (spec_.priority().empty()) spec_.set_priority("normal");
    if (spec_.spot().empty()) spec_.set_spot("allowed");
    choice("transport", spec_.transport());
    choice("priority", spec_.priority());
    choice("spot", spec_.spot());
  }

  void choice(const std::string& field, const std::string& text) {
    if (auto read = read_value(*find_key(field), text); !read) refuse(field, read.error().message);
  }

  void limits() {
    const std::uint64_t memory = spec_.memory_per_device_bytes();
    if (memory != 0 && (memory < kMemoryMin || memory > kMemoryMax))
      refuse("memory_per_device", "memory_per_device must be auto, or 1 MiB to 1 PiB.");
    if (spec_.has_time_limit()) duration("time_limit", spec_.time_limit());
    if (!spec_.has_budget()) return;
    if (spec_.budget().has_deadline()) duration("budget.deadline", spec_.budget().deadline());
    if (spec_.budget().has_cap()) {
      const std::int64_t micros = spec_.budget().cap().amount_micros();
      if (micros <= 0 || micros > kMoneyMicrosMax)
        refuse("budget.cap", "budget.cap must be more than 0 and at most 9000000000.");
    }
  }

  void duration(const std::string& field, const google::protobuf::Duration& d) {
    const bool positive = d.seconds() > 0 || (d.seconds() == 0 && d.nanos() > 0);
    if (!positive || d.seconds() > kDurationSecondsMax || d.nanos() < 0 || d.nanos() > 999'999'999)
      refuse(field, field + " must be longer than nothing and at most 366 days.");
  }

  v1::JobSpec& spec_;
  std::string_view default_project_;
  const SpecOptions& options_;
  std::vector<Violation> violations_;
};

}  // namespace

std::vector<Violation> complete_and_validate(v1::JobSpec& spec, std::string_view default_project,
                                             const SpecOptions& options) {
  return Validator(spec, default_project, options).run();
}

Status to_status(const std::vector<Violation>& violations) {
  if (violations.empty()) return Status::success();
  std::string message;
  for (const Violation& violation : violations) {
    if (!message.empty()) message += ' ';
    message += violation.message;
  }
  return error(Code::kInvalidArgument, std::move(message), violations.front().field);
}

std::string artifact_digest(std::string_view uri) {
  constexpr std::string_view kScheme = "artifact://";
  if (uri.substr(0, kScheme.size()) != kScheme) return {};
  const auto digest = parse_digest(uri.substr(kScheme.size()));
  return digest ? to_hex(*digest) : std::string();
}

std::string slug(std::string_view name) {
  constexpr std::size_t kLongest = 40;
  std::string out;
  for (char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) != 0) {
      if (out.size() == kLongest) break;
      out += static_cast<char>(std::tolower(byte));
    } else if (!out.empty() && out.back() != '-' && out.size() < kLongest) {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "job" : out;
}

bool is_project_name(std::string_view name) {
  return !name.empty() && name.size() <= 40 && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

bool is_job_name(std::string_view name) {
  if (name.empty() || !is_utf8(name) || has_control_character(name)) return false;
  if (name.find('/') != std::string_view::npos) return false;
  const auto characters = std::count_if(name.begin(), name.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  return characters <= 80;
}

}  // namespace overwinter::spec
