// Model: forward, loss and backward of one micro-batch that lies in the arena.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/check.h"
#include "common/plan/train_memory.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/kernels/thread_team.h"
#include "worker/kernels/train_kernels.h"
#include "worker/memory/host_resource.h"
#include "worker/train/arena.h"
#include "worker/train/data_source.h"
#include "worker/train/parameters.h"

namespace overwinter::worker {

// The threads of a rank, each with single-threaded products of its own. Work is cut so that one
// thread writes each number, and one library makes all products of a type, so that a number does
// not depend on where its rows were cut: neither on how many threads there are nor on which is
// faster.
class ComputeTeam {
 public:
  // `choice`: which library is the fastest for single-threaded products, where that was measured.
  ComputeTeam(std::uint32_t threads, const TrainKernels& kernels,
              const std::optional<GemmChoice>& choice = std::nullopt);

  [[nodiscard]] std::uint32_t size() const { return team_.size(); }
  // By reference, so that what the work captures is copied nowhere: a step asks the heap for
  // nothing.
  template <class Work>
  void run(const Work& work) {
    team_.run(std::cref(work));
  }
  [[nodiscard]] const TrainKernels& kernels() const { return kernels_; }
  // On `thread` of a run; what is wrong with a product is a broken invariant. The first thread,
  // which is the caller's, then calls `between`: a chance to move messages on.
  template <class T>
  void multiply(std::uint32_t thread, const Gemm<T>& problem) {
    check(gemms_[thread]->gemm(problem).ok(), "a product of a model is well formed");
    pause(thread);
  }
  // The processor has no instructions for the type: it is multiplied as fp32.
  [[nodiscard]] bool widens(GemmType type) const { return gemms_.front()->widens(type); }
  // What libraries keep between products, before the first of them: RESOURCE_EXHAUSTED.
  [[nodiscard]] Status take_workspaces(plan::TrainPrecision precision);
  void call_between(std::function<void()> between) { between_ = std::move(between); }
  void pause(std::uint32_t thread);

 private:
  ThreadTeam team_;
  ThreadTeam alone_{1};
  const TrainKernels& kernels_;
  // Libraries' workspaces: planned and charged with what they allocate themselves
  // (plan::TrainMemory::workspace_bytes).
  HostResource workspaces_;
  std::vector<std::unique_ptr<ChosenGemm>> gemms_;
  std::function<void()> between_;
};

// Parameters, arena and team outlive the model. One caller at a time.
class Model {
 public:
  virtual ~Model() = default;
  // Where sample `index` of the micro-batch is to be written.
  [[nodiscard]] virtual SampleSlot slot(std::uint64_t index) = 0;
  // What the loss of so many samples is the mean over: tokens, samples, or target values.
  [[nodiscard]] virtual std::uint64_t terms(std::uint64_t samples) const = 0;
  // The sum of the loss's terms over the first `samples` samples.
  virtual double loss(std::uint64_t samples) = 0;
  // The same, and `weight` times its gradient is added to the parameters' gradients.
  // `final_from(offset)` is called whenever all gradients from that offset of the flat stretch on
  // have got this micro-batch's part.
  virtual double gradients(std::uint64_t samples, float weight,
                           const std::function<void(std::size_t)>& final_from) = 0;
  // The weights are others from now on: those that train, or all. What is kept of them for products
  // is made anew at the next call, so once a step.
  virtual void weights_changed(bool all) = 0;
};

[[nodiscard]] std::unique_ptr<Model> make_model(const plan::TrainRank& rank, Arena& arena,
                                                Parameters& parameters, ComputeTeam& team);

}  // namespace overwinter::worker
