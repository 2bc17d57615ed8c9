// ThreadTeam: the threads of one device. They live as long as it does; work is split over them by
// hand, since threads of a BLAS inside an operation cost more than they bring (FACTS §3).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace overwinter::worker {

class ThreadTeam {
 public:
  // `threads` of at least 1: the caller of run() is the first of them.
  explicit ThreadTeam(std::uint32_t threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  // Calls work(0) … work(size() - 1), each on a thread of its own, and returns when all have
  // returned. One caller at a time.
  void run(const std::function<void(std::uint32_t)>& work);
  [[nodiscard]] std::uint32_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::worker
