#include "common/plan/candidates.h"

#include <algorithm>

#include "common/base/bytes.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::plan {
namespace {

// For a device or a link that has not been measured.
constexpr double kFlopsPerThreadFp32 = 2e10;
constexpr double kFlopsPerThreadFp64 = 1e10;
constexpr double kBytesPerSecond = 1e8;
// Read-only descriptors: a worker on the coordinator's machine reads memory.
constexpr double kSameHostBytesPerSecond = 3e9;

std::string device_name(const WorkerOffer& worker, std::size_t index) {
  if (worker.devices.size() == 1) return worker.name;
  return worker.name + " device " + std::to_string(index);
}

std::string unsuitable(const WorkerOffer& worker, const DeviceInfo& device,
                       const CandidateFilter& filter) {
  if (filter.spot == SpotUse::kNever && worker.spot)
    return "is a spot worker; the job says spot: never";
  if (filter.spot == SpotUse::kOnly && !worker.spot)
    return "is not a spot worker; the job says spot: only";
  if (!suits(filter.device, device))
    return "is a " + device.kind + " device; the job asks for " + filter.device;
  if (worker.host.memory_bytes < filter.host.memory_bytes)
    return "is on a machine with " + format_bytes(worker.host.memory_bytes) +
           " of memory; host.memory is " + format_bytes(filter.host.memory_bytes);
  if (worker.host.cpus < filter.host.cpus)
    return "is on a machine with " + std::to_string(worker.host.cpus) +
           " processors; host.cpus is " + std::to_string(filter.host.cpus);
  if (filter.runs_user_code)
    return worker.no_exec.empty() ? std::string() : "runs no program of users: " + worker.no_exec;
  // Other kinds of device have no kernels in this release.
  if (is_gpu(device))
    return "is a " + device.kind + " device; this release multiplies and trains on cpu";
  return {};
}

double measured_gflops(const DeviceInfo& device, Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return device.gflops_fp32;
    case Precision::kFp64:
      return device.gflops_fp64;
    case Precision::kBf16:
      return device.gflops_bf16;
    case Precision::kFp16:
      return device.gflops_fp16;
    case Precision::kInt8:
      return device.gflops_int8;
  }
  return 0;
}

std::uint64_t strassen_side(const DeviceInfo& device, Precision precision) {
  if (!can_halve(precision)) return 0;
  return precision == Precision::kFp32 ? device.strassen_fp32_side : device.strassen_fp64_side;
}

Candidate candidate(const ClusterOffer& offer, std::size_t place, std::size_t index,
                    Precision precision) {
  const WorkerOffer& worker = offer.workers[place];
  const DeviceInfo& device = worker.devices[index].device;
  double gflops = measured_gflops(device, precision);
  const bool measured = gflops > 0;
  const bool widens = is_narrow(precision) && gflops == 0 && device.gflops_fp32 > 0;
  if (widens) gflops = device.gflops_fp32;
  const std::uint32_t threads = std::max<std::uint32_t>(device.threads, 1);
  const double assumed =
      (precision == Precision::kFp64 ? kFlopsPerThreadFp64 : kFlopsPerThreadFp32) * threads;
  double link = worker.link_bytes_per_second > 0 ? worker.link_bytes_per_second : kBytesPerSecond;
  if (worker.same_host_as_coordinator) link = kSameHostBytesPerSecond;
  return {.name = device_name(worker, index),
          .worker = place,
          .memory_bytes = device.memory_bytes,
          .threads = threads,
          .flops_per_second = gflops > 0 ? gflops * 1e9 : assumed,
          .bytes_per_second = link,
          .price_per_hour = worker.devices[index].price_per_hour,
          .gpu = is_gpu(device),
          .widens = widens,
          .measured = measured,
          .strassen_side = strassen_side(device, precision)};
}

void sort_by_speed(std::vector<Candidate>& devices) {
  std::stable_sort(devices.begin(), devices.end(), [](const Candidate& a, const Candidate& b) {
    if (a.flops_per_second != b.flops_per_second) return a.flops_per_second > b.flops_per_second;
    return a.name < b.name;
  });
}

}  // namespace

Candidates find_candidates(const ClusterOffer& offer, const CandidateFilter& filter) {
  Candidates out;
  for (std::size_t place = 0; place < offer.workers.size(); ++place) {
    const WorkerOffer& worker = offer.workers[place];
    for (std::size_t i = 0; i < worker.devices.size(); ++i) {
      std::string why = unsuitable(worker, worker.devices[i].device, filter);
      if (why.empty() && worker.unavailable.empty()) {
        out.devices.push_back(candidate(offer, place, i, filter.precision));
        continue;
      }
      if (why.empty() && worker.may_return)
        out.away.push_back(candidate(offer, place, i, filter.precision));
      if (!worker.unavailable.empty()) why = worker.unavailable;
      v1::RuledOut& entry = out.ruled_out.emplace_back();
      entry.set_what(device_name(worker, i));
      entry.set_why(why);
    }
  }
  sort_by_speed(out.devices);
  sort_by_speed(out.away);
  return out;
}

SeatModel seat_model(const std::vector<Candidate>& devices, std::size_t count) {
  SeatModel model{.seats = 0, .threads = 1, .flops_per_second = 0, .bytes_per_second = 0};
  for (std::size_t i = 0; i < std::min(count, devices.size()); ++i) {
    ++model.seats;
    model.threads = std::max(model.threads, devices[i].threads);
    model.flops_per_second += devices[i].flops_per_second;
    model.bytes_per_second += devices[i].bytes_per_second;
  }
  return model;
}

}  // namespace overwinter::plan
