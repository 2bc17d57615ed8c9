// The watchdog's mind: when to look at a tree's memory again, how closely, and when it is over its
// limit. Pure: sizes come in, decisions go out.
//
// Three ways to look, each dearer and truer than the one before: *resident* counts file pages and
// what processes share once for each; *unshared* leaves file pages out, but counts what forked
// processes still share once for each; *exact* is the kernel's proportional size. A tree is over
// its limit when the exact size says so, never by a cheaper one.
#pragma once

#include <chrono>
#include <cstdint>

namespace overwinter::worker::exec {

class MemoryWatch {
 public:
  enum class Look : std::uint8_t {
    kNothing,   // far below: come back after `wait`
    kUnshared,  // bring the unshared size, now
    kExact,     // bring the exact size, now; the tree should stand still meanwhile
    kKill,      // over the limit
  };
  struct Decision {
    Look look = Look::kNothing;
    std::chrono::milliseconds wait{0};  // with kNothing
  };

  explicit MemoryWatch(std::uint64_t limit_bytes) : limit_(limit_bytes) {}

  [[nodiscard]] Decision resident(std::uint64_t bytes);
  [[nodiscard]] Decision unshared(std::chrono::milliseconds now, std::uint64_t bytes);
  // `took`: how long measuring was; the next one without need comes after ten times that.
  [[nodiscard]] Decision exact(std::chrono::milliseconds now, std::uint64_t bytes,
                               std::chrono::milliseconds took);

  // What was seen last, and the most that was seen, in the truest size that was looked at each
  // time.
  [[nodiscard]] std::uint64_t used_bytes() const { return used_; }
  [[nodiscard]] std::uint64_t peak_bytes() const { return peak_; }

 private:
  [[nodiscard]] Decision later(std::uint64_t bytes);
  void note(std::uint64_t bytes);

  const std::uint64_t limit_;
  std::uint64_t unshared_ = 0;
  std::uint64_t counted_twice_ = 0;  // unshared less exact, when last measured
  std::chrono::milliseconds exact_due_{0};
  std::uint64_t used_ = 0;
  std::uint64_t peak_ = 0;
};

}  // namespace overwinter::worker::exec
