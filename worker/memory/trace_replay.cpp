#include "worker/memory/trace_replay.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <thread>

#include "common/base/mutex.h"

namespace overwinter::worker {
namespace {

using WallClock = std::chrono::steady_clock;

constexpr std::size_t kTouchEvery = 4096;

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Where a block lies while it lives; null before and after.
using BlockSlot = std::atomic<void*>;

struct ReplayMove {
  BlockSlot* slot = nullptr;
  std::uint64_t bytes = 0;
  std::uint32_t alignment = 0;
  bool frees = false;
  bool meets = false;  // of a block that one thread allocates and another frees
};

class Replay {
 public:
  Replay(const MemoryTrace& trace, MemoryResource& resource, const ReplayOptions& options)
      : resource_(resource),
        options_(options),
        moves_(trace.threads),
        slots_(trace.threads),
        ready_(static_cast<std::ptrdiff_t>(trace.threads)),
        begins_(trace.threads),
        ends_(trace.threads),
        busy_(trace.threads) {
    plan(trace);
  }

  Result<ReplayReport> run() {
    {
      std::vector<std::jthread> threads;
      for (std::size_t t = 0; t < moves_.size(); ++t) threads.emplace_back([this, t] { play(t); });
    }
    if (!error_.ok()) {
      give_back_the_rest();
      return fail(error_);
    }
    ReplayReport report;
    for (const auto& moves : moves_) report.moves += moves.size() * options_.rounds;
    if (moves_.empty()) return report;
    for (const double busy : busy_) report.thread_seconds += busy;
    report.wall_seconds = std::chrono::duration<double>(*std::ranges::max_element(ends_) -
                                                        *std::ranges::min_element(begins_))
                              .count();
    return report;
  }

 private:
  // Slots of one thread's blocks lie together: no two threads share a line for their own blocks.
  void plan(const MemoryTrace& trace) {
    std::vector<std::uint32_t> owner(trace.blocks);
    std::vector<std::size_t> place(trace.blocks);
    std::vector<std::size_t> counts(trace.threads);
    std::vector<bool> foreign(trace.blocks);
    for (const TraceEvent& event : trace.events) {
      if (event.frees) {
        foreign[event.block] = owner[event.block] != event.thread;
        continue;
      }
      owner[event.block] = event.thread;
      place[event.block] = counts[event.thread]++;
    }
    for (std::size_t t = 0; t < slots_.size(); ++t) slots_[t] = std::vector<BlockSlot>(counts[t]);
    std::vector<const TraceEvent*> live(trace.blocks, nullptr);
    const auto add = [&](const TraceEvent& event, std::uint32_t thread, bool frees) {
      moves_[thread].push_back({&slots_[owner[event.block]][place[event.block]], event.bytes,
                                event.alignment, frees, foreign[event.block]});
    };
    for (const TraceEvent& event : trace.events) {
      add(event, event.thread, event.frees);
      live[event.block] = event.frees ? nullptr : &event;
    }
    for (const TraceEvent* event : live) {
      if (event != nullptr) add(*event, event->thread, true);
    }
  }

  void play(std::size_t thread) {
    ready_.arrive_and_wait();
    begins_[thread] = WallClock::now();
    const double busy = thread_seconds();
    for (std::uint32_t round = 0; round < options_.rounds; ++round) {
      for (const ReplayMove& move : moves_[thread]) {
        if (!(move.frees ? free(move) : allocate(move))) break;
      }
      if (stopped_.load(std::memory_order_relaxed)) break;  // another thread was refused
    }
    busy_[thread] = thread_seconds() - busy;
    ends_[thread] = WallClock::now();
  }

  // Both are false when the replay is over.
  bool allocate(const ReplayMove& move) {
    // Of the round before.
    if (move.meets && !meet(move, [](const void* there) { return there == nullptr; })) return false;
    auto memory = resource_.allocate(move.bytes, move.alignment);
    if (!memory) {
      const MutexLock lock(mutex_);
      if (error_.ok()) error_ = memory.error();
      stopped_ = true;
      changed_.notify_all();
      return false;
    }
    if (options_.touch) {
      auto* const bytes = static_cast<volatile char*>(*memory);
      for (std::size_t at = 0; at < move.bytes; at += kTouchEvery) bytes[at] = 1;
    }
    set(move, *memory);
    return true;
  }

  bool free(const ReplayMove& move) {
    if (move.meets && !meet(move, [](const void* there) { return there != nullptr; })) return false;
    resource_.deallocate(move.slot->load(std::memory_order_relaxed), move.bytes, move.alignment);
    set(move, nullptr);
    return true;
  }

  void set(const ReplayMove& move, void* memory) {
    if (!move.meets) return move.slot->store(memory, std::memory_order_relaxed);
    const MutexLock lock(mutex_);
    move.slot->store(memory, std::memory_order_relaxed);
    changed_.notify_all();
  }

  // Sleeps until the other thread was there: who waits takes no time from who plays.
  template <class Ready>
  bool meet(const ReplayMove& move, Ready ready) {
    const MutexLock lock(mutex_);
    while (!stopped_ && !ready(move.slot->load(std::memory_order_relaxed))) changed_.wait(mutex_);
    return !stopped_;
  }

  void give_back_the_rest() {
    for (const auto& moves : moves_) {
      for (const ReplayMove& move : moves) {
        if (void* const memory = move.slot->exchange(nullptr))
          resource_.deallocate(memory, move.bytes, move.alignment);
      }
    }
  }

  MemoryResource& resource_;
  const ReplayOptions options_;
  std::vector<std::vector<ReplayMove>> moves_;  // of each thread
  std::vector<std::vector<BlockSlot>> slots_;   // of the blocks that each thread allocates
  std::barrier<> ready_;
  std::atomic<bool> stopped_{false};
  Mutex mutex_;
  Condition changed_;
  Status error_;  // guarded while threads play
  std::vector<WallClock::time_point> begins_, ends_;
  std::vector<double> busy_;
};

}  // namespace

Result<ReplayReport> replay(const MemoryTrace& trace, MemoryResource& resource,
                            const ReplayOptions& options) {
  return Replay(trace, resource, options).run();
}

Status replay_in_order(const MemoryTrace& trace, MemoryResource& resource) {
  MemoryTrace alone = trace;
  alone.threads = 1;
  for (TraceEvent& event : alone.events) event.thread = 0;
  const auto report = replay(alone, resource);
  return report ? Status::success() : report.error();
}

}  // namespace overwinter::worker
