#include "common/spec/violations.h"

namespace overwinter::spec {
namespace {

constexpr int kMlpLayersMax = 64;
constexpr int kFreezeMax = 64;
constexpr std::size_t kPatternBytesMax = 256;

template <class Optimizer>
void schedule_default(Optimizer& optimizer) {
  if (optimizer.schedule().empty()) optimizer.set_schedule("constant");
}

void fill_train_defaults(v1::TrainSpec& train) {
  if (train.model().has_gpt() && train.model().gpt().vocabulary().empty())
    train.mutable_model()->mutable_gpt()->set_vocabulary("bytes");
  v1::OptimizerSpec& optimizer = *train.mutable_optimizer();
  if (optimizer.optimizer_case() == v1::OptimizerSpec::OPTIMIZER_NOT_SET) optimizer.mutable_adamw();
  if (optimizer.has_adamw()) {
    v1::AdamwSpec& adamw = *optimizer.mutable_adamw();
    schedule_default(adamw);
    if (adamw.learning_rate() == 0) adamw.set_learning_rate(3e-4);
    if (adamw.beta1() == 0) adamw.set_beta1(0.9);
    if (adamw.beta2() == 0) adamw.set_beta2(0.999);
    if (adamw.epsilon() == 0) adamw.set_epsilon(1e-8);
  } else {
    schedule_default(*optimizer.mutable_sgd());
  }
  if (train.accumulate() == 0) train.set_accumulate(1);
  if (train.data().order().empty()) train.mutable_data()->set_order("shuffled");
  if (train.precision().empty()) train.set_precision("auto");
  if (train.activations().empty()) train.set_activations("kept");
}

void check_model(const v1::TrainSpec& train, Violations& out) {
  const v1::ModelSpec& model = train.model();
  if (model.model_case() == v1::ModelSpec::MODEL_NOT_SET) {
    return out.refuse("workload.train.model",
                      "workload.train.model is missing: exactly one of gpt, mlp, linear, "
                      "logistic.");
  }
  if (model.has_gpt()) {
    const v1::GptSpec& gpt = model.gpt();
    if (gpt.heads() != 0 && gpt.width() % gpt.heads() != 0)
      out.refuse("workload.train.model.gpt.width",
                 "workload.train.model.gpt.width must be a multiple of heads, which is " +
                     std::to_string(gpt.heads()) + "; " + std::to_string(gpt.width()) + " is not.");
  }
  if (model.has_mlp()) {
    const int layers = model.mlp().layers_size();
    if (layers < 2 || layers > kMlpLayersMax)
      out.refuse("workload.train.model.mlp.layers",
                 "workload.train.model.mlp.layers must be 2 to 64 widths, from the inputs to the "
                 "outputs: [784, 512, 10].");
  }
}

void check_data(const v1::TrainSpec& train, Violations& out) {
  const std::string field = "workload.train.data";
  const v1::DataSpec& data = train.data();
  const int kinds =
      (data.text_size() > 0 ? 1 : 0) + (data.has_npy() ? 1 : 0) + (data.has_csv() ? 1 : 0);
  if (kinds != 1)
    return out.refuse(field, field + (kinds == 0 ? " is missing: " : " has more than one of: ") +
                                 "exactly one of text, npy, csv.");
  for (int i = 0; i < data.text_size(); ++i)
    out.file(field + ".text[" + std::to_string(i) + "]", data.text(i), "a file of text");
  if (data.has_npy()) {
    out.file(field + ".npy.x", data.npy().x(), "a .npy file");
    out.file(field + ".npy.y", data.npy().y(), "a .npy file");
  }
  if (data.has_csv()) {
    out.file(field + ".csv.path", data.csv().path(), "a .csv file");
    if (data.csv().target().empty())
      out.refuse(field + ".csv.target",
                 field + ".csv.target is missing: the name of the column to predict.");
  }
  const bool set = train.model().model_case() != v1::ModelSpec::MODEL_NOT_SET;
  const bool is_gpt = train.model().has_gpt();
  if (set && is_gpt != (data.text_size() > 0))
    out.refuse(field, is_gpt ? field + ": a gpt trains on text: data: { text: [FILE] }."
                             : field +
                                   ": this model trains on rows: data: { npy: … } or "
                                   "{ csv: … }; text is for gpt.");
}

void check_start(const v1::TrainSpec& train, Violations& out) {
  const std::string field = "workload.train.init_from";
  const std::string& from = train.init_from();
  if (!from.empty() && !is_checkpoint_name(from)) {
    const bool is_path = from.size() > 12 && from.substr(from.size() - 12) == ".safetensors";
    if (is_path || from.substr(0, 11) == "artifact://")
      out.file(field, from, "a .safetensors file");
    else
      out.refuse(field, field +
                            " must be JOB@STEP, a .safetensors file or artifact://SHA256, not \"" +
                            printable(from) + "\".");
  }
  if (train.freeze_size() > kFreezeMax)
    out.refuse("workload.train.freeze", "workload.train.freeze has at most 64 patterns.");
  for (const std::string& pattern : train.freeze())
    if (pattern.empty() || pattern.size() > kPatternBytesMax)
      return out.refuse("workload.train.freeze",
                        "workload.train.freeze holds patterns of 1 to 256 bytes (h.0.*).");
}

void check_steps(const v1::JobSpec& spec, Violations& out) {
  const v1::TrainSpec& train = spec.train();
  const std::uint64_t batch = train.batch_size();
  const std::uint64_t accumulate = train.accumulate();
  if (batch != 0 && accumulate != 0 && batch % accumulate != 0)
    out.refuse("workload.train.batch_size",
               "workload.train.batch_size must be a multiple of accumulate, which is " +
                   std::to_string(accumulate) + "; " + std::to_string(batch) + " is not.");
  else if (batch != 0 && accumulate != 0 && batch / accumulate < spec.workers().min())
    out.refuse("workload.train.batch_size",
               "workload.train.batch_size gives each of workers.min, which is " +
                   std::to_string(spec.workers().min()) + ", less than one sample a micro-batch.");
  if (train.activations() == "recomputed" &&
      train.model().model_case() != v1::ModelSpec::MODEL_NOT_SET && !train.model().has_gpt())
    out.refuse("workload.train.activations",
               "workload.train.activations is for a gpt; other models keep theirs, leave it out.");
  const bool adamw = train.optimizer().has_adamw();
  const std::uint64_t warmup =
      adamw ? train.optimizer().adamw().warmup_steps() : train.optimizer().sgd().warmup_steps();
  const std::string field =
      std::string("workload.train.optimizer.") + (adamw ? "adamw" : "sgd") + ".warmup_steps";
  if (train.steps() != 0 && warmup > train.steps())
    out.refuse(field, field + " is " + std::to_string(warmup) + ", more than steps, which is " +
                          std::to_string(train.steps()) + ".");
}

}  // namespace

void validate_train(v1::JobSpec& spec, Violations& out) {
  fill_train_defaults(*spec.mutable_train());
  out.keys(spec, "workload.train");
  check_model(spec.train(), out);
  check_data(spec.train(), out);
  check_start(spec.train(), out);
  check_steps(spec, out);
  if (spec.transport() == "elastic")
    out.refuse("transport",
               "transport cannot be \"elastic\": elastic training comes with a later release; say "
               "transport: auto or gang.");
  if (spec.has_stop())
    out.refuse("stop",
               "stop is for programs of your own; a training stops at its next step by "
               "itself.");
  const std::string& device = spec.workers().device();
  const std::string kind = device.substr(0, device.find(':'));
  if (!kind.empty() && kind != "any" && kind != "cpu")
    out.refuse("workers.device",
               "workers.device cannot be \"" + printable(device) +
                   "\": training on GPUs comes with a later release; say device: any or cpu.");
}

}  // namespace overwinter::spec
