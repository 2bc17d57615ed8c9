#include "coordinator/telemetry/log_segment.h"

#include <xxhash.h>

#include <algorithm>

#include "coordinator/telemetry/little_endian.h"

namespace overwinter::telemetry {
namespace {

constexpr std::string_view kSegmentMagic = "OWTELLOG";
constexpr std::size_t kCheckAt = 12;   // of a header; it covers all behind it
constexpr std::uint8_t kGap = 4;       // beside the streams
constexpr std::size_t kGapBytes = 16;  // of a gap's text: two counts
constexpr std::uint8_t kCutFlag = 1;

std::uint32_t check_of(std::string_view data) {
  return static_cast<std::uint32_t>(XXH3_64bits(data.data(), data.size()));
}

void set_check(std::string& out, std::size_t at, std::size_t covered) {
  const std::uint32_t check = check_of(std::string_view(out).substr(covered));
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>((check >> (8 * i)) & 0xFF);
}

}  // namespace

void append_header(std::string& out, const SegmentHeader& header) {
  const std::size_t start = out.size();
  out += kSegmentMagic;
  put<std::uint32_t>(out, kSegmentFormat);
  put<std::uint32_t>(out, 0);
  put(out, header.job);
  put(out, header.attempt);
  put(out, header.rank);
  put(out, header.number);
  put(out, header.lines_before);
  put(out, header.bytes_before);
  set_check(out, start + kCheckAt, start + kCheckAt + 4);
}

std::size_t record_bytes(const LogEntry& entry) {
  return kRecordHeaderBytes +
         (entry.is_gap() ? kGapBytes : std::min(entry.text.size(), kLineBytesMax));
}

void append_record(std::string& out, std::uint64_t sequence, const LogEntry& entry) {
  const std::size_t start = out.size();
  const bool cut = !entry.is_gap() && entry.text.size() > kLineBytesMax;
  put<std::uint32_t>(out, static_cast<std::uint32_t>(record_bytes(entry) - kRecordHeaderBytes));
  put<std::uint32_t>(out, 0);
  put(out, sequence);
  put<std::int64_t>(out, unix_ms(entry.time));
  put<std::uint8_t>(out, entry.is_gap() ? kGap : static_cast<std::uint8_t>(entry.stream));
  put<std::uint8_t>(out, cut ? kCutFlag : std::uint8_t{0});
  put<std::uint16_t>(out, 0);
  if (entry.is_gap()) {
    put(out, entry.lines_lost);
    put(out, entry.bytes_lost);
  } else {
    out.append(entry.text, 0, kLineBytesMax);
  }
  set_check(out, start + 4, start + 8);
}

Result<SegmentReader> SegmentReader::open(std::string_view data) {
  const bool is_ours = data.size() >= kSegmentHeaderBytes &&
                       data.substr(0, kSegmentMagic.size()) == kSegmentMagic &&
                       get<std::uint32_t>(data, kCheckAt) ==
                           check_of(data.substr(kCheckAt + 4, kSegmentHeaderBytes - kCheckAt - 4));
  if (!is_ours) return fail(Code::kInvalidArgument, "no segment of a log");
  if (get<std::uint32_t>(data, kSegmentMagic.size()) != kSegmentFormat)
    return fail(Code::kInvalidArgument, "a segment of another format");
  SegmentReader reader(data);
  reader.header_.job = get<std::uint64_t>(data, 16);
  reader.header_.attempt = get<std::uint32_t>(data, 24);
  reader.header_.rank = get<std::uint32_t>(data, 28);
  reader.header_.number = get<std::uint64_t>(data, 32);
  reader.header_.lines_before = get<std::uint64_t>(data, 40);
  reader.header_.bytes_before = get<std::uint64_t>(data, 48);
  return reader;
}

std::optional<LogItem> SegmentReader::next() {
  if (data_.size() - at_ < kRecordHeaderBytes) return std::nullopt;
  const std::size_t length = get<std::uint32_t>(data_, at_);
  if (length > kLineBytesMax || data_.size() - at_ - kRecordHeaderBytes < length)
    return std::nullopt;
  const std::string_view record = data_.substr(at_, kRecordHeaderBytes + length);
  if (get<std::uint32_t>(record, 4) != check_of(record.substr(8))) return std::nullopt;
  const auto kind = get<std::uint8_t>(record, 24);
  if (kind == 0 || kind > kGap || (kind == kGap && length != kGapBytes)) return std::nullopt;
  LogItem item;
  item.sequence = get<std::uint64_t>(record, 8);
  item.entry.attempt = header_.attempt;
  item.entry.rank = header_.rank;
  item.entry.time = time_from_unix_ms(get<std::int64_t>(record, 16));
  if (kind == kGap) {
    item.entry.stream = Stream::kSystem;
    item.entry.lines_lost = get<std::uint64_t>(record, kRecordHeaderBytes);
    item.entry.bytes_lost = get<std::uint64_t>(record, kRecordHeaderBytes + 8);
  } else {
    item.entry.stream = static_cast<Stream>(kind);
    item.cut = (get<std::uint8_t>(record, 25) & kCutFlag) != 0;
    item.entry.text = record.substr(kRecordHeaderBytes);
  }
  at_ += record.size();
  return item;
}

}  // namespace overwinter::telemetry
