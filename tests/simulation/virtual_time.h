// Virtual time: what is to happen when. Ties in the order of scheduling.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

namespace overwinter::simulation {

using Ms = std::int64_t;  // real milliseconds since the run began

class VirtualTime {
 public:
  using Action = std::function<void()>;
  [[nodiscard]] Ms now() const { return now_; }
  void at(Ms when, Action action) {
    items_.push({when < now_ ? now_ : when, sequence_++, std::move(action)});
  }
  void after(Ms delay, Action action) { at(now_ + delay, std::move(action)); }
  // False when nothing is left.
  bool step() {
    if (items_.empty()) return false;
    // The top is moved out before it is popped: its order does not change by that.
    Item item = std::move(const_cast<Item&>(items_.top()));
    items_.pop();
    now_ = item.when;
    item.action();
    return true;
  }

 private:
  struct Item {
    Ms when;
    std::uint64_t sequence;
    Action action;
    bool operator<(const Item& other) const {
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  Ms now_ = 0;
  std::uint64_t sequence_ = 0;
  std::priority_queue<Item> items_;
};

}  // namespace overwinter::simulation
