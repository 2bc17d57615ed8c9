// Training, programs and the keys of gangs, as if this release ran them all.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/spec/spec.h"
#include "common/spec/spec_fields.h"

namespace overwinter::spec {
namespace {

using google::protobuf::util::MessageDifferencer;

const SpecOptions kAll{.release = {.train = true, .exec = true, .mpi = true}};

constexpr std::string_view kTrain = R"(project: demo
name: licence-gpt
workload:
  train:
    model: { gpt: { layers: 4, heads: 8, width: 256, context: 128, vocabulary: bytes } }
    init_from: old-7k2f9@500
    freeze: [wte.*, "h.0.*"]
    data: { text: [corpus.txt, more.txt], validation_fraction: 0.1 }
    optimizer: { adamw: { learning_rate: 3.0e-4, warmup_steps: 20, schedule: cosine,
                          weight_decay: 0.1, clip_norm: 1.0, beta1: 0.85, beta2: 0.95,
                          epsilon: 1e-9 } }
    accumulate: 2
    batch_size: 16
    steps: 200
    precision: bf16
    activations: recomputed
    seed: 1234567890123
workers: { min: 1, max: 2, device: "cpu:2" }
transport: gang
memory_per_device: 2GiB
host: { memory: 64GiB, cpus: 16 }
checkpoint: { every: 50 steps, keep: 3 }
time_limit: 12h
stall_timeout: 20m
retries: 0
)";

constexpr std::string_view kExec = R"(workload:
  exec:
    command: |
      echo one
      python3 train.py --lr 3e-4
    launcher: torchrun
    workdir: src
    setup: "pip install -r requirements.txt\nmake"
    env: { LR: "3e-4", STEPS: 100 }
    secrets: [HF_TOKEN]
    mounts: { /data: /mnt/imagenet, /scratch: "/mnt/scratch:rw" }
    cache: [~/.cache/huggingface, build]
    checkpoint_dir: ckpt
    outputs: [out, logs/run.txt]
    metrics: [{ name: loss, regex: 'loss[=: ]+([0-9.]+)' }, { name: "a\"b", regex: '(\d+)' }]
workers: { min: 2, max: 4, device: H100:8 }
checkpoint: { every: 5m }
stop: { signal: SIGUSR1, grace: 90s }
)";

ParsedSpec parsed(std::string_view text) {
  auto out = parse_spec(text, "job.yaml", kAll);
  EXPECT_TRUE(out.has_value()) << out.error().message;
  return out.value_or(ParsedSpec{});
}
std::string said(std::string_view text, const SpecOptions& options = kAll) {
  const auto out = parse_spec(text, "job.yaml", options);
  return out ? "accepted" : out.error().message;
}
// Under workload: { train: … } on one line.
std::string train_said(const std::string& inside) {
  return said("workload: { train: { " + inside + " } }\n");
}
std::string exec_said(const std::string& inside) {
  return said("workload: { exec: { " + inside + " } }\n");
}

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST(ParseGangs, ReadsEveryKeyOfATraining) {
  const v1::JobSpec spec = parsed(kTrain).spec;
  const v1::TrainSpec& train = spec.train();
  EXPECT_EQ(train.model().gpt().width(), 256u);
  EXPECT_EQ(train.model().gpt().vocabulary(), "bytes");
  EXPECT_EQ(train.init_from(), "old-7k2f9@500");
  EXPECT_EQ(train.freeze(1), "h.0.*");
  EXPECT_EQ(train.data().text(1), "more.txt");
  EXPECT_EQ(train.data().validation_fraction(), 0.1);
  EXPECT_EQ(train.optimizer().adamw().learning_rate(), 3e-4);
  EXPECT_EQ(train.optimizer().adamw().epsilon(), 1e-9);
  EXPECT_EQ(train.accumulate(), 2u);
  EXPECT_EQ(train.seed(), 1234567890123u);
  EXPECT_EQ(spec.workers().device(), "cpu:2");
  EXPECT_EQ(spec.transport(), "gang");
  EXPECT_EQ(spec.host().memory_bytes(), 64ULL << 30);
  EXPECT_EQ(spec.host().cpus(), 16u);
  EXPECT_EQ(spec.checkpoint().every_steps(), 50u);
  EXPECT_FALSE(spec.checkpoint().has_every_time());
  EXPECT_EQ(spec.stall_timeout().seconds(), 1200);
  EXPECT_TRUE(spec.has_retries());
  EXPECT_EQ(spec.retries(), 0u);
}

TEST(ParseGangs, ReadsEveryKeyOfAProgram) {
  const v1::JobSpec spec = parsed(kExec).spec;
  const v1::ExecSpec& exec = spec.exec();
  EXPECT_EQ(exec.shell(), "echo one\npython3 train.py --lr 3e-4\n");
  EXPECT_EQ(exec.argv_size(), 0);
  EXPECT_EQ(exec.launcher(), "torchrun");
  EXPECT_EQ(exec.workdir(), "src");
  EXPECT_EQ(exec.setup(), "pip install -r requirements.txt\nmake");
  EXPECT_EQ(exec.env().at("STEPS"), "100");
  EXPECT_EQ(exec.secrets(0), "HF_TOKEN");
  EXPECT_EQ(exec.mounts().at("/scratch"), "/mnt/scratch:rw");
  EXPECT_EQ(exec.cache(0), "~/.cache/huggingface");
  EXPECT_EQ(exec.checkpoint_dir(), "ckpt");
  EXPECT_EQ(exec.outputs(1), "logs/run.txt");
  EXPECT_EQ(exec.metrics(0).regex(), "loss[=: ]+([0-9.]+)");
  EXPECT_EQ(spec.checkpoint().every_time().seconds(), 300);
  EXPECT_EQ(spec.stop().signal(), "SIGUSR1");
  EXPECT_EQ(spec.stop().grace().seconds(), 90);
}

TEST(ParseGangs, PrintedAndReadAgainIsTheSame) {
  for (std::string_view text : {kTrain, kExec}) {
    const v1::JobSpec spec = parsed(text).spec;
    const v1::JobSpec again = parsed(spec_to_yaml(spec)).spec;
    EXPECT_TRUE(MessageDifferencer::Equals(spec, again)) << spec_to_yaml(spec);
    // The same with all defaults.
    v1::JobSpec full = spec;
    EXPECT_TRUE(complete_and_validate(full, "", kAll).empty());
    const v1::JobSpec full_again = parsed(spec_to_yaml(full)).spec;
    EXPECT_TRUE(MessageDifferencer::Equals(full, full_again)) << spec_to_yaml(full);
  }
}

// The printed text is the same data as JSON would be.
TEST(ParseGangs, JsonIsTheSameMessage) {
  const v1::JobSpec json = parsed(R"json({"workload": {"exec": {
    "command": ["python3", "a b.py"], "env": {"LR": "3e-4"}, "workdir": "none",
    "metrics": [{"regex": "x=([0-9]+)", "name": "x"}]}},
    "checkpoint": {"every": "1 step"}, "retries": 5})json")
                               .spec;
  const v1::JobSpec yaml = parsed(
                               "workload: { exec: { command: [python3, a b.py], env: { LR: 3e-4 }, "
                               "workdir: none, metrics: [{ name: x, regex: 'x=([0-9]+)' }] } }\n"
                               "checkpoint: { every: 1 step }\nretries: 5\n")
                               .spec;
  EXPECT_TRUE(MessageDifferencer::Equals(json, yaml)) << yaml.DebugString() << json.DebugString();
  EXPECT_EQ(json.exec().argv(1), "a b.py");
}

TEST(ParseGangs, WorkdirIsTheCurrentFolderUnlessSaid) {
  EXPECT_EQ(parsed("workload: { exec: { command: ls } }\n").spec.exec().workdir(), ".");
  v1::JobSpec none = parsed("workload: { exec: { command: ls, workdir: none } }\n").spec;
  EXPECT_EQ(none.exec().workdir(), "");
  EXPECT_EQ(parsed(spec_to_yaml(none)).spec.exec().workdir(), "");
  ASSERT_TRUE(apply_setting(none, "workload.exec.workdir=src", kAll).ok());
  EXPECT_EQ(none.exec().workdir(), "src");
  ASSERT_TRUE(apply_setting(none, "workload.exec.workdir=none", kAll).ok());
  EXPECT_EQ(none.exec().workdir(), "");
}

TEST(ParseGangs, NearestKeysAndOneOfEach) {
  EXPECT_EQ(said("workload:\n  train:\n    model:\n      gpt: { layer: 4 }\n"),
            "job.yaml:4: unknown key \"workload.train.model.gpt.layer\"; did you mean "
            "\"workload.train.model.gpt.layers\"?");
  EXPECT_HAS(train_said("batchsize: 4"), "did you mean \"workload.train.batch_size\"?");
  EXPECT_HAS(train_said("learning_rate: 4"),
             "did you mean \"workload.train.optimizer.adamw.learning_rate\"?");
  EXPECT_HAS(exec_said("comand: x"), "did you mean \"workload.exec.command\"?");
  EXPECT_HAS(said("retrys: 4\n"), "did you mean \"retries\"?");
  EXPECT_HAS(train_said("model: { gpt: {}, mlp: {} }"), "exactly one key, for example gpt");
  EXPECT_HAS(train_said("optimizer: {}"), "exactly one key, for example adamw");
  EXPECT_HAS(train_said("model: gpt"), "must be a section");
  EXPECT_HAS(said("workload: { train: {}, exec: {} }\n"), "exactly one key");
}

TEST(ParseGangs, KeysOfOtherSystemsGetTheirAnswer) {
  EXPECT_HAS(said("run: echo\n"), "workload: {exec: {command: …}}");
  EXPECT_HAS(said("setup: x\n"), "workload: {exec: {setup: …}}");
  EXPECT_HAS(said("envs: { A: b }\n"), "workload: {exec: {env: …}}");
  EXPECT_HAS(said("file_mounts: {}\n"), "{mounts}");
  EXPECT_HAS(said("num_nodes: 2\n"), "workers: {min, max}");
  EXPECT_HAS(said("resources: { accelerators: 'H100:8' }\n"), "workers, memory_per_device");
  EXPECT_HAS(said("accelerators: H100:8\n"), "workers: {device}");
  EXPECT_HAS(said("gpus_per_node: 8\n"), "KIND:COUNT");
  EXPECT_HAS(said("cpus: 8\n"), "host: {cpus}");
  EXPECT_HAS(said("time: 10\n"), "time_limit");
  EXPECT_HAS(said("requeue: true\n"), "retries");
  EXPECT_HAS(train_said("epochs: 3"), "it is steps here");
  EXPECT_HAS(train_said("model: { gpt: { n_embd: 3 } }"), "it is width here");
  EXPECT_HAS(said("elastic: { local_steps: 4 }\n"), "elastic training, which comes with a later");
  EXPECT_HAS(said("workload: { compress: {} }\n"),
             "this release runs matmul, train and exec; compress comes with a later one");
  EXPECT_HAS(said("workload: { evaluate: {} }\n"), "evaluate comes with a later one");
}

TEST(ParseGangs, WordsOfLaterReleases) {
  EXPECT_HAS(train_said("gradient_checkpointing: true"), "it is activations: recomputed here");
  EXPECT_HAS(train_said("precision: fp8"), "must be one of auto, fp32, bf16, fp16, not \"fp8\"");
  EXPECT_EQ(said("transport: gang\n"), "accepted");
  EXPECT_EQ(said("workers: { device: gpu:2 }\n"), "accepted");
}

TEST(ParseGangs, ValuesSayWhatWouldBeRight) {
  EXPECT_HAS(train_said("steps: 0"), "whole number from 1 to 1000000000");
  EXPECT_HAS(train_said("optimizer: { adamw: { learning_rate: fast } }"),
             "must be a number from 1e-12 to 1000, not \"fast\"");
  EXPECT_HAS(train_said("optimizer: { adamw: { learning_rate: nan } }"), "must be a number");
  EXPECT_HAS(train_said("optimizer: { adamw: { learning_rate: 0 } }"), "must be a number");
  EXPECT_HAS(train_said("optimizer: { sgd: { momentum: 1 } }"), "must be a number from 0 to");
  EXPECT_HAS(train_said("optimizer: { adamw: { schedule: linear } }"), "constant, cosine");
  EXPECT_HAS(train_said("data: { validation_fraction: 1.0 }"), "must be a number from 0 to 0.9");
  EXPECT_HAS(train_said("data: { text: corpus.txt }"), "must be a list: [corpus.txt]");
  EXPECT_HAS(train_said("model: { mlp: { layers: [784, ten] } }"), "must hold whole numbers");
  EXPECT_HAS(train_said("model: { mlp: { layers: 784 } }"), "must be a list: [784]");
  EXPECT_HAS(train_said("model: { mlp: { layers: [[1]] } }"), "list of single values");
  EXPECT_HAS(train_said("model: { gpt: { vocabulary: gpt2 } }"), "must be one of bytes");
  EXPECT_HAS(exec_said("launcher: slurm"), "env, torchrun, mpi, none");
  EXPECT_HAS(exec_said("env: [A]"), "section of words");
  EXPECT_HAS(exec_said("env: { A: [1] }"), "workload.exec.env.A must be a single value");
  EXPECT_HAS(exec_said("metrics: [{ name: loss }]"), "{ name: loss, regex:");
  EXPECT_HAS(exec_said("metrics: loss"), "must be a list as in");
  EXPECT_HAS(exec_said("command: { a: b }"), "must be a list");
  EXPECT_HAS(exec_said("workdir: \"a\\nb\""), "control character");
  EXPECT_HAS(said("checkpoint: { every: 50 }\n"), "steps or a duration (50 steps, 5m)");
  EXPECT_HAS(said("checkpoint: { every: 0 steps }\n"), "steps or a duration");
  EXPECT_HAS(said("checkpoint: { every: 5 epochs }\n"), "steps or a duration");
  EXPECT_HAS(said("checkpoint: { keep: 0 }\n"), "whole number from 1 to 1000");
  EXPECT_HAS(said("stop: { signal: SIGKILL }\n"), "must be one of SIGTERM");
  EXPECT_HAS(said("stop: { grace: 90 }\n"), "unit");
  EXPECT_HAS(said("host: { memory: auto }\n"), "must be a size with a unit (64MiB, 4GiB), not");
  EXPECT_HAS(said("workers: { device: gpus }\n"), "did you mean \"gpu\"");
  EXPECT_HAS(said("workers: { device: H100:0 }\n"), "COUNT from 1 to 64");
  EXPECT_HAS(said("workers: { device: 'H100:8:1' }\n"), "COUNT from 1 to 64");
  EXPECT_HAS(said("workers: { device: 'H 100' }\n"), "KIND or KIND:COUNT");
  // The line of the entry that is wrong, not that of the key.
  EXPECT_HAS(said("workload:\n  train:\n    data:\n      text:\n        - a\n        - {}\n"),
             "job.yaml:6:");
}

TEST(ParseGangs, BeforeTheReleaseNothingOfItIsOffered) {
  const SpecOptions none{.release = {}};
  EXPECT_HAS(said("workload: { train: { model: { gpt: {} } } }\n", none),
             "workload.train: this release runs matmul; train comes with a later one.");
  EXPECT_HAS(said("workload: { exec: {} }\n", none), "exec comes with a later one.");
  EXPECT_HAS(said("workload: { exec: {} }\n", {.release = {.train = true}}),
             "this release runs matmul and train; exec comes with a later one.");
  EXPECT_HAS(said("transport: gangs\n", none), "must be one of auto, elastic, not");
  EXPECT_HAS(said("workers: { device: H100 }\n", none), "must be one of any, cpu, not");
  EXPECT_HAS(said("workers: { device: gpu:2 }\n", none), "GPUs come with a later release");
  EXPECT_HAS(said("checkpoints: {}\n", none), "unknown key \"checkpoints\".");
  EXPECT_HAS(said("host: { cpus: 2 }\n", none), "later release");
  v1::JobSpec spec;
  EXPECT_HAS(apply_setting(spec, "workload.train.steps=5", none).message,
             "train comes with a later one");
  EXPECT_HAS(apply_setting(spec, "checkpoint.keep=5", none).message, "leave it out");
  EXPECT_HAS(apply_setting(spec, "workload.exec.env.A=b", none).message, "comes with a later one");
}

TEST(ParseGangs, SettingsReadListsMapsAndChoices) {
  v1::JobSpec spec = parsed(kTrain).spec;
  ASSERT_TRUE(apply_setting(spec, "workload.train.steps=7", kAll).ok());
  ASSERT_TRUE(apply_setting(spec, "workload.train.data.text=[a.txt, 'b c.txt']", kAll).ok());
  ASSERT_TRUE(apply_setting(spec, "checkpoint.every=2m", kAll).ok());
  ASSERT_TRUE(apply_setting(spec, "workload.train.optimizer.adamw.learning_rate=1e-3", kAll).ok());
  EXPECT_EQ(spec.train().steps(), 7u);
  EXPECT_EQ(spec.train().data().text_size(), 2);
  EXPECT_EQ(spec.train().data().text(1), "b c.txt");
  EXPECT_EQ(spec.checkpoint().every_steps(), 0u);
  EXPECT_EQ(spec.checkpoint().every_time().seconds(), 120);
  EXPECT_EQ(spec.train().optimizer().adamw().learning_rate(), 1e-3);
  EXPECT_HAS(apply_setting(spec, "workload.train.model.mlp.layers=[3, 2]", kAll).message,
             "the job has another model, gpt");
  EXPECT_HAS(apply_setting(spec, "workload.exec.command=ls", kAll).message,
             "the job has another workload, train");
  EXPECT_HAS(apply_setting(spec, "workload.exec.env.A=b", kAll).message,
             "the job has another workload, train");
  EXPECT_HAS(apply_setting(spec, "workload.matmul.a=A", kAll).message, "another workload");
  EXPECT_HAS(apply_setting(spec, "workload.train.model=gpt", kAll).message, "is a section");
  v1::JobSpec exec = parsed(kExec).spec;
  ASSERT_TRUE(apply_setting(exec, "workload.exec.command=[ls, -l]", kAll).ok());
  ASSERT_TRUE(apply_setting(exec, "workload.exec.env.A=x=y", kAll).ok());
  EXPECT_EQ(exec.exec().shell(), "");
  EXPECT_EQ(exec.exec().argv_size(), 2);
  EXPECT_EQ(exec.exec().env().at("A"), "x=y");
  EXPECT_EQ(exec.exec().env().at("LR"), "3e-4");
  ASSERT_TRUE(apply_setting(exec, "workload.exec.command=ls -l", kAll).ok());
  EXPECT_EQ(exec.exec().argv_size(), 0);
}

TEST(ParseGangs, EveryKeyThatASpecificationHoldsIsPrinted) {
  const std::string printed = spec_to_yaml(parsed(kTrain).spec) + spec_to_yaml(parsed(kExec).spec);
  for (const Key& key : known_keys()) {
    const bool elsewhere = key.path.find("matmul") != std::string_view::npos ||
                           key.path.find("noop") != std::string_view::npos ||
                           key.path.find("budget") != std::string_view::npos;
    const Field train = get_field(parsed(kTrain).spec, key);
    const Field exec = get_field(parsed(kExec).spec, key);
    if (elsewhere || (!train.present && !exec.present)) continue;
    const std::string name(key.path.substr(key.path.rfind('.') + 1));
    EXPECT_HAS(printed, name + ":");
  }
}

TEST(ParseGangs, TruncationsNeverCrash) {
  for (std::string_view text : {kTrain, kExec}) {
    for (std::size_t n = 0; n <= text.size(); ++n) {
      const auto out = parse_spec(text.substr(0, n), "cut", kAll);
      if (!out) continue;
      v1::JobSpec spec = out->spec;
      (void)to_status(complete_and_validate(spec, "p", kAll), *out);
      (void)parse_spec(spec_to_yaml(spec), "again", kAll);
    }
  }
}

}  // namespace
}  // namespace overwinter::spec
