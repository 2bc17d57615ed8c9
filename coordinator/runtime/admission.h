// Admission: which connections a port has: whether it takes one more, who makes room for it, and
// what became of those that it took. One of each port. Thread-safe.
//
// When the port is full, room is shared out as max-min fairness has it (Bertsekas and Gallager,
// Data Networks, §6.5.2): an address with fewer connections that have shown nobody takes the place
// of the oldest of the address with most of them. A flood from a few addresses thus does not keep
// anybody out, and costs no more than a refusal; who has shown who they are keeps their place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "coordinator/runtime/connection_counts.h"

namespace overwinter::runtime {

struct AdmissionLimits {
  std::size_t connections_max = 4096;
  // Of those, the ones that have shown nobody yet: each has memory for a handshake.
  std::size_t unknown_max = 384;
  // An IPv6 address counts with its /64 network, which one host may have to itself.
  std::size_t of_an_address_max = 256;
};

class Admission {
 public:
  using Id = std::uint64_t;
  struct Entry {
    Id id = 0;
    std::optional<Id> displaced;  // it has left already: its connection is to be ended
  };

  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  // nullopt: it is not taken.
  [[nodiscard]] std::optional<Entry> enter(const std::string& address);
  // It has shown who it is. Nothing where it has left; so does leave().
  void known(Id id);
  void leave(Id id);
  // Three quarters of the room are taken: who shows nobody has less time than usual.
  [[nodiscard]] bool crowded() const;

  // Why one that had entered is ended.
  void ended_late();
  void ended_greedy();
  [[nodiscard]] ConnectionCounts counts() const;

 private:
  struct Network {
    std::size_t open = 0;
    std::set<Id> unknown;  // the oldest first
  };
  using Networks = std::map<std::string, Network>;
  struct Connection {
    Networks::iterator network;
    bool known = false;
  };

  [[nodiscard]] bool full() const OW_REQUIRES(mutex_);
  // The oldest unknown of the network with most of them, where that has more than one with
  // `unknown` and one more would have.
  [[nodiscard]] std::optional<Id> who_makes_room(std::size_t unknown) const OW_REQUIRES(mutex_);
  void remove(Id id) OW_REQUIRES(mutex_);
  void add_unknown(Networks::iterator network, Id id) OW_REQUIRES(mutex_);
  void remove_unknown(Networks::iterator network, Id id) OW_REQUIRES(mutex_);

  const AdmissionLimits limits_;
  mutable Mutex mutex_;
  ConnectionCounts counts_ OW_GUARDED_BY(mutex_);
  Networks networks_ OW_GUARDED_BY(mutex_);
  std::map<Id, Connection> open_ OW_GUARDED_BY(mutex_);
  std::size_t unknown_ OW_GUARDED_BY(mutex_) = 0;
  // Networks by how many unknown they have, of those that have any.
  std::set<std::pair<std::size_t, std::string>> by_unknown_ OW_GUARDED_BY(mutex_);
  Id last_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::runtime
