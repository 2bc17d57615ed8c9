// WorkerRecords: the worker's own account of its seats, so that bills can be checked against it.
// One JSON object a line in DIR/seats.jsonl:
//
//   {"record": "began", "time": "…Z", "incarnation": 5, "job": "projects/P/jobs/J", "seat":
//   "7/1/1", "device": 0}
//   {"record": "evidence", "seat": "7/1/1", "used_ms": 3001}      told the coordinator that it is
//   alive
//   {"record": "ended", "time": "…Z", "seat": "7/1/1", "end": "FINISHED", "used_ms": 12345,
//   "memory_peak_bytes": 1, "report": 9}
//   {"record": "acknowledged", "report": 9}                        that report is durable at the
//   coordinator
//
// `seat` is job number, attempt and seat number. Begin and end are fsynced. At 64 MiB the file
// becomes seats.jsonl.1 (the one before it is dropped).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"
#include "worker/core/output.h"

namespace overwinter::worker {

// One thread. A disk that is full is said once and ends nothing: the work goes on, the account has
// a gap.
class WorkerRecords {
 public:
  [[nodiscard]] static Result<WorkerRecords> open(const std::filesystem::path& folder,
                                                  Incarnation incarnation);
  WorkerRecords(WorkerRecords&& other) noexcept;
  WorkerRecords& operator=(WorkerRecords&&) = delete;
  ~WorkerRecords();

  void began(const OfferSeat& offer, std::chrono::milliseconds wall);
  void evidence(const SeatStatus& seat);
  void ended(const SeatEnded& end, std::uint64_t report, std::chrono::milliseconds wall);
  void acknowledged(std::uint64_t report);

 private:
  WorkerRecords(std::filesystem::path path, int descriptor, Incarnation incarnation)
      : path_(std::move(path)), descriptor_(descriptor), incarnation_(incarnation) {}
  void write(const std::string& line, bool durable);
  void rotate();
  void complain(const std::string& what);

  std::filesystem::path path_;
  int descriptor_ = -1;
  Incarnation incarnation_;
  std::uint64_t bytes_ = 0;
  bool torn_ = false;  // the last line was not written whole
  bool complained_ = false;
};

}  // namespace overwinter::worker
