#include "coordinator/store/commit_witness.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "common/base/log.h"
#include "coordinator/store/row.h"

namespace overwinter::store {
namespace {

// Magic, sequence, time, hash of the turn, and the first 8 bytes of SHA-256 over all that.
constexpr std::string_view kMagic = "OWC1";
constexpr std::size_t kNumberBytes = sizeof(std::uint64_t);
constexpr std::size_t kTimeAt = kMagic.size() + kNumberBytes;
constexpr std::size_t kHashAt = kTimeAt + kNumberBytes;
constexpr std::size_t kSumAt = kHashAt + sizeof(Digest::bytes);
using Record = std::array<char, kSumAt + kNumberBytes>;

void put(Record& record, std::size_t at, std::uint64_t value) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    record[at + i] = static_cast<char>((value >> (8 * i)) & 0xff);
  }
}

std::uint64_t get(const Record& record, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(record[at + i])} << (8 * i);
  }
  return value;
}

std::uint64_t record_sum(const Record& record) {
  RowSum sum;
  sum.add(std::string_view(record.data(), kSumAt));
  return static_cast<std::uint64_t>(sum.value());
}

Record encode(const LogHead& head) {
  Record record{};
  std::memcpy(record.data(), kMagic.data(), kMagic.size());
  put(record, kMagic.size(), head.sequence);
  put(record, kTimeAt, static_cast<std::uint64_t>(unix_ms(head.time)));
  std::memcpy(&record[kHashAt], head.hash.bytes.data(), head.hash.bytes.size());
  put(record, kSumAt, record_sum(record));
  return record;
}

std::optional<LogHead> decode(const Record& record) {
  if (std::memcmp(record.data(), kMagic.data(), kMagic.size()) != 0 ||
      get(record, kSumAt) != record_sum(record)) {
    return std::nullopt;
  }
  LogHead head;
  head.sequence = get(record, kMagic.size());
  head.time = time_from_unix_ms(static_cast<std::int64_t>(get(record, kTimeAt)));
  std::memcpy(head.hash.bytes.data(), &record[kHashAt], head.hash.bytes.size());
  return head;
}

}  // namespace

Result<CommitWitness> CommitWitness::open(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) {
    return fail(Code::kInternal, "cannot open " + file.string() + ": " + std::strerror(errno));
  }
  CommitWitness witness(descriptor);
  Record record{};
  const ssize_t size = ::pread(descriptor, record.data(), record.size(), 0);
  if (size == static_cast<ssize_t>(record.size())) witness.said_ = decode(record);
  if (size > 0 && !witness.said_) {
    log_warning("{} cannot be read: the log is trusted without it", file.string());
  }
  return witness;
}

CommitWitness::CommitWitness(CommitWitness&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), said_(other.said_) {}

CommitWitness& CommitWitness::operator=(CommitWitness&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(said_, other.said_);
  return *this;
}

CommitWitness::~CommitWitness() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void CommitWitness::note(const LogHead& head) {
  const Record record = encode(head);
  if (::pwrite(descriptor_, record.data(), record.size(), 0) !=
      static_cast<ssize_t>(record.size())) {
    log_warning("the witness of turn {} was not written: {}", head.sequence, std::strerror(errno));
  }
}

Status CommitWitness::check_row(const TurnRow& row) const {
  if (!said_ || row.sequence != said_->sequence || row.hash == said_->hash) {
    return Status::success();
  }
  return error(Code::kDataLoss,
               "turn " + std::to_string(row.sequence) + " is not the one that was committed", "log",
               "restore the newest backup");
}

Status CommitWitness::check_end(const LogHead& head) const {
  if (!said_ || head.sequence >= said_->sequence) return Status::success();
  return error(
      Code::kDataLoss,
      "turn " + std::to_string(head.sequence + 1) + " was durable and is damaged or gone", "log",
      "restore the newest backup; to go on without that turn, remove the file \"committed\" "
      "of the store's folder");
}

}  // namespace overwinter::store
