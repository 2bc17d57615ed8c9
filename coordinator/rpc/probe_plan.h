// ProbePlan: which worker is asked what and when, and what came of it (AdminService.ProbeWorkers).
// Pure: time is an argument, from the beginning of the run on. A machine sends to one other at a
// time and is sent to by one, so that no two rates are measured against each other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/domain/ids.h"
#include "overwinter/v1/admin.pb.h"

namespace overwinter::rpc {

struct ProbedWorker {
  WorkerId id;
  Incarnation incarnation;
  std::string name;  // last part
  std::string host_id;
  std::string host_name;
  std::string version;
  std::string peer_address;
  std::string network;
};

// What `worker` is asked now. Both are places in the list that the plan was made of.
struct ProbeQuestion {
  std::size_t worker = 0;
  std::optional<std::size_t> peer;  // none: about its own machine
  bool measure_rate = false;
};

class ProbePlan {
 public:
  static constexpr std::size_t kPairsMax = 4096;
  // After these a question is given up.
  static constexpr Duration kHostWithin{8'000};
  static constexpr Duration kPairWithin{15'000};

  // `pairs`: every worker tries every worker of another machine, in an order in which neighbours in
  // the list are not the first to be asked all at once. `wall`: the clock at the beginning.
  ProbePlan(std::vector<ProbedWorker> workers, bool pairs, Time wall);

  [[nodiscard]] const ProbedWorker& worker(std::size_t index) const { return workers_[index]; }
  // What is to be asked now, each question once. Gives up what has waited too long.
  [[nodiscard]] std::vector<ProbeQuestion> next(Duration now);
  // It could not be put to the worker: it is not connected.
  void not_asked(const ProbeQuestion& question);
  // Answers; one that was not asked for, or comes late, changes nothing.
  void host_described(WorkerId worker, const v1::HostFacts& facts, Duration now);
  void peer_probed(WorkerId from, WorkerId to, const v1::LinkFacts& link);
  // Nothing is left to be asked or to wait for.
  [[nodiscard]] bool complete() const;
  // What is known; the rest is said to be missing.
  [[nodiscard]] v1::ProbeWorkersResponse result() const;

 private:
  enum class Stage { kWaits, kAsked, kDone };
  struct Host {
    Stage stage = Stage::kWaits;
    Duration asked{0};
    v1::HostProbe probe;
  };
  struct Pair {
    std::size_t from = 0;
    std::size_t to = 0;
    bool measure_rate = false;
    Stage stage = Stage::kWaits;
    Duration asked{0};
    v1::PairProbe probe;
  };

  void make_pairs();
  void add_pair(std::size_t from, std::size_t to);
  void give_up(Duration now);
  [[nodiscard]] std::string machine_of(std::size_t index) const;

  const std::vector<ProbedWorker> workers_;
  const Time wall_;
  std::vector<Host> hosts_;  // by worker
  std::vector<Pair> pairs_;
  std::size_t too_many_ = 0;  // pairs beyond kPairsMax
};

}  // namespace overwinter::rpc
