#include <algorithm>

#include "common/spec/spec_keys.h"

namespace overwinter::spec {
namespace {

using enum ValueKind;

constexpr double kUnitsMax = 1e9;
constexpr double kStepsMax = 1e9;
constexpr double kWorkersMax = 10'000;

// In the order in which a specification is printed.
constexpr Key kKeys[] = {
    {"project", kText, "whose job it is; default: the token's project"},
    {"name", kText, "1 to 80 characters; default: the workload's kind"},
    {"labels", kTextMap, "words to find the job by"},
    {"workload", kOneOf, "what to run: exactly one of its keys"},

    {"workload.matmul", kSection, "the product of two matrices"},
    {"workload.matmul.a", kText, "left factor: a .npy file or artifact://SHA256"},
    {"workload.matmul.b", kText, "right factor"},
    {"workload.matmul.algorithm", kChoice,
     "default: auto, strassen where it is faster and within the tolerance",
     "auto|classical|strassen"},
    {"workload.matmul.precision", kChoice, "default: the inputs' own", "fp32|fp64|bf16|fp16|int8"},
    {"workload.matmul.tolerance",
     kNumber,
     "how far an element of C may be off at worst, as a share of k max|A| max|B|; default: not "
     "said, and auto is classical",
     {},
     0,
     1},

    {"workload.train", kSection, "trains a model"},
    {"workload.train.model", kOneOf, "exactly one of gpt, mlp, linear, logistic"},
    {"workload.train.model.gpt", kSection, "a GPT-2 on text"},
    {"workload.train.model.gpt.layers", kCount, "how many blocks", {}, 1, 1024},
    {"workload.train.model.gpt.heads", kCount, "heads of attention", {}, 1, 1024},
    {"workload.train.model.gpt.width", kCount, "a multiple of heads", {}, 1, 65'536},
    {"workload.train.model.gpt.context", kCount, "tokens it looks at", {}, 1, 1'048'576},
    {"workload.train.model.gpt.vocabulary", kChoice, "default: bytes", "bytes"},
    {"workload.train.model.mlp", kSection, "a fully connected network"},
    {"workload.train.model.mlp.layers",
     kCountList,
     "widths: inputs, hidden layers, outputs, as in [784, 512, 10]",
     {},
     1,
     1'000'000},
    {"workload.train.model.linear", kSection, "linear regression"},
    {"workload.train.model.logistic", kSection, "logistic regression"},
    {"workload.train.init_from", kText,
     "where the weights begin: JOB@STEP or a .safetensors file; default: from the seed"},
    {"workload.train.freeze", kTextList, "patterns of parameter names that do not change"},
    {"workload.train.data", kSection, "exactly one of text, npy, csv, and validation_fraction"},
    {"workload.train.data.text", kTextList, "files of text, in this order"},
    {"workload.train.data.npy", kSection, "two matrices"},
    {"workload.train.data.npy.x", kText, "a .npy file whose rows are samples"},
    {"workload.train.data.npy.y", kText, "a .npy file with as many rows"},
    {"workload.train.data.csv", kSection, "a table with a line of names"},
    {"workload.train.data.csv.path", kText, "a .csv file"},
    {"workload.train.data.csv.target", kText, "the column to predict"},
    {"workload.train.data.order", kChoice,
     "default: shuffled, each pass in an order of its own; sequential: as the samples lie there",
     "shuffled|sequential"},
    {"workload.train.data.validation_fraction",
     kNumber,
     "the last part; default: none",
     {},
     0,
     0.9},
    {"workload.train.optimizer", kOneOf, "exactly one of adamw, sgd; default: adamw"},
    {"workload.train.optimizer.adamw", kSection, "Adam with decoupled weight decay"},
    {"workload.train.optimizer.adamw.learning_rate", kNumber, "default: 3e-4", {}, 1e-12, 1000},
    {"workload.train.optimizer.adamw.warmup_steps", kCount, "default: 0", {}, 0, kStepsMax},
    {"workload.train.optimizer.adamw.schedule", kChoice, "default: constant", "constant|cosine"},
    {"workload.train.optimizer.adamw.weight_decay", kNumber, "default: 0", {}, 0, 1},
    {"workload.train.optimizer.adamw.clip_norm", kNumber, "default: 0, none", {}, 0, 1e9},
    {"workload.train.optimizer.adamw.beta1", kNumber, "default: 0.9", {}, 0, 0.999999},
    {"workload.train.optimizer.adamw.beta2", kNumber, "default: 0.999", {}, 0, 0.999999},
    {"workload.train.optimizer.adamw.epsilon", kNumber, "default: 1e-8", {}, 0, 1},
    {"workload.train.optimizer.sgd", kSection, "stochastic gradient descent"},
    {"workload.train.optimizer.sgd.learning_rate", kNumber, "how far a step goes", {}, 1e-12, 1000},
    {"workload.train.optimizer.sgd.momentum", kNumber, "default: 0", {}, 0, 0.999999},
    {"workload.train.optimizer.sgd.warmup_steps", kCount, "default: 0", {}, 0, kStepsMax},
    {"workload.train.optimizer.sgd.schedule", kChoice, "default: constant", "constant|cosine"},
    {"workload.train.optimizer.sgd.weight_decay", kNumber, "default: 0", {}, 0, 1},
    {"workload.train.optimizer.sgd.clip_norm", kNumber, "default: 0, none", {}, 0, 1e9},
    {"workload.train.accumulate", kCount, "micro-batches a step; default: 1", {}, 1, 1'000'000},
    {"workload.train.batch_size",
     kCount,
     "sequences or samples a step, over all workers",
     {},
     1,
     1e9},
    {"workload.train.steps", kCount, "how many", {}, 1, kStepsMax},
    {"workload.train.precision", kChoice,
     "of products and activations; weights stay fp32; default: auto, bf16 where all devices have "
     "it, else fp32",
     "auto|fp32|bf16|fp16"},
    {"workload.train.activations", kChoice,
     "recomputed: a gpt's in backward, for less memory and a third more work; default: kept",
     "kept|recomputed"},
    {"workload.train.seed", kCount, "default: 0", {}, 0, 9e18},

    {"workload.exec", kSection, "a program of your own"},
    {"workload.exec.command", kCommand,
     "lines for bash, or a list of arguments that runs as it is"},
    {"workload.exec.launcher", kChoice, "default: env", "env|torchrun|mpi|none"},
    {"workload.exec.workdir", kText, "the folder that is sent; default: .; none: an empty one"},
    {"workload.exec.setup", kScript, "runs once per worker and workdir"},
    {"workload.exec.env", kTextMap, "variables of the process"},
    {"workload.exec.secrets", kTextList, "names of secrets, as variables of the process"},
    {"workload.exec.mounts", kTextMap,
     "a path in the job: a path of the worker, with :rw to write"},
    {"workload.exec.cache", kTextList, "folders that are kept per project and worker"},
    {"workload.exec.checkpoint_dir", kText, "the folder that checkpoints are collected from"},
    {"workload.exec.outputs", kTextList, "what `jobs download` returns"},
    {"workload.exec.metrics", kMetrics, "as in [{ name: loss, regex: 'loss=([0-9.]+)' }]"},

    {"workload.noop", kSection, "units that do nothing; test builds only"},
    {"workload.noop.units", kCount, "how many", {}, 0, kUnitsMax},
    {"workload.noop.units_per_range_max", kCount, "in one hand-out", {}, 0, kUnitsMax},

    {"workers", kSection, "how many workers, and which"},
    {"workers.min", kCount, "default: 1", {}, 0, kWorkersMax},
    {"workers.max", kCount, "default: all that fit; 1 for a program", {}, 0, kWorkersMax},
    {"workers.device", kDevice, "KIND or KIND:COUNT on each; default: any"},
    {"transport", kChoice, "default: auto", "auto|elastic|gang"},
    {"memory_per_device", kSize, "default: auto, the predicted peak", "auto"},
    {"host", kSection, "what each worker's machine must have"},
    {"host.memory", kSize, "a size"},
    {"host.cpus", kCount, "threads", {}, 0, 65'536},
    {"checkpoint", kSection, "how often, and how many are kept"},
    {"checkpoint.every", kEvery, "50 steps, or 5m; default: 5m"},
    {"checkpoint.keep", kCount, "default: 3", {}, 1, 1000},
    {"budget", kSection, "what it may cost, and until when"},
    {"budget.cap", kMoney, "a hard ceiling in the price book's currency"},
    {"budget.deadline", kDuration, "from submission; ranks the plans"},
    {"time_limit", kDuration, "of running; then the job is paused"},
    {"stall_timeout", kDuration, "without output, step or checkpoint; default: 30m"},
    {"stop", kSection, "how a program is told to stop"},
    {"stop.signal", kChoice, "default: SIGTERM", "SIGTERM|SIGINT|SIGHUP|SIGQUIT|SIGUSR1|SIGUSR2"},
    {"stop.grace", kDuration, "what it then has; default: 90s"},
    {"priority", kChoice, "default: normal", "low|normal|high"},
    {"spot", kChoice, "default: allowed; never for a program without checkpoints",
     "never|allowed|only"},
    {"retries", kCount, "own failures; default: 3", {}, 0, 100},
};

}  // namespace

std::span<const Key> known_keys() {
  return kKeys;
}

const Key* find_key(std::string_view path) {
  const auto* at = std::find_if(std::begin(kKeys), std::end(kKeys),
                                [&](const Key& key) { return key.path == path; });
  return at == std::end(kKeys) ? nullptr : at;
}

bool is_section(const Key& key) {
  return key.kind == kSection || key.kind == kOneOf;
}

bool within(std::string_view path, std::string_view section) {
  return path.substr(0, section.size()) == section &&
         (path.size() == section.size() || path[section.size()] == '.');
}

bool is_offered(std::string_view path, const Release& release) {
  if (within(path, "workload.train")) return release.train;
  if (within(path, "workload.exec")) return release.exec;
  for (std::string_view of_gangs : {"checkpoint", "stall_timeout", "stop", "retries", "host"})
    if (within(path, of_gangs)) return release.gangs();
  return true;
}

std::string workloads_of(const Release& release) {
  if (release.train && release.exec) return "matmul, train and exec";
  if (release.train) return "matmul and train";
  return release.exec ? "matmul and exec" : "matmul";
}

}  // namespace overwinter::spec
