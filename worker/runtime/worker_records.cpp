#include "worker/runtime/worker_records.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/log.h"

namespace overwinter::worker {
namespace {

constexpr std::uint64_t kRotateAt = 64 * kMiB;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string_view end_name(SeatEnd end) {
  switch (end) {
    case SeatEnd::kFinished:
      return "FINISHED";
    case SeatEnd::kFundsEnded:
      return "FUNDS_ENDED";
    case SeatEnd::kRefused:
      return "REFUSED";
    case SeatEnd::kFailed:
      return "FAILED";
    case SeatEnd::kLeaving:
      return "LEAVING";
    case SeatEnd::kCompleted:
      return "COMPLETED";
    case SeatEnd::kPeerLost:
      return "PEER_LOST";
  }
  return "";
}

std::string time(std::chrono::milliseconds wall) {
  return format_time(time_from_unix_ms(wall.count()));
}

int open_file(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

std::int64_t in_microseconds(std::chrono::nanoseconds d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

}  // namespace

std::string seat_name(const SeatKey& seat) {
  return fmt::format("{}/{}/{}", seat.job.value(), seat.attempt, seat.number);
}

Result<WorkerRecords> WorkerRecords::open(const std::filesystem::path& folder,
                                          Incarnation incarnation) {
  const std::filesystem::path path = folder / "seats.jsonl";
  const int descriptor = open_file(path);
  if (descriptor < 0) {
    return fail(Code::kFailedPrecondition,
                "cannot write " + path.string() + ": " + std::strerror(errno), "data-dir",
                "the folder must be writable and the disk not full");
  }
  WorkerRecords records(path, descriptor, incarnation);
  struct stat info {};
  if (::fstat(descriptor, &info) == 0) records.bytes_ = static_cast<std::uint64_t>(info.st_size);
  // A line cut by a crash ends here.
  records.torn_ = records.bytes_ > 0;
  return records;
}

WorkerRecords::WorkerRecords(WorkerRecords&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      incarnation_(other.incarnation_),
      bytes_(other.bytes_),
      torn_(other.torn_),
      unsynced_(other.unsynced_),
      complained_(other.complained_) {}

WorkerRecords::~WorkerRecords() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void WorkerRecords::began(const OfferSeat& offer, std::chrono::milliseconds wall,
                          std::chrono::nanoseconds monotonic) {
  unsynced_ |= write(fmt::format(
      R"({{"record": "began", "time": "{}", "incarnation": {}, "job": {}, "seat": "{}", )"
      R"("device": {}, "funded_ms": {}, "monotonic_us": {}}})",
      time(wall), incarnation_.value(), quoted(offer.job), seat_name(offer.seat), offer.device,
      offer.funded_for.count(), in_microseconds(monotonic)));
}

void WorkerRecords::working(const SeatKey& seat, std::chrono::nanoseconds monotonic) {
  write(fmt::format(R"({{"record": "working", "seat": "{}", "monotonic_us": {}}})", seat_name(seat),
                    in_microseconds(monotonic)));
}

void WorkerRecords::stepped(const SeatKey& seat, std::chrono::nanoseconds monotonic) {
  write(fmt::format(R"({{"record": "stepped", "seat": "{}", "monotonic_us": {}}})", seat_name(seat),
                    in_microseconds(monotonic)));
}

void WorkerRecords::evidence(const SeatStatus& seat) {
  write(fmt::format(R"({{"record": "evidence", "seat": "{}", "used_ms": {}}})",
                    seat_name(seat.seat), seat.used.count()));
}

void WorkerRecords::ended(const SeatEnded& end, std::uint64_t report,
                          std::chrono::milliseconds wall) {
  unsynced_ |= write(
      fmt::format(R"({{"record": "ended", "time": "{}", "seat": "{}", "end": "{}", "used_ms": {}, )"
                  R"("memory_peak_bytes": {}, "report": {}}})",
                  time(wall), seat_name(end.seat), end_name(end.end), end.used.count(),
                  end.memory_peak_bytes, report));
}

void WorkerRecords::acknowledged(std::uint64_t report) {
  write(fmt::format(R"({{"record": "acknowledged", "report": {}}})", report));
}

void WorkerRecords::sync() {
  if (!std::exchange(unsynced_, false)) return;
  if (::fdatasync(descriptor_) != 0) {
    complain(std::strerror(errno));
  } else {
    complained_ = false;
  }
}

bool WorkerRecords::write(const std::string& line) {
  if (bytes_ >= kRotateAt) rotate();
  const std::string whole = (torn_ ? "\n" : "") + line + "\n";
  const ssize_t written = ::write(descriptor_, whole.data(), whole.size());
  if (written > 0) bytes_ += static_cast<std::uint64_t>(written);
  if (written != static_cast<ssize_t>(whole.size())) {
    torn_ = torn_ || written > 0;
    complain(written < 0 ? std::strerror(errno) : "the disk is full");
    return false;
  }
  torn_ = false;
  return true;
}

void WorkerRecords::rotate() {
  sync();
  std::error_code failed;
  std::filesystem::rename(path_, path_.string() + ".1", failed);
  const int fresh = failed ? -1 : open_file(path_);
  if (fresh < 0) return;  // the old descriptor goes on
  ::close(descriptor_);
  descriptor_ = fresh;
  bytes_ = 0;
}

void WorkerRecords::complain(const std::string& what) {
  if (std::exchange(complained_, true)) return;
  log_error("cannot write {}: {}; seats go on, but this record of them has a gap", path_.string(),
            what);
}

}  // namespace overwinter::worker
