// Virtual time: what is to happen when. Ties in the order of scheduling.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace overwinter::simulation {

using Ms = std::int64_t;  // real milliseconds since the run began

class VirtualTime {
 public:
  VirtualTime() = default;
  VirtualTime(const VirtualTime&) = delete;
  VirtualTime& operator=(const VirtualTime&) = delete;
  ~VirtualTime() {
    for (const Item& item : heap_) slots_[item.slot].destroy();
  }

  [[nodiscard]] Ms now() const { return now_; }
  template <class Action>
  void at(Ms when, Action&& action) {
    std::uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    slots_[slot].put(std::forward<Action>(action));
    heap_.push_back({when < now_ ? now_ : when, sequence_++, slot});
    std::push_heap(heap_.begin(), heap_.end());
  }
  template <class Action>
  void after(Ms delay, Action&& action) {
    at(now_ + delay, std::forward<Action>(action));
  }
  // False when nothing is left.
  bool step() {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end());
    const Item item = heap_.back();
    heap_.pop_back();
    now_ = item.when;
    const Done done{*this, item.slot};  // after the action, thrown or not
    slots_[item.slot].run();
    return true;
  }

 private:
  // Orders only; what is to happen lies in a slot and never moves.
  struct Item {
    Ms when;
    std::uint64_t sequence;
    std::uint32_t slot;
    bool operator<(const Item& other) const {
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  class Slot {
   public:
    template <class Action>
    void put(Action&& action) {
      using A = std::decay_t<Action>;
      if constexpr (sizeof(A) <= kInside && alignof(A) <= alignof(std::max_align_t)) {
        ::new (static_cast<void*>(inside_)) A(std::forward<Action>(action));
        run_ = [](Slot& s) { (*std::launder(reinterpret_cast<A*>(s.inside_)))(); };
        destroy_ = [](Slot& s) { std::launder(reinterpret_cast<A*>(s.inside_))->~A(); };
      } else {
        outside_ = new A(std::forward<Action>(action));
        run_ = [](Slot& s) { (*static_cast<A*>(s.outside_))(); };
        destroy_ = [](Slot& s) { delete static_cast<A*>(s.outside_); };
      }
    }
    void run() { run_(*this); }
    void destroy() { destroy_(*this); }

   private:
    static constexpr std::size_t kInside = 256;
    void (*run_)(Slot&) = nullptr;
    void (*destroy_)(Slot&) = nullptr;
    void* outside_ = nullptr;
    alignas(std::max_align_t) std::byte inside_[kInside];
  };
  struct Done {
    VirtualTime& time;
    std::uint32_t slot;
    ~Done() {
      time.slots_[slot].destroy();
      time.free_.push_back(slot);
    }
  };

  Ms now_ = 0;
  std::uint64_t sequence_ = 0;
  std::vector<Item> heap_;
  std::deque<Slot> slots_;  // stable while they run
  std::vector<std::uint32_t> free_;
};

}  // namespace overwinter::simulation
