#include "worker/gang/train_load.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "common/base/log.h"
#include "common/plan/train_memory.h"
#include "worker/gang/tensor_files.h"
#include "worker/kernels/gemm_choice.h"
#include "worker/kernels/openblas_core.h"
#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

Result<v1::TrainSpec> spec_of(const v1::RankTask& task) {
  v1::JobSpec job;
  if (!job.ParseFromString(task.spec()) || !job.has_train())
    return fail(Code::kInvalidArgument, "the task's specification is not that of a training");
  v1::TrainSpec spec = job.train();
  if (task.steps() != 0) spec.set_steps(task.steps());
  return spec;
}

Result<v1::Plan> plan_of(const v1::RankTask& task) {
  v1::Plan plan;
  if (!plan.ParseFromString(task.plan()))
    return fail(Code::kInvalidArgument, "the task's plan cannot be read");
  return plan;
}

// All ranks run in what the plan decided for the job, whatever their own processors have; a plan
// of an older coordinator decided nothing.
void decide_precision(const v1::Plan& plan, v1::TrainSpec& spec) {
  if (!plan.train().precision().empty()) spec.set_precision(plan.train().precision());
}

Status map_data(const v1::RankTask& task, const v1::Plan& plan, LoadedTraining& training) {
  const auto& wanted = plan.train().data_digests();
  if (wanted.size() != task.data_size()) {
    return error(Code::kInvalidArgument, fmt::format("the plan has {} files of data, the task {}",
                                                     wanted.size(), task.data_size()));
  }
  for (int i = 0; i < task.data_size(); ++i) {
    const v1::LocalFile& file = task.data(i);
    if (file.digest() != wanted[i]) {
      return error(Code::kInvalidArgument,
                   fmt::format("file {} of the data is {}; the plan wants {}", i + 1, file.digest(),
                               wanted[i]));
    }
    auto mapped = MappedFile::open(file);
    if (!mapped) return mapped.error();
    training.files.push_back(std::move(*mapped));
  }
  return Status::success();
}

Result<std::unique_ptr<DataSource>> source_of(LoadedTraining& training) {
  const v1::TrainSpec& spec = training.spec;
  const v1::DataSpec& data = spec.data();
  const double validation = data.validation_fraction();
  std::vector<ByteSpan> bytes;
  for (const MappedFile& file : training.files) bytes.push_back(file.bytes());
  const std::size_t files = data.has_npy()   ? 2
                            : data.has_csv() ? 1
                                             : static_cast<std::size_t>(data.text_size());
  if (files == 0 || bytes.size() != files) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("the specification has {} files of data, the task {}", files, bytes.size()));
  }
  const auto order = sample_seed(spec);
  if (data.has_npy()) return make_npy_source(bytes[0], bytes[1], validation, order);
  if (data.has_csv()) {
    return make_csv_source(bytes[0], data.csv().target(), validation, order, training.memory);
  }
  return make_text_source(bytes, spec.model().gpt().context(), validation, order);
}

// Libraries hold it in this process and allocate it themselves.
Status charge_workspace(LoadedTraining& training, std::size_t ranks, std::uint32_t threads) {
  const auto rank = plan::train_rank(training.spec, training.data->facts(), ranks, threads);
  if (!rank) return rank.error();
  const std::uint64_t bytes = plan::train_memory(*rank).workspace_bytes;
  auto charge = training.memory.charge(bytes, "the workspace of products");
  if (!charge) return charge.error();
  training.workspace = std::move(*charge);
  return Status::success();
}

// What the daemon has measured of single-threaded products; OpenBLAS uses the same kernels then.
std::optional<GemmChoice> products_of(const v1::RankTask& task) {
  if (task.products().empty()) return std::nullopt;
  const auto known = read_gemm_choices(task.products());
  if (!known) {
    log_warning("the machine's measured products: {}", known.error().message);
    return std::nullopt;
  }
  if (!known->core.empty()) use_openblas_core(known->core);
  const auto one = known->by_threads.find(1);
  return one == known->by_threads.end() ? std::nullopt : std::optional(one->second);
}

// Copies what it needs: the files are closed afterwards.
Status restore(const v1::RankTask& task, Trainer& trainer) {
  std::vector<MappedFile> files;
  std::vector<TensorView> state;
  for (const v1::LocalFile& file : task.checkpoint()) {
    auto mapped = MappedFile::open(file);
    if (!mapped) return mapped.error();
    auto tensors = read_tensor_file(mapped->bytes(), file.name());
    if (!tensors) return tensors.error();
    state.insert(state.end(), tensors->begin(), tensors->end());
    files.push_back(std::move(*mapped));
  }
  if (Status s = trainer.restore(state); !s.ok()) return s;
  if (trainer.steps_done() == task.first_step()) return Status::success();
  return error(Code::kInvalidArgument,
               fmt::format("the checkpoint is of step {}; the task goes on from {}",
                           trainer.steps_done(), task.first_step()));
}

Status init_from(const std::string& path, Trainer& trainer) {
  v1::LocalFile file;
  file.set_path(path);
  const auto mapped = MappedFile::open(file);
  if (!mapped) return mapped.error();
  const auto tensors = read_tensor_file(mapped->bytes(), "the file of initial weights");
  if (!tensors) return tensors.error();
  return trainer.init_from(*tensors);
}

Status set_weights(const v1::RankTask& task, Trainer& trainer) {
  if (task.checkpoint_size() > 0) return restore(task, trainer);
  if (task.first_step() != 0) {
    return error(
        Code::kInvalidArgument,
        fmt::format("the task goes on from step {} without a checkpoint", task.first_step()));
  }
  return task.initial_path().empty() ? Status::success() : init_from(task.initial_path(), trainer);
}

}  // namespace

Result<std::unique_ptr<LoadedTraining>> load_training(const v1::RankTask& task,
                                                      Collective& collective) {
  auto training = std::make_unique<LoadedTraining>(task.memory_bytes(),
                                                   "rank " + std::to_string(collective.rank()));
  auto spec = spec_of(task);
  if (!spec) return fail(spec.error());
  training->spec = std::move(*spec);
  const auto plan = plan_of(task);
  if (!plan) return fail(plan.error());
  decide_precision(*plan, training->spec);
  if (Status s = map_data(task, *plan, *training); !s.ok()) return fail(s);
  auto data = source_of(*training);
  if (!data) return fail(data.error());
  training->data = std::move(*data);
  const std::uint32_t threads = std::max<std::uint32_t>(task.threads(), 1);
  if (Status s = charge_workspace(*training, collective.size(), threads); !s.ok()) return fail(s);
  auto trainer = Trainer::make(training->spec, *training->data, collective, training->memory,
                               threads, products_of(task));
  if (!trainer) return fail(trainer.error());
  training->trainer = std::move(*trainer);
  if (training->trainer->widens()) {
    log_info("rank {}: {} is multiplied as fp32: this processor has no instructions for it",
             collective.rank(), training->spec.precision());
  }
  if (Status s = set_weights(task, *training->trainer); !s.ok()) return fail(s);
  return training;
}

}  // namespace overwinter::worker
