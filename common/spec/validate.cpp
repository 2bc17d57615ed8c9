#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cctype>

#include "common/base/bytes.h"
#include "common/spec/spec.h"
#include "common/spec/spec_keys.h"
#include "common/spec/spec_node.h"
#include "common/spec/violations.h"

namespace overwinter::spec {
namespace {

constexpr std::size_t kLabelsMax = 64;
constexpr std::uint64_t kMemoryMin = 1 * kMiB;
constexpr std::uint64_t kMemoryMax = 1ULL << 50;
constexpr std::int64_t kMoneyMicrosMax = 9'000'000'000'000'000;

class Validator {
 public:
  Validator(v1::JobSpec& spec, std::string_view default_project, const SpecOptions& options)
      : spec_(spec), default_project_(default_project), options_(options), out_(options) {}

  std::vector<Violation> run() {
    workload();
    names();
    labels();
    workers();
    choices();
    limits();
    return out_.take();
  }

 private:
  void workload() {
    const Release& release = options_.release;
    switch (spec_.workload_case()) {
      case v1::JobSpec::kMatmul:
        return matmul();
      case v1::JobSpec::kTrain:
        if (!release.train) return comes_later("workload.train");
        validate_train(spec_, out_);
        return gang();
      case v1::JobSpec::kExec:
        if (!release.exec) return comes_later("workload.exec");
        if (spec_.exec().launcher() == "mpi" && !release.mpi)
          out_.refuse("workload.exec.launcher",
                      "workload.exec.launcher: mpi comes with a later release; this one has env, "
                      "torchrun and none.");
        validate_exec(spec_, out_);
        return gang();
      case v1::JobSpec::kNoop:
        return noop();
      case v1::JobSpec::WORKLOAD_NOT_SET:
        out_.refuse("workload", "The job has no workload; this release runs " +
                                    workloads_of(release) +
                                    ": workload: { matmul: { a: A.npy, b: B.npy } }.");
    }
  }

  void comes_later(const std::string& path) {
    out_.refuse(path, about_unknown_key(path, options_.release));
  }

  void matmul() {
    out_.file("workload.matmul.a", spec_.matmul().a(), "a .npy file");
    out_.file("workload.matmul.b", spec_.matmul().b(), "a .npy file");
    if (spec_.matmul().algorithm().empty()) spec_.mutable_matmul()->set_algorithm("auto");
    out_.choice("workload.matmul.algorithm", spec_.matmul().algorithm());
    if (!spec_.matmul().precision().empty())
      out_.choice("workload.matmul.precision", spec_.matmul().precision());
    out_.keys(spec_, "workload.matmul.tolerance");
    no_gang();
  }

  void noop() {
    if (!options_.allow_test_workloads) {
      out_.refuse("workload.noop", "noop is for test builds; this release runs " +
                                       workloads_of(options_.release) + ".");
      return;
    }
    v1::NoopSpec& noop = *spec_.mutable_noop();
    if (noop.units_per_range_max() == 0) noop.set_units_per_range_max(64);
    out_.keys(spec_, "workload.noop");
    no_gang();
  }

  // Keys of gangs, of a workload that runs as units.
  void no_gang() {
    const auto useless = [&](bool present, const std::string& key, const std::string& why) {
      if (present) out_.refuse(key, key + ": " + why + "; leave it out.");
    };
    useless(spec_.has_checkpoint(), "checkpoint", "a product keeps its finished tiles by itself");
    useless(spec_.has_stall_timeout(), "stall_timeout", "it is for training and programs");
    useless(spec_.has_stop(), "stop", "it is for programs of your own");
    useless(spec_.has_retries(), "retries", "a product's units are handed out again by themselves");
    useless(spec_.has_host(), "host", "it is for training and programs");
    if (options_.release.gangs() && spec_.transport() == "gang")
      out_.refuse("transport",
                  "transport cannot be \"gang\": products over gangs come with a later release; "
                  "say transport: auto or elastic.");
  }

  void gang() {
    v1::CheckpointSpec& checkpoint = *spec_.mutable_checkpoint();
    if (checkpoint.every_steps() != 0 && checkpoint.has_every_time())
      out_.refuse("checkpoint.every", "checkpoint.every is steps or a duration, not both.");
    if (checkpoint.every_steps() == 0 && !checkpoint.has_every_time())
      checkpoint.mutable_every_time()->set_seconds(300);
    if (checkpoint.keep() == 0) checkpoint.set_keep(3);
    if (!spec_.has_stall_timeout()) spec_.mutable_stall_timeout()->set_seconds(1800);
    if (!spec_.has_retries()) spec_.set_retries(3);
    out_.keys(spec_, "checkpoint");
    out_.keys(spec_, "stop");
    out_.keys(spec_, "retries");
    out_.keys(spec_, "host");
    out_.duration("stall_timeout", spec_.stall_timeout());
    if (checkpoint.has_every_time()) out_.duration("checkpoint.every", checkpoint.every_time());
    if (checkpoint.every_steps() > 1'000'000'000)
      out_.refuse("checkpoint.every", "checkpoint.every has at most 1000000000 steps.");
    memory("host.memory", spec_.host().memory_bytes());
  }

  void memory(const std::string& field, std::uint64_t bytes) {
    if (bytes != 0 && (bytes < kMemoryMin || bytes > kMemoryMax))
      out_.refuse(field, field + " must be " + (field == "host.memory" ? "" : "auto, or ") +
                             "1 MiB to 1 PiB.");
  }

  [[nodiscard]] std::string default_name() const {
    switch (spec_.workload_case()) {
      case v1::JobSpec::kTrain:
        return "train";
      case v1::JobSpec::kExec:
        return "exec";
      case v1::JobSpec::kNoop:
        return "noop";
      default:
        return "matmul";
    }
  }

  void names() {
    if (spec_.project().empty())
      spec_.set_project(default_project_.empty() ? "default" : std::string(default_project_));
    if (!is_project_name(spec_.project()))
      out_.refuse("project",
                  "project must be 1 to 40 lower case letters, digits and dashes, beginning "
                  "with a letter.");
    if (spec_.name().empty()) spec_.set_name(default_name());
    if (!is_job_name(spec_.name()))
      out_.refuse("name", "name must be 1 to 80 characters, without control characters and \"/\".");
  }

  void labels() {
    if (spec_.labels().size() > kLabelsMax) out_.refuse("labels", "A job has at most 64 labels.");
    for (const auto& [key, value] : spec_.labels()) {
      const bool good_key = !key.empty() && key.size() <= 63 &&
                            std::all_of(key.begin(), key.end(), [](unsigned char c) {
                              return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
                            });
      if (!good_key)
        out_.refuse("labels", "The label \"" + printable(key) +
                                  "\" must be 1 to 63 letters, digits, \"_\", \"-\" and \".\".");
      else if (value.size() > 255 || has_control_character(value))
        out_.refuse("labels." + key, "A label has at most 255 bytes and no control characters.");
    }
  }

  void workers() {
    v1::WorkersSpec& workers = *spec_.mutable_workers();
    if (workers.min() == 0) workers.set_min(1);
    if (workers.device().empty()) workers.set_device("any");
    out_.choice("workers.device", workers.device());
    const bool is_elastic = spec_.has_matmul() || spec_.has_noop();
    if (options_.release.gangs() && is_elastic && workers.device() != "any" &&
        workers.device() != "cpu")
      out_.refuse("workers.device", "workers.device must be any or cpu for a product, not \"" +
                                        printable(workers.device()) + "\".");
    if (workers.min() > find_key("workers.min")->most)
      out_.refuse("workers.min", "workers.min must be at most 10000.");
    if (workers.max() > find_key("workers.max")->most)
      out_.refuse("workers.max", "workers.max must be at most 10000.");
    if (workers.max() != 0 && workers.max() < workers.min())
      out_.refuse("workers.max", "workers.max is " + std::to_string(workers.max()) +
                                     ", less than workers.min, which is " +
                                     std::to_string(workers.min()) + ".");
  }

  void choices() {
    if (spec_.transport().empty()) spec_.set_transport("auto");
    if (spec_.priority().empty()) spec_.set_priority("normal");
    if (spec_.spot().empty()) spec_.set_spot("allowed");
    out_.choice("transport", spec_.transport());
    out_.choice("priority", spec_.priority());
    out_.choice("spot", spec_.spot());
  }

  void limits() {
    memory("memory_per_device", spec_.memory_per_device_bytes());
    if (spec_.has_time_limit()) out_.duration("time_limit", spec_.time_limit());
    if (!spec_.has_budget()) return;
    if (spec_.budget().has_deadline()) out_.duration("budget.deadline", spec_.budget().deadline());
    if (spec_.budget().has_cap()) {
      const std::int64_t micros = spec_.budget().cap().amount_micros();
      if (micros <= 0 || micros > kMoneyMicrosMax)
        out_.refuse("budget.cap", "budget.cap must be more than 0 and at most 9000000000.");
    }
  }

  v1::JobSpec& spec_;
  std::string_view default_project_;
  const SpecOptions& options_;
  Violations out_;
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

Status to_status(const std::vector<Violation>& violations, const ParsedSpec& parsed) {
  std::vector<Violation> with_lines = violations;
  for (Violation& violation : with_lines) {
    std::string path = violation.field.substr(0, violation.field.find('['));
    auto at = parsed.lines.find(path);
    // A key that is missing: where its section begins.
    while (at == parsed.lines.end() && path.find('.') != std::string::npos) {
      path.resize(path.rfind('.'));
      at = parsed.lines.find(path);
    }
    violation.message =
        parsed.source + ":" +
        (at == parsed.lines.end() ? std::string() : std::to_string(at->second) + ":") + " " +
        violation.message;
  }
  return to_status(with_lines);
}

std::vector<InputText> input_texts(v1::JobSpec& spec) {
  std::vector<InputText> out;
  if (spec.has_matmul()) {
    out.push_back({"workload.matmul.a", spec.mutable_matmul()->mutable_a()});
    out.push_back({"workload.matmul.b", spec.mutable_matmul()->mutable_b()});
  }
  if (!spec.has_train()) return out;
  v1::TrainSpec& train = *spec.mutable_train();
  if (!train.init_from().empty() && !is_checkpoint_name(train.init_from()))
    out.push_back({"workload.train.init_from", train.mutable_init_from()});
  const std::string field = "workload.train.data";
  for (int i = 0; i < train.data().text_size(); ++i)
    out.push_back(
        {field + ".text[" + std::to_string(i) + "]", train.mutable_data()->mutable_text(i)});
  if (train.data().has_npy()) {
    v1::NpyData& npy = *train.mutable_data()->mutable_npy();
    out.push_back({field + ".npy.x", npy.mutable_x()});
    out.push_back({field + ".npy.y", npy.mutable_y()});
  }
  if (train.data().has_csv())
    out.push_back({field + ".csv.path", train.mutable_data()->mutable_csv()->mutable_path()});
  return out;
}

bool is_checkpoint_name(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size() || text.size() - at > 20)
    return false;
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at) + 1, text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
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
