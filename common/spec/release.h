// Which workloads this release runs from end to end: the one place that says so. What is not set
// here is known to the parser and refused with one sentence, so that nothing is offered that would
// not run. Tests of the parser and of validation set their own (SpecOptions::release).
#pragma once

namespace overwinter::spec {

struct Release {
  bool train = false;  // workload.train
  bool exec = false;   // workload.exec
  bool mpi = false;    // of these, launcher: mpi

  // transport: gang, and the keys that gangs alone have: checkpoint, stall_timeout, stop, retries,
  // host.
  [[nodiscard]] constexpr bool gangs() const { return train || exec; }
};

inline constexpr Release kThisRelease{.train = true, .exec = true, .mpi = true};

}  // namespace overwinter::spec
