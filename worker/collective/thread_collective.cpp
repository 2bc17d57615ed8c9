#include "worker/collective/thread_collective.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "common/base/check.h"
#include "common/base/mutex.h"

namespace overwinter::worker {
namespace {

enum class Kind { kSumFloats, kSumDoubles, kBroadcast, kBarrier };

// One call of all ranks, numbered by how many calls each rank made before it.
struct Meeting {
  Kind kind = Kind::kBarrier;
  std::size_t bytes = 0;
  std::size_t root = 0;
  std::vector<std::byte*> values;  // of each rank, null before it came
  std::size_t arrived = 0;
  std::size_t left = 0;
  bool done = false;
};

template <class T>
void sum_into_all(const Meeting& meeting) {
  const std::size_t count = meeting.bytes / sizeof(T);
  T* first = reinterpret_cast<T*>(meeting.values[0]);
  for (std::size_t r = 1; r < meeting.values.size(); ++r) {
    const T* other = reinterpret_cast<const T*>(meeting.values[r]);
    for (std::size_t i = 0; i < count; ++i) first[i] += other[i];
  }
  for (std::size_t r = 1; r < meeting.values.size(); ++r)
    std::memcpy(meeting.values[r], first, meeting.bytes);
}

void complete(const Meeting& meeting) {
  if (meeting.bytes == 0) return;
  switch (meeting.kind) {
    case Kind::kSumFloats:
      return sum_into_all<float>(meeting);
    case Kind::kSumDoubles:
      return sum_into_all<double>(meeting);
    case Kind::kBroadcast:
      for (std::size_t r = 0; r < meeting.values.size(); ++r) {
        if (r != meeting.root)
          std::memcpy(meeting.values[r], meeting.values[meeting.root], meeting.bytes);
      }
      return;
    case Kind::kBarrier:
      return;
  }
}

Status broken_error() {
  return error(Code::kAborted, "Another rank of the group is gone or made another call.");
}

}  // namespace

struct ThreadGroup::Shared {
  explicit Shared(std::size_t ranks) : size(ranks), taken(ranks, false) {}
  const std::size_t size;
  Mutex mutex;
  Condition changed;
  std::map<std::uint64_t, Meeting> meetings OW_GUARDED_BY(mutex);
  std::vector<bool> taken OW_GUARDED_BY(mutex);
  bool broken OW_GUARDED_BY(mutex) = false;

  Status arrive(std::uint64_t number, std::size_t rank, Kind kind, std::span<std::byte> values,
                std::size_t root) {
    const MutexLock lock(mutex);
    if (broken) return broken_error();
    Meeting& meeting = meetings[number];
    if (meeting.values.empty()) {
      meeting.kind = kind;
      meeting.bytes = values.size();
      meeting.root = root;
      meeting.values.assign(size, nullptr);
    }
    if (meeting.kind != kind || meeting.bytes != values.size() || meeting.root != root) {
      broken = true;
      changed.notify_all();
      return broken_error();
    }
    meeting.values[rank] = values.data();
    if (++meeting.arrived == size) {
      complete(meeting);
      meeting.done = true;
      changed.notify_all();
    }
    return Status::success();
  }

  Status leave(std::uint64_t number) {
    const MutexLock lock(mutex);
    const auto it = meetings.find(number);
    if (it == meetings.end()) return broken_error();
    while (!it->second.done && !broken) changed.wait(mutex);
    if (!it->second.done) return broken_error();
    if (++it->second.left == size) meetings.erase(it);
    return Status::success();
  }

  void gone() {
    const MutexLock lock(mutex);
    // Meetings that are done go on: who left last in peace breaks nothing.
    broken = true;
    changed.notify_all();
  }
};

namespace {

class ThreadCollective final : public Collective {
 public:
  ThreadCollective(std::shared_ptr<ThreadGroup::Shared> shared, std::size_t rank)
      : shared_(std::move(shared)), rank_(rank) {}
  ~ThreadCollective() override { shared_->gone(); }
  ThreadCollective(const ThreadCollective&) = delete;
  ThreadCollective& operator=(const ThreadCollective&) = delete;

  [[nodiscard]] std::size_t rank() const override { return rank_; }
  [[nodiscard]] std::size_t size() const override { return shared_->size; }
  Status all_reduce_sum(std::span<float> values) override {
    return meet(Kind::kSumFloats, std::as_writable_bytes(values), 0);
  }
  Status all_reduce_sum(std::span<double> values) override {
    return meet(Kind::kSumDoubles, std::as_writable_bytes(values), 0);
  }
  [[nodiscard]] Result<std::unique_ptr<Pending>> start_all_reduce_sum(
      std::span<float> values) override {
    const std::uint64_t number = next_++;
    if (Status s =
            shared_->arrive(number, rank_, Kind::kSumFloats, std::as_writable_bytes(values), 0);
        !s.ok())
      return fail(s);
    return std::make_unique<Later>(*shared_, number);
  }
  Status broadcast(std::span<std::byte> bytes, std::size_t root) override {
    if (root >= size()) return error(Code::kInvalidArgument, "There is no such rank to send from.");
    return meet(Kind::kBroadcast, bytes, root);
  }
  Status barrier() override { return meet(Kind::kBarrier, {}, 0); }

 private:
  class Later final : public Pending {
   public:
    Later(ThreadGroup::Shared& shared, std::uint64_t number) : shared_(shared), number_(number) {}
    Status wait() override { return shared_.leave(number_); }

   private:
    ThreadGroup::Shared& shared_;
    std::uint64_t number_;
  };

  Status meet(Kind kind, std::span<std::byte> values, std::size_t root) {
    const std::uint64_t number = next_++;
    if (Status s = shared_->arrive(number, rank_, kind, values, root); !s.ok()) return s;
    return shared_->leave(number);
  }

  std::shared_ptr<ThreadGroup::Shared> shared_;
  const std::size_t rank_;
  std::uint64_t next_ = 0;
};

}  // namespace

ThreadGroup::ThreadGroup(std::size_t ranks)
    : shared_(std::make_shared<Shared>(std::max<std::size_t>(ranks, 1))) {}

std::unique_ptr<Collective> ThreadGroup::end_of(std::size_t rank) {
  const MutexLock lock(shared_->mutex);
  check(rank < shared_->size && !shared_->taken[rank], "each rank's end is taken once");
  shared_->taken[rank] = true;
  return std::make_unique<ThreadCollective>(shared_, rank);
}

}  // namespace overwinter::worker
