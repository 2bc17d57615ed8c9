#include "common/plan/train_time.h"

#include <algorithm>
#include <cmath>

#include "common/plan/plan_limits.h"
#include "common/plan/train_shape.h"

namespace overwinter::plan {
namespace {

// Of what products of matrices reach: attention, norms and the rest of a step are slower.
constexpr double kTrainEfficiency = 0.6;
constexpr double kMemoryBytesPerSecond = 2e10;  // the optimiser's pass over all parameters
constexpr double kRingBytesPerSecond = 3e9;
constexpr double kSameHostLatency = 20e-6;
constexpr double kNetworkLatency = 100e-6;
constexpr double kGangStartSeconds = 1.5;

constexpr Duration kStopTimeMin{2000};
constexpr Duration kStopTimeMax{5 * 60 * 1000};
constexpr Duration kCheckpointEvery{5 * 60 * 1000};  // when the specification says nothing

}  // namespace

double train_step_seconds(const TrainRank& rank, std::uint64_t ranks, std::uint64_t batch,
                          const GangModel& model) {
  const std::uint64_t samples = (batch + ranks - 1) / ranks;
  const auto parameters = static_cast<double>(train_parameters(rank.tensors));
  // Forward is a third of it; with recomputation it is done twice.
  const double compute = train_flops(rank.shape, samples) * (rank.recompute ? 4.0 / 3 : 1) /
                         (model.flops_per_second * kTrainEfficiency);
  const double update = parameters * (12 + 8.0 * rank.optimizer_slots) / kMemoryBytesPerSecond;
  double exchange = 0;
  if (ranks > 1) {
    // A ring: each rank sends and receives all gradients nearly twice.
    const auto n = static_cast<double>(ranks);
    const auto gradients = static_cast<double>(train_memory(rank).gradients_bytes);
    const double speed = model.one_host ? kRingBytesPerSecond : model.bytes_per_second;
    const double latency = model.one_host ? kSameHostLatency : kNetworkLatency;
    exchange = 2 * (n - 1) * (gradients / n / speed + latency);
  }
  return compute + update + exchange;
}

double train_seconds(double step_seconds, std::uint64_t steps, std::uint64_t input_bytes,
                     const GangModel& model) {
  return kGangStartSeconds + static_cast<double>(input_bytes) / model.bytes_per_second +
         step_seconds * static_cast<double>(steps);
}

double train_state_bytes(const TrainMemory& memory) {
  return static_cast<double>(memory.weights_bytes) + static_cast<double>(memory.optimizer_bytes);
}

Duration train_stop_time(double step_seconds, const TrainMemory& memory, const GangModel& model) {
  const double seconds = 1 + step_seconds + train_state_bytes(memory) / model.bytes_per_second;
  return Duration(static_cast<std::int64_t>(std::clamp(seconds * 1000,
                                                       static_cast<double>(kStopTimeMin.count()),
                                                       static_cast<double>(kStopTimeMax.count()))));
}

double train_checkpoints(const v1::JobSpec& spec, double seconds) {
  const v1::CheckpointSpec& checkpoint = spec.checkpoint();
  if (checkpoint.every_steps() != 0)
    return std::max(1.0, static_cast<double>(spec.train().steps() / checkpoint.every_steps()));
  const Duration every =
      checkpoint.has_every_time() ? duration_of(checkpoint.every_time()) : kCheckpointEvery;
  return 1 +
         std::floor(seconds * 1000 / static_cast<double>(std::max<std::int64_t>(every.count(), 1)));
}

}  // namespace overwinter::plan
