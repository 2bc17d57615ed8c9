// What a rank of a training needs before its first step: data, memory, model and weights.
#pragma once

#include <memory>
#include <vector>

#include "common/base/result.h"
#include "overwinter/v1/job.pb.h"
#include "overwinter/v1/local.pb.h"
#include "worker/collective/collective.h"
#include "worker/gang/mapped_file.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/limiting_resource.h"
#include "worker/train/trainer.h"

namespace overwinter::worker {

// Each member outlives those below it, which use it.
struct LoadedTraining {
  LoadedTraining(std::size_t allowed_bytes, const std::string& of_what)
      : memory(host, allowed_bytes, of_what) {}

  v1::TrainSpec spec;
  HostResource host;
  LimitingResource memory;
  std::vector<MappedFile> files;  // of the data
  std::unique_ptr<DataSource> data;
  LimitingResource::Charge workspace;
  std::unique_ptr<Trainer> trainer;
};

// Maps the data, charges and allocates all memory, and draws the weights, restores the checkpoint
// (task.checkpoint) or begins with given ones (task.initial_path). Every rank reads all files.
// INVALID_ARGUMENT: the task does not say what it should, files and plan do not fit, or a tensor is
// not as the model wants it (the message names it); RESOURCE_EXHAUSTED with asked, held, allowed.
// The collective outlives the result.
[[nodiscard]] Result<std::unique_ptr<LoadedTraining>> load_training(const v1::RankTask& task,
                                                                    Collective& collective);

}  // namespace overwinter::worker
