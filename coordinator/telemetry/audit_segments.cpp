#include "coordinator/telemetry/audit_segments.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "common/security/file_io.h"
#include "coordinator/telemetry/little_endian.h"

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAuditMagic = "OWAUDITS";
constexpr std::uint32_t kAuditFormat = 1;
constexpr std::size_t kAuditHeaderBytes = 56;
constexpr std::size_t kChainBytes = 32;  // of the header: kept for the hash of the one before
constexpr std::size_t kAuditRecordBytes = 32;
constexpr std::size_t kTexts = 9;
constexpr std::size_t kRecordTextMax = kTexts * (kAuditTextBytesMax + 2);
constexpr std::size_t kSegmentsMax = 2;

std::uint32_t audit_check(std::string_view data) {
  return static_cast<std::uint32_t>(XXH3_64bits(data.data(), data.size()));
}

void put_audit_check(std::string& out, std::size_t at) {
  const std::uint32_t check = audit_check(std::string_view(out).substr(at + 4));
  for (std::size_t i = 0; i < 4; ++i) out[at + i] = static_cast<char>((check >> (8 * i)) & 0xFF);
}

std::string audit_header(std::uint64_t number) {
  std::string out(kAuditMagic);
  put(out, kAuditFormat);
  put<std::uint32_t>(out, 0);
  put(out, number);
  out.append(kChainBytes, '\0');
  put_audit_check(out, 12);
  return out;
}

// The texts of an event in the order in which they are kept.
template <class Event>
auto texts_of(Event& event) {
  return std::array{&event.project, &event.actor,  &event.actor_name, &event.role,  &event.action,
                    &event.object,  &event.before, &event.after,      &event.reason};
}

void append_text(std::string& out, std::string_view text) {
  if (text.size() > kAuditTextBytesMax) {
    std::size_t end = kAuditTextBytesMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text = text.substr(0, end);
  }
  put<std::uint16_t>(out, static_cast<std::uint16_t>(text.size()));
  out += text;
}

std::string audit_record(const AuditItem& item) {
  const AuditEvent& event = item.event;
  std::string out;
  put<std::uint32_t>(out, 0);
  put<std::uint32_t>(out, 0);
  put(out, item.key);
  put<std::int64_t>(out, unix_ms(event.time));
  put(out, event.repeated);
  put<std::uint8_t>(out, static_cast<std::uint8_t>(event.door));
  put<std::uint8_t>(out, static_cast<std::uint8_t>(event.code));
  put<std::uint16_t>(out, 0);
  for (const std::string* text : texts_of(event)) append_text(out, *text);
  append_text(out, event.address);
  const auto length = static_cast<std::uint32_t>(out.size() - kAuditRecordBytes);
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<char>((length >> (8 * i)) & 0xFF);
  put_audit_check(out, 4);
  return out;
}

bool take_text(std::string_view& rest, std::string& out) {
  if (rest.size() < 2) return false;
  const std::size_t size = get<std::uint16_t>(rest, 0);
  if (rest.size() - 2 < size || size > kAuditTextBytesMax) return false;
  out = rest.substr(2, size);
  rest.remove_prefix(2 + size);
  return true;
}

// The record that begins there, and how long it is; nothing when it is not whole.
std::optional<std::pair<AuditItem, std::size_t>> read_audit_record(std::string_view data) {
  if (data.size() < kAuditRecordBytes) return std::nullopt;
  const std::size_t length = get<std::uint32_t>(data, 0);
  if (length > kRecordTextMax + kAuditTextBytesMax + 2 ||
      data.size() - kAuditRecordBytes < length) {
    return std::nullopt;
  }
  const std::string_view record = data.substr(0, kAuditRecordBytes + length);
  if (get<std::uint32_t>(record, 4) != audit_check(record.substr(8))) return std::nullopt;
  AuditItem item;
  item.key = get<std::uint64_t>(record, 8);
  item.event.time = time_from_unix_ms(get<std::int64_t>(record, 16));
  item.event.repeated = get<std::uint32_t>(record, 24);
  const auto door = get<std::uint8_t>(record, 28);
  const auto code = get<std::uint8_t>(record, 29);
  if (door >= kDoors || code > static_cast<std::uint8_t>(Code::kUnauthenticated)) {
    return std::nullopt;
  }
  item.event.door = static_cast<Door>(door);
  item.event.code = static_cast<Code>(code);
  std::string_view rest = record.substr(kAuditRecordBytes);
  for (std::string* text : texts_of(item.event)) {
    if (!take_text(rest, *text)) return std::nullopt;
  }
  if (!take_text(rest, item.event.address)) return std::nullopt;
  return std::pair(std::move(item), record.size());
}

// What a segment holds, oldest first, and how many bytes of it are good: 0 when it is none of ours.
std::vector<AuditItem> items_of(std::string_view data, std::uint64_t number, std::size_t& good) {
  std::vector<AuditItem> items;
  good = 0;
  if (data.substr(0, kAuditHeaderBytes) != audit_header(number)) return items;
  good = kAuditHeaderBytes;
  while (auto record = read_audit_record(data.substr(good))) {
    good += record->second;
    items.push_back(std::move(record->first));
  }
  return items;
}

// N of NAME-N.log.
std::optional<std::uint64_t> number_of(std::string_view file, std::string_view name) {
  constexpr std::string_view kEnd = ".log";
  if (file.size() <= name.size() + 1 + kEnd.size() || !file.starts_with(name) ||
      file[name.size()] != '-' || !file.ends_with(kEnd)) {
    return std::nullopt;
  }
  file.remove_prefix(name.size() + 1);
  file.remove_suffix(kEnd.size());
  std::uint64_t number = 0;
  const auto [end, parsed] = std::from_chars(file.data(), file.data() + file.size(), number);
  if (parsed != std::errc() || end != file.data() + file.size()) return std::nullopt;
  return number;
}

}  // namespace

fs::path AuditSegments::path_of(std::uint64_t number) const {
  return folder_ / (name_ + "-" + std::to_string(number) + ".log");
}

Result<std::unique_ptr<AuditSegments>> AuditSegments::open(const fs::path& folder,
                                                           const std::string& name,
                                                           const AuditSegmentsConfig& config) {
  std::unique_ptr<AuditSegments> out(new AuditSegments(folder, name, config));
  MutexLock lock(out->mutex_);
  if (Status status = out->load(); !status.ok()) return fail(std::move(status));
  return out;
}

Status AuditSegments::load() {
  std::vector<std::uint64_t> numbers;
  std::error_code failed;
  for (fs::directory_iterator at(folder_, failed), end; !failed && at != end;
       at.increment(failed)) {
    if (const auto number = number_of(at->path().filename().string(), name_)) {
      numbers.push_back(*number);
    }
  }
  if (failed) {
    return error(Code::kFailedPrecondition, folder_.string() + ": " + failed.message());
  }
  std::sort(numbers.begin(), numbers.end());
  while (numbers.size() > kSegmentsMax) {
    fs::remove(path_of(numbers.front()), failed);
    numbers.erase(numbers.begin());
  }
  for (const std::uint64_t number : numbers) {
    Segment segment{number, 0};
    const auto data = read_file(path_of(number), config_.segment_bytes * 2);
    const auto items = items_of(data ? std::string_view(*data) : "", number, segment.bytes);
    if (!items.empty()) last_key_ = std::max(last_key_, items.back().key);
    segments_.push_back(segment);
  }
  if (segments_.empty() || segments_.back().bytes == 0) return begin_segment();
  const Segment& newest = segments_.back();
  if (::truncate(path_of(newest.number).c_str(), static_cast<off_t>(newest.bytes)) != 0) {
    return error(Code::kInternal,
                 path_of(newest.number).string() + " cannot be cut: " + std::strerror(errno));
  }
  return Status::success();
}

Status AuditSegments::begin_segment() {
  const std::uint64_t number = segments_.empty() ? 1 : segments_.back().number + 1;
  segments_.push_back({number, 0});
  while (segments_.size() > kSegmentsMax) {
    std::error_code ignored;
    fs::remove(path_of(segments_.front().number), ignored);
    segments_.erase(segments_.begin());
  }
  return write(audit_header(number));
}

// At the end of the newest segment.
Status AuditSegments::write(std::string_view data) {
  Segment& newest = segments_.back();
  const fs::path path = path_of(newest.number);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  std::size_t done = 0;
  while (fd >= 0 && done < data.size()) {
    const ssize_t n = ::pwrite(fd, data.data() + done, data.size() - done,
                               static_cast<off_t>(newest.bytes + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  bool whole = fd >= 0 && done == data.size();
  if (whole && config_.sync) whole = ::fdatasync(fd) == 0;
  const int failed = errno;
  if (fd >= 0) ::close(fd);
  if (whole) {
    newest.bytes += data.size();
    return Status::success();
  }
  return error(failed == ENOSPC ? Code::kResourceExhausted : Code::kInternal,
               path.string() + " cannot be written: " + std::strerror(failed));
}

Status AuditSegments::append(std::span<const AuditItem> items) {
  MutexLock lock(mutex_);
  std::string data;
  const auto write_out = [&]() -> Status {
    Status status = data.empty() ? Status::success() : write(data);
    data.clear();
    return status;
  };
  for (const AuditItem& item : items) {
    const std::string record = audit_record(item);
    // Without its header the newest one could not be read: made when the disk has room again.
    if (segments_.back().bytes == 0) {
      if (Status status = write(audit_header(segments_.back().number)); !status.ok()) return status;
    }
    if (segments_.back().bytes + data.size() + record.size() > config_.segment_bytes) {
      if (Status status = write_out(); !status.ok()) return status;
      if (Status status = begin_segment(); !status.ok()) return status;
    }
    data += record;
    last_key_ = std::max(last_key_, item.key);
  }
  return write_out();
}

std::vector<AuditItem> AuditSegments::read(
    std::uint64_t below, std::size_t max,
    const std::function<bool(const AuditItem&)>& wanted) const {
  std::vector<AuditItem> out;
  MutexLock lock(mutex_);
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    const auto data = read_file(path_of(segment->number), config_.segment_bytes * 2);
    if (!data) continue;
    std::size_t good = 0;
    auto items = items_of(std::string_view(*data).substr(0, segment->bytes), segment->number, good);
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
      if (out.size() == max) return out;
      if (item->key < below && wanted(*item)) out.push_back(std::move(*item));
    }
  }
  return out;
}

std::uint64_t AuditSegments::last_key() const {
  MutexLock lock(mutex_);
  return last_key_;
}

std::uint64_t AuditSegments::bytes() const {
  MutexLock lock(mutex_);
  std::uint64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.bytes;
  return sum;
}

}  // namespace overwinter::telemetry
