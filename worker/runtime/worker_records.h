// WorkerRecords: the worker's own account of its seats, so that bills can be checked against it.
// One JSON object a line in DIR/seats.jsonl:
//
//   {"record": "began", "time": "…Z", "incarnation": 5, "job": "projects/P/jobs/J", "seat":
//   "7/1/1", "device": 0, "funded_ms": 60000, "monotonic_us": 1}
//   {"record": "working", "seat": "7/1/1", "monotonic_us": 1}     its first units were started
//   {"record": "stepped", "seat": "7/1/1", "monotonic_us": 1}     of a gang: its first step is done
//   {"record": "evidence", "seat": "7/1/1", "used_ms": 3001}      told the coordinator that it is
//   alive
//   {"record": "ended", "time": "…Z", "seat": "7/1/1", "end": "FINISHED", "used_ms": 12345,
//   "memory_peak_bytes": 1, "report": 9}
//   {"record": "acknowledged", "report": 9}                        that report is durable at the
//   coordinator
//
// `seat` is job number, attempt and seat number; `monotonic_us` counts on the machine's clock since
// its boot (CLOCK_BOOTTIME). Begin and end are fsynced by sync(). At 64 MiB the file
// becomes seats.jsonl.1 (the one before it is dropped).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"
#include "worker/core/output.h"

namespace overwinter::worker {

// "7/1/1": job number, attempt and seat number.
[[nodiscard]] std::string seat_name(const SeatKey& seat);

// One thread. A disk that is full is said once and ends nothing: the work goes on, the account has
// a gap.
class WorkerRecords {
 public:
  [[nodiscard]] static Result<WorkerRecords> open(const std::filesystem::path& folder,
                                                  Incarnation incarnation);
  WorkerRecords(WorkerRecords&& other) noexcept;
  WorkerRecords& operator=(WorkerRecords&&) = delete;
  ~WorkerRecords();

  void began(const OfferSeat& offer, std::chrono::milliseconds wall,
             std::chrono::nanoseconds monotonic);
  void working(const SeatKey& seat, std::chrono::nanoseconds monotonic);
  void stepped(const SeatKey& seat, std::chrono::nanoseconds monotonic);
  void evidence(const SeatStatus& seat);
  void ended(const SeatEnded& end, std::uint64_t report, std::chrono::milliseconds wall);
  void acknowledged(std::uint64_t report);
  // Begins and ends written since the last call are on the disk when it returns: before the message
  // that says the same leaves.
  void sync();

 private:
  WorkerRecords(std::filesystem::path path, int descriptor, Incarnation incarnation)
      : path_(std::move(path)), descriptor_(descriptor), incarnation_(incarnation) {}
  // False: not written, and complained of.
  bool write(const std::string& line);
  void rotate();
  void complain(const std::string& what);

  std::filesystem::path path_;
  int descriptor_ = -1;
  Incarnation incarnation_;
  std::uint64_t bytes_ = 0;
  bool torn_ = false;      // the last line was not written whole
  bool unsynced_ = false;  // a begin or an end
  bool complained_ = false;
};

}  // namespace overwinter::worker
