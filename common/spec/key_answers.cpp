// What is said about keys and values that this release does not take.
#include <algorithm>

#include "common/base/nearest_word.h"
#include "common/spec/spec_keys.h"

namespace overwinter::spec {
namespace {

struct Answer {
  std::string_view key;  // the last part of a path, at any place
  std::string_view text;
};

// Keys that other systems have.
constexpr Answer kForeign[] = {
    {"num_nodes", "it is workers: {min, max} here."},
    {"nodes", "it is workers: {min, max} here."},
    {"nnodes", "it is workers: {min, max} here."},
    {"num_workers", "it is workers: {min, max} here."},
    {"replicas", "it is workers: {min, max} here."},
    {"parallelism", "it is workers: {min, max} here."},
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
};

// The same, where the answer is about gangs: before and since this release runs them.
struct GangAnswer {
  std::string_view key;
  std::string_view before;
  std::string_view since;
};
constexpr std::string_view kThreads = "each worker uses the threads of its device; leave it out.";
constexpr std::string_view kCpus =
    "it is host: {cpus} here; each process uses the threads of its device.";
constexpr std::string_view kDeviceCount = "it is COUNT in workers: {device: KIND:COUNT} here.";
constexpr std::string_view kRestarts = "a product's units are handed out again by themselves.";
constexpr std::string_view kRetries = "it is retries here, the number of own failures it survives.";
constexpr GangAnswer kOfGangs[] = {
    {"ntasks", "it is workers: {min, max} here; each worker uses the threads of its device.",
     "it is workers: {min, max, device: KIND:COUNT} here."},
    {"ntasks_per_node", kThreads, kDeviceCount},
    {"nproc_per_node", kThreads, kDeviceCount},
    {"gpus_per_node", kThreads, kDeviceCount},
    {"slots_per_worker", kThreads, kDeviceCount},
    {"cpus_per_task", kThreads, kCpus},
    {"num_cpus", kThreads, kCpus},
    {"cpus", kThreads, kCpus},
    {"max_restarts", kRestarts, kRetries},
    {"max_retries", kRestarts, kRetries},
    {"restart_policy", kRestarts, kRetries},
    {"requeue", kRestarts, kRetries},
    {"backoffLimit", kRestarts, kRetries},
    {"grace_period", "a product has nothing to be told; leave it out.",
     "it is stop: {grace} here."},
};

// The same, about programs and about models; before: the sentence of the release.
constexpr Answer kOfExec[] = {
    {"run", "it is workload: {exec: {command: …}} here."},
    {"command", "it is workload: {exec: {command: …}} here."},
    {"entrypoint", "it is workload: {exec: {command: …}} here."},
    {"script", "it is workload: {exec: {command: …}} here."},
    {"args", "they stand in workload: {exec: {command: …}} here."},
    {"setup", "it is workload: {exec: {setup: …}} here."},
    {"pip", "it is workload: {exec: {setup: pip install …}} here."},
    {"conda", "it is workload: {exec: {setup: …}} here."},
    {"env", "it is workload: {exec: {env: …}} here."},
    {"envs", "it is workload: {exec: {env: …}} here."},
    {"environment", "it is workload: {exec: {env: …}} here."},
    {"workdir", "it is workload: {exec: {workdir: …}} here."},
    {"working_dir", "it is workload: {exec: {workdir: …}} here."},
    {"runtime_env", "it is workload: {exec: {workdir, setup, env}} here."},
    {"file_mounts", "it is workload: {exec: {mounts}} here; files of the workdir are sent."},
    {"volumes", "it is workload: {exec: {mounts}} here."},
    {"secrets", "it is workload: {exec: {secrets: [NAME]}} here."},
    {"output",
     "`overwinter logs JOB` shows what it prints; files are workload: {exec: {outputs}}."},
    {"error", "`overwinter logs JOB` shows what it prints; leave it out."},
};
constexpr Answer kOfTrain[] = {
    {"epochs", "it is steps here: epochs times samples over batch_size."},
    {"max_steps", "it is steps here."},
    {"lr", "it is learning_rate in optimizer: {adamw: …} here."},
    {"batch", "it is batch_size here, over all workers."},
    {"micro_batch_size", "it is batch_size over accumulate and the workers; leave it out."},
    {"gradient_accumulation_steps", "it is accumulate here."},
    {"gradient_checkpointing", "it is activations: recomputed here."},
    {"recompute", "it is activations: recomputed here."},
    {"n_layer", "it is layers here."},
    {"num_layers", "it is layers here."},
    {"n_head", "it is heads here."},
    {"num_heads", "it is heads here."},
    {"n_embd", "it is width here."},
    {"d_model", "it is width here."},
    {"hidden_size", "it is width here."},
    {"block_size", "it is context here."},
    {"n_positions", "it is context here."},
    {"sequence_length", "it is context here."},
    {"vocab_size", "it is vocabulary: bytes here, which is 256 tokens."},
    {"betas", "they are beta1 and beta2 here."},
    {"max_grad_norm", "it is clip_norm in optimizer: {adamw: …} here."},
    {"dataset", "it is data: {text, npy or csv} here."},
};

// Keys that gangs alone have, before this release runs them.
constexpr Answer kBeforeGangs[] = {
    {"checkpoint", "a product keeps its finished tiles by itself; leave it out."},
    {"stop", "it is for programs of your own, which come with a later release."},
    {"stall_timeout", "it is for training and programs, which come with a later release."},
    {"retries", "a product's units are handed out again by themselves; leave it out."},
    {"host", "it is for programs of your own, which come with a later release."},
};
// Keys of this project that come later.
constexpr Answer kLater[] = {
    {"value", "it comes with a later release; say priority: low, normal or high."},
    {"elastic", "its settings are for elastic training, which comes with a later release."},
};

enum class Until { kGangs, kExec };
struct LaterValue {
  std::string_view path;
  std::string_view value;
  Until until;
  std::string_view text;
};
constexpr LaterValue kLaterValues[] = {
    {"transport", "gang", Until::kGangs,
     "gangs come with a later release; say transport: auto or elastic."},
    {"workers.device", "gpu", Until::kExec,
     "GPUs come with a later release; say device: any or cpu."},
};

std::string_view last_part(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}
std::string_view first_part(std::string_view path) {
  return path.substr(0, path.find('.'));
}
std::string_view parent(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

std::string nearest_key(std::string_view path, const Release& release) {
  const std::string_view word = last_part(path);
  std::string_view best;
  std::size_t best_edits = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const Key& key : known_keys()) {
    // A key of the same section is nearer than one of another by one edit.
    const std::size_t away = parent(key.path) == parent(path) ? 0 : 1;
    const std::size_t distance = word_edits(word, last_part(key.path)) + away;
    if (distance >= best_edits || key.path.substr(0, 13) == "workload.noop") continue;
    if (!is_offered(key.path, release)) continue;
    best_edits = distance;
    best = key.path;
  }
  return std::string(best);
}

template <class Answers>
std::string_view answer(const Answers& answers, std::string_view key) {
  for (const Answer& candidate : answers)
    if (candidate.key == key) return candidate.text;
  return {};
}

// The answer to a key of another system; empty when it is none.
std::string about_foreign_key(std::string_view word, const Release& release) {
  for (const GangAnswer& candidate : kOfGangs)
    if (candidate.key == word)
      return std::string(release.gangs() ? candidate.since : candidate.before);
  if (const auto text = answer(kForeign, word); !text.empty()) return std::string(text);
  if (const auto text = answer(kOfExec, word); !text.empty()) {
    return release.exec
               ? std::string(text)
               : "this release runs " + workloads_of(release) + " and no programs of your own.";
  }
  if (const auto text = answer(kOfTrain, word); !text.empty() && release.train)
    return std::string(text);
  return {};
}

// A key of this project that this release has no use for; empty when it is none.
std::string about_later_key(std::string_view path, const Release& release) {
  constexpr std::string_view kWorkload = "workload.";
  if (path.substr(0, kWorkload.size()) == kWorkload) {
    const std::string_view word = first_part(path.substr(kWorkload.size()));
    const bool comes_later = word == "compress" || word == "evaluate" ||
                             (word == "train" && !release.train) ||
                             (word == "exec" && !release.exec);
    return comes_later ? "this release runs " + workloads_of(release) + "; " + std::string(word) +
                             " comes with a later one."
                       : std::string();
  }
  const std::string_view section = first_part(path);
  if (!release.gangs())
    if (const auto text = answer(kBeforeGangs, section); !text.empty()) return std::string(text);
  return std::string(answer(kLater, section));
}

}  // namespace

std::string about_later_value(std::string_view path, std::string_view value,
                              const Release& release) {
  for (const LaterValue& later : kLaterValues) {
    const bool has_come = (later.until == Until::kGangs && release.gangs()) ||
                          (later.until == Until::kExec && release.exec);
    if (later.path == path && later.value == value && !has_come) return std::string(later.text);
  }
  return {};
}

std::string about_unknown_key(std::string_view path, const Release& release) {
  if (const std::string later = about_later_key(path, release); !later.empty())
    return std::string(path) + ": " + later;
  const std::string text = "unknown key \"" + printable(path) + "\"";
  if (const std::string foreign = about_foreign_key(last_part(path), release); !foreign.empty())
    return text + ": " + foreign;
  const std::string nearest = nearest_key(path, release);
  return nearest.empty() ? text + "." : text + "; did you mean \"" + nearest + "\"?";
}

}  // namespace overwinter::spec
