// TimerSet: deadlines by what they are about. One a key: setting it again moves it. O(log n).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/time.h"

namespace overwinter::core {

enum class TimerKind : std::uint8_t {
  kLost,       // a worker: silence
  kCut,        // a worker: its price changes or a month ends
  kFund,       // a seat: renew, or it has outlived its funding
  kStop,       // a seat: told to stop, still there
  kTimeLimit,  // a job
  kForget,     // a job
  kStart,      // a gang: launched, and not all its ranks are up
  kStall,      // a gang: no step, checkpoint or output
};

class TimerSet {
 public:
  struct Key {
    TimerKind kind = TimerKind::kLost;
    std::uint64_t id = 0;
    std::uint32_t number = 0;  // of a seat
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  void set(Key key, Time at) {
    const auto [it, added] = times_.try_emplace(key, at);
    if (!added) {
      if (it->second == at) return;
      order_.erase({it->second, key});
      it->second = at;
    }
    order_.insert({at, key});
  }
  void cancel(Key key) {
    const auto it = times_.find(key);
    if (it == times_.end()) return;
    order_.erase({it->second, key});
    times_.erase(it);
  }
  [[nodiscard]] bool has(Key key) const { return times_.contains(key); }
  // The earliest that is due, removed; absent: none.
  std::optional<Key> take_due(Time now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    const Key key = order_.begin()->second;
    order_.erase(order_.begin());
    times_.erase(key);
    return key;
  }
  [[nodiscard]] std::optional<Time> next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }
  void clear() {
    times_.clear();
    order_.clear();
  }

 private:
  std::map<Key, Time> times_;
  std::set<std::pair<Time, Key>> order_;
};

}  // namespace overwinter::core
