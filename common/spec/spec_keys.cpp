#include "common/spec/spec_keys.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/base/bytes.h"
#include "common/base/nearest_word.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {
namespace {

using v1::JobSpec;

void to_proto(Duration d, google::protobuf::Duration& out) {
  out.set_seconds(d.count() / 1000);
  out.set_nanos(static_cast<std::int32_t>(d.count() % 1000) * 1'000'000);
}

constexpr std::uint64_t kUnitsMax = 1'000'000'000;

constexpr Key kKeys[] = {
    {"project", ValueKind::kText, "", 0, "whose job it is; default: the token's project",
     [](JobSpec& s, const Value& v) { s.set_project(v.text); }},
    {"name", ValueKind::kText, "", 0, "1 to 80 characters; default: the workload's kind",
     [](JobSpec& s, const Value& v) { s.set_name(v.text); }},
    {"labels", ValueKind::kLabels, "", 0, "words to find the job by", nullptr},
    {"workload", ValueKind::kSection, "", 0, "what to run: exactly one of its keys", nullptr},
    {"workload.matmul", ValueKind::kSection, "", 0, "the product of two matrices", nullptr},
    {"workload.matmul.a", ValueKind::kText, "", 0, "left factor: a .npy file or artifact://SHA256",
     [](JobSpec& s, const Value& v) { s.mutable_matmul()->set_a(v.text); }},
    {"workload.matmul.b", ValueKind::kText, "", 0, "right factor",
     [](JobSpec& s, const Value& v) { s.mutable_matmul()->set_b(v.text); }},
    {"workload.matmul.algorithm", ValueKind::kChoice, "auto|classical", 0, "default: auto",
     [](JobSpec& s, const Value& v) { s.mutable_matmul()->set_algorithm(v.text); }},
    {"workload.matmul.precision", ValueKind::kChoice, "fp32|fp64", 0, "default: the inputs' own",
     [](JobSpec& s, const Value& v) { s.mutable_matmul()->set_precision(v.text); }},
    {"workload.noop", ValueKind::kSection, "", 0, "units that do nothing; test builds only",
     nullptr},
    {"workload.noop.units", ValueKind::kCount, "", kUnitsMax, "how many",
     [](JobSpec& s, const Value& v) { s.mutable_noop()->set_units(v.number); }},
    {"workload.noop.units_per_range_max", ValueKind::kCount, "", kUnitsMax, "in one hand-out",
     [](JobSpec& s, const Value& v) { s.mutable_noop()->set_units_per_range_max(v.number); }},
    {"workers", ValueKind::kSection, "", 0, "how many workers, and which", nullptr},
    {"workers.min", ValueKind::kCount, "", 10'000, "default: 1",
     [](JobSpec& s, const Value& v) {
       s.mutable_workers()->set_min(static_cast<std::uint32_t>(v.number));
     }},
    {"workers.max", ValueKind::kCount, "", 10'000, "default: all that fit",
     [](JobSpec& s, const Value& v) {
       s.mutable_workers()->set_max(static_cast<std::uint32_t>(v.number));
     }},
    {"workers.device", ValueKind::kChoice, "any|cpu", 0, "default: any",
     [](JobSpec& s, const Value& v) { s.mutable_workers()->set_device(v.text); }},
    {"transport", ValueKind::kChoice, "auto|elastic", 0, "default: auto",
     [](JobSpec& s, const Value& v) { s.set_transport(v.text); }},
    {"memory_per_device", ValueKind::kSize, "auto", 0, "default: auto, the predicted peak",
     [](JobSpec& s, const Value& v) { s.set_memory_per_device_bytes(v.number); }},
    {"budget", ValueKind::kSection, "", 0, "what it may cost, and until when", nullptr},
    {"budget.cap", ValueKind::kMoney, "", 0, "a hard ceiling in the price book's currency",
     [](JobSpec& s, const Value& v) {
       s.mutable_budget()->mutable_cap()->set_amount_micros(v.money.micros);
     }},
    {"budget.deadline", ValueKind::kDuration, "", 0, "from submission; ranks the plans",
     [](JobSpec& s, const Value& v) {
       to_proto(v.duration, *s.mutable_budget()->mutable_deadline());
     }},
    {"time_limit", ValueKind::kDuration, "", 0, "of running; then the job is paused",
     [](JobSpec& s, const Value& v) { to_proto(v.duration, *s.mutable_time_limit()); }},
    {"priority", ValueKind::kChoice, "low|normal|high", 0, "default: normal",
     [](JobSpec& s, const Value& v) { s.set_priority(v.text); }},
    {"spot", ValueKind::kChoice, "never|allowed|only", 0, "default: allowed",
     [](JobSpec& s, const Value& v) { s.set_spot(v.text); }},
};

struct Answer {
  std::string_view key;  // a path, or a last part at any place
  std::string_view text;
};

// Keys that other systems have, by last part.
constexpr Answer kForeign[] = {
    {"num_nodes", "it is workers: {min, max} here."},
    {"nodes", "it is workers: {min, max} here."},
    {"nnodes", "it is workers: {min, max} here."},
    {"num_workers", "it is workers: {min, max} here."},
    {"replicas", "it is workers: {min, max} here."},
    {"parallelism", "it is workers: {min, max} here."},
    {"ntasks", "it is workers: {min, max} here; each worker uses the threads of its device."},
    {"ntasks_per_node", "each worker uses the threads of its device; leave it out."},
    {"cpus_per_task", "each worker uses the threads of its device; leave it out."},
    {"num_cpus", "each worker uses the threads of its device; leave it out."},
    {"cpus", "each worker uses the threads of its device; leave it out."},
    {"gres", "it is workers: {device} here."},
    {"gpus", "it is workers: {device} here."},
    {"num_gpus", "it is workers: {device} here."},
    {"accelerators", "it is workers: {device} here."},
    {"instance_type", "it is workers: {device} here."},
    {"constraint", "it is workers: {device} here."},
    {"partition", "there are no partitions; say workers: {device} and priority."},
    {"queue", "there is one queue; say priority: low, normal or high."},
    {"qos", "it is priority: low, normal or high here."},
    {"account", "it is project here."},
    {"namespace", "it is project here."},
    {"job_name", "it is name here."},
    {"mem", "it is memory_per_device here."},
    {"memory", "it is memory_per_device here."},
    {"mem_per_cpu", "it is memory_per_device here."},
    {"time", "it is time_limit here (with a unit: 12h)."},
    {"walltime", "it is time_limit here (with a unit: 12h)."},
    {"timeout", "it is time_limit here (with a unit: 12h)."},
    {"max_runtime", "it is time_limit here (with a unit: 12h)."},
    {"deadline_seconds", "it is budget: {deadline} here (with a unit: 30m)."},
    {"resources", "it is workers, memory_per_device and budget here."},
    {"use_spot", "it is spot: never, allowed or only here."},
    {"preemptible", "it is spot: never, allowed or only here."},
    {"max_cost", "it is budget: {cap} here."},
    {"metadata", "name, project and labels stand at the top of the file here."},
    {"spec", "the keys of a job stand at the top of the file here, without spec."},
    {"apiVersion", "a job file has no version; leave it out."},
    {"kind", "a job file has no kind; say workload: {matmul: …}."},
    {"image", "workers have no containers for jobs; leave it out."},
    {"image_id", "workers have no containers for jobs; leave it out."},
    {"container", "workers have no containers for jobs; leave it out."},
    {"docker", "workers have no containers for jobs; leave it out."},
    {"run", "this release runs matmul and no programs of your own."},
    {"command", "this release runs matmul and no programs of your own."},
    {"entrypoint", "this release runs matmul and no programs of your own."},
    {"script", "this release runs matmul and no programs of your own."},
    {"setup", "this release runs matmul and no programs of your own."},
    {"env", "this release runs matmul and no programs of your own."},
    {"envs", "this release runs matmul and no programs of your own."},
    {"workdir", "this release runs matmul and no programs of your own."},
    {"runtime_env", "this release runs matmul and no programs of your own."},
    {"file_mounts", "inputs are named in the workload: {matmul: {a: A.npy, b: B.npy}}."},
};

// Keys of this project that a matrix product has no use for, or that come later.
constexpr Answer kLater[] = {
    {"workload.train", "this release runs matmul; train comes with a later one."},
    {"workload.exec", "this release runs matmul; exec comes with a later one."},
    {"workload.compress", "this release runs matmul; compress comes with a later one."},
    {"workload.evaluate", "this release runs matmul; evaluate comes with a later one."},
    {"checkpoint", "a product keeps its finished tiles by itself; leave it out."},
    {"stop", "it is for programs of your own, which come with a later release."},
    {"stall_timeout", "it is for training and programs, which come with a later release."},
    {"retries", "a product's units are handed out again by themselves; leave it out."},
    {"host", "it is for programs of your own, which come with a later release."},
    {"value", "it comes with a later release; say priority: low, normal or high."},
    {"elastic", "its settings are for training, which comes with a later release."},
};

struct LaterValue {
  std::string_view path;
  std::string_view value;
  std::string_view text;
};
constexpr LaterValue kLaterValues[] = {
    {"transport", "gang", "gangs come with a later release; say transport: auto or elastic."},
    {"workload.matmul.algorithm", "strassen",
     "strassen comes with a later release; say algorithm: auto."},
    {"workload.matmul.precision", "bf16",
     "bf16 comes with a later release; this one has fp32 and fp64."},
    {"workload.matmul.precision", "fp16",
     "fp16 comes with a later release; this one has fp32 and fp64."},
    {"workload.matmul.precision", "int8",
     "int8 comes with a later release; this one has fp32 and fp64."},
    {"workers.device", "gpu", "GPUs come with a later release; say device: any or cpu."},
};

std::string_view last_part(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}
std::string_view parent(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string nearest_key(std::string_view path) {
  const std::string_view word = last_part(path);
  std::string_view best;
  std::size_t best_edits = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const Key& key : kKeys) {
    // A key of the same section is nearer than one of another by one edit.
    const std::size_t away = parent(key.path) == parent(path) ? 0 : 1;
    const std::size_t distance = word_edits(word, last_part(key.path)) + away;
    if (distance >= best_edits || key.path.substr(0, 13) == "workload.noop") continue;
    best_edits = distance;
    best = key.path;
  }
  return std::string(best);
}

std::string needs(const Key& key, const std::string& what) {
  return std::string(key.path) + " " + what;
}

std::string listed(std::string_view choices) {
  std::string out;
  for (char c : choices) out += c == '|' ? std::string(", ") : std::string(1, c);
  return out;
}

bool is_choice(std::string_view choices, std::string_view text) {
  while (true) {
    const std::size_t bar = choices.find('|');
    if (choices.substr(0, bar) == text) return true;
    if (bar == std::string_view::npos) return false;
    choices.remove_prefix(bar + 1);
  }
}

}  // namespace

std::span<const Key> known_keys() {
  return kKeys;
}

const Key* find_key(std::string_view path) {
  const auto* at = std::find_if(std::begin(kKeys), std::end(kKeys),
                                [&](const Key& key) { return key.path == path; });
  return at == std::end(kKeys) ? nullptr : at;
}

std::string about_later_value(std::string_view path, std::string_view value) {
  for (const LaterValue& later : kLaterValues)
    if (later.path == path && later.value == value) return std::string(later.text);
  return {};
}

std::string about_unknown_key(std::string_view path) {
  for (const Answer& later : kLater)
    if (later.key == path) return std::string(path) + ": " + std::string(later.text);
  std::string text = "unknown key \"" + printable(path) + "\"";
  for (const Answer& foreign : kForeign)
    if (foreign.key == last_part(path)) return text + ": " + std::string(foreign.text);
  const std::string nearest = nearest_key(path);
  return nearest.empty() ? text + "." : text + "; did you mean \"" + nearest + "\"?";
}

Result<Value> read_value(const Key& key, std::string_view text) {
  const auto refuse = [&](const std::string& what) {
    return fail(Code::kInvalidArgument, needs(key, what), std::string(key.path));
  };
  const std::string shown = "\"" + std::string(text.substr(0, 60)) + "\"";
  Value value;
  value.text = std::string(text);
  if (has_control_character(text)) return refuse("holds a control character.");
  switch (key.kind) {
    case ValueKind::kText:
      if (text.size() > 4096) return refuse("is longer than 4096 bytes.");
      return value;
    case ValueKind::kChoice:
      if (is_choice(key.choices, text)) return value;
      if (const std::string later = about_later_value(key.path, text); !later.empty())
        return refuse("cannot be " + shown + ": " + later);
      return refuse("must be one of " + listed(key.choices) + ", not " + shown + ".");
    case ValueKind::kCount: {
      const auto [end, parsed] =
          std::from_chars(text.data(), text.data() + text.size(), value.number);
      if (parsed != std::errc() || end != text.data() + text.size() || value.number > key.most)
        return refuse("must be a whole number from 0 to " + std::to_string(key.most) + ", not " +
                      shown + ".");
      return value;
    }
    case ValueKind::kSize: {
      if (!key.choices.empty() && is_choice(key.choices, text)) return value;
      const auto bytes = parse_bytes(text);
      if (!bytes)
        return refuse("must be a size with a unit (64MiB, 4GiB) or auto, not " + shown + ".");
      value.number = *bytes;
      return value;
    }
    case ValueKind::kDuration: {
      const auto duration = parse_duration(text);
      if (!duration || duration->count() <= 0)
        return refuse("must be a duration with a unit (90s, 30m, 12h), not " + shown + ".");
      value.duration = *duration;
      return value;
    }
    case ValueKind::kMoney: {
      const auto money = parse_money(text);
      if (!money) return refuse("must be an amount (0.50), not " + shown + ".");
      value.money = *money;
      return value;
    }
    case ValueKind::kSection:
    case ValueKind::kLabels:
      break;
  }
  return refuse("is a section; name one of its keys.");
}

}  // namespace overwinter::spec
