// Walks the lines of one rank and attempt over its segments. Internal to the room.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/telemetry/log_segment.h"
#include "coordinator/telemetry/log_types.h"

namespace overwinter::telemetry {

struct SegmentFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0;  // of it that count
  std::uint64_t last_sequence = 0;
};

// Reads one segment into memory at a time. A segment that was removed meanwhile, or that is
// damaged, is a gap like any other.
class LaneReader {
 public:
  explicit LaneReader(std::vector<SegmentFile> files) : files_(std::move(files)) {}

  // Moves to the first item with a number above `after`, or a gap before one; then `item()` is it.
  void start(std::uint64_t after);
  void advance();
  [[nodiscard]] const std::optional<LogItem>& item() const { return item_; }

 private:
  bool open_next();

  std::vector<SegmentFile> files_;
  std::size_t next_file_ = 0;
  std::string data_;
  std::optional<SegmentReader> reader_;
  // Up to the place in the lane that has been read, lost ones included.
  std::optional<std::uint64_t> lines_;
  std::uint64_t text_ = 0;
  std::optional<LogItem> held_;  // the item that stands behind a gap
  std::optional<LogItem> item_;
  std::uint64_t after_ = 0;
};

// The items of the lanes in the order of their numbers, as the query wants them. `last` is the
// largest number that there is.
void read_lanes(const std::vector<std::vector<SegmentFile>>& lanes, const LogQuery& query,
                std::uint64_t last, LogPage& page);

// At most `bytes` of a file from its beginning; empty when it cannot be read.
[[nodiscard]] std::string read_beginning(const std::filesystem::path& path, std::uint64_t bytes);

}  // namespace overwinter::telemetry
