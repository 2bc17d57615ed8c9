// A segment: a file with lines of one rank in one attempt. The format, with its number, is
// described in this room's README. Pure: bytes in, bytes out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "coordinator/telemetry/log_types.h"

namespace overwinter::telemetry {

inline constexpr std::uint32_t kSegmentFormat = 1;
inline constexpr std::size_t kSegmentHeaderBytes = 56;
inline constexpr std::size_t kRecordHeaderBytes = 28;

struct SegmentHeader {
  std::uint64_t job = 0;
  AttemptNumber attempt = 0;
  std::uint32_t rank = 0;
  std::uint64_t number = 0;  // within its rank and attempt, from 1
  // What the rank and attempt had before this segment, lost lines included: a difference to the end
  // of the segment before is what was dropped between them.
  std::uint64_t lines_before = 0;
  std::uint64_t bytes_before = 0;
};

void append_header(std::string& out, const SegmentHeader& header);
// A text longer than kLineBytesMax is cut. Of the entry, attempt and rank are the segment's.
void append_record(std::string& out, std::uint64_t sequence, const LogEntry& entry);
[[nodiscard]] std::size_t record_bytes(const LogEntry& entry);

// Reads what a segment holds, whatever its bytes are: it ends at the first record that is not whole
// or whose checksum is wrong.
class SegmentReader {
 public:
  // `data` must outlive the reader. INVALID_ARGUMENT: no segment of this format.
  [[nodiscard]] static Result<SegmentReader> open(std::string_view data);

  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  // Nothing at the end.
  [[nodiscard]] std::optional<LogItem> next();
  // How many bytes were good so far.
  [[nodiscard]] std::size_t good_bytes() const { return at_; }

 private:
  explicit SegmentReader(std::string_view data) : data_(data) {}
  std::string_view data_;
  std::size_t at_ = kSegmentHeaderBytes;
  SegmentHeader header_;
};

}  // namespace overwinter::telemetry
