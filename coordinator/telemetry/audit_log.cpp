#include "coordinator/telemetry/audit_log.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/security/file_io.h"

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::string_view kAuditFormatLine = "overwinter-audit 1\n";
constexpr auto kReaderPatience = std::chrono::seconds(2);

Status check_audit_format(const fs::path& root) {
  if (Status status = ensure_private_folder(root); !status.ok()) return status;
  const fs::path file = root / "FORMAT";
  const auto format = read_file(file, 64);
  if (format && *format == kAuditFormatLine) return Status::success();
  if (!format && format.error().code == Code::kNotFound) {
    return write_file_atomically(file, kAuditFormatLine);
  }
  return error(Code::kFailedPrecondition,
               root.string() + " was written by another version of this program");
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(const fs::path& root,
                                                 const AuditLogConfig& config) {
  if (Status status = check_audit_format(root); !status.ok()) return fail(std::move(status));
  auto refusals = AuditSegments::open(root, "refusals", {config.segment_bytes, false});
  if (!refusals) return fail(std::move(refusals.error()));
  auto decisions = AuditSegments::open(root, "decisions", {config.segment_bytes, true});
  if (!decisions) return fail(std::move(decisions.error()));
  return std::unique_ptr<AuditLog>(
      new AuditLog(std::move(*refusals), std::move(*decisions), config));
}

AuditLog::AuditLog(std::unique_ptr<AuditSegments> refusals,
                   std::unique_ptr<AuditSegments> decisions, const AuditLogConfig& config)
    : refusals_(std::move(refusals)),
      decisions_(std::move(decisions)),
      config_(config),
      limiter_(config.limits),
      last_key_(std::max(refusals_->last_key(), decisions_->last_key())),
      thread_([this] { run(); }) {}

AuditLog::~AuditLog() {
  {
    MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void AuditLog::queue(std::vector<AuditEvent> events, std::size_t room) {
  for (AuditEvent& event : events) {
    if (queue_.size() >= room) {
      ++lost_;
      continue;
    }
    queue_.push_back(std::move(event));
    ++queued_;
  }
}

void AuditLog::refused(AuditEvent refusal) {
  const auto code = static_cast<std::size_t>(refusal.code);
  ++counts_.at(static_cast<std::size_t>(refusal.door)).at(std::min(code, kCodes - 1));
  {
    MutexLock lock(mutex_);
    newest_ = std::max(newest_, refusal.time);
    newest_at_ = steady_clock::now();
    auto line = limiter_.take(std::move(refusal));
    // The thread sleeps on while a flood is only counted.
    if (!line && is_timed_) return;
    if (line) {
      std::vector<AuditEvent> one;
      one.push_back(std::move(*line));
      queue(std::move(one), config_.queue_max / 2);
    }
  }
  changed_.notify_all();
}

void AuditLog::decided(AuditEvent decision) {
  {
    MutexLock lock(mutex_);
    std::vector<AuditEvent> one;
    one.push_back(std::move(decision));
    queue(std::move(one), config_.queue_max);
  }
  changed_.notify_all();
}

// False: closed, and nothing is left.
bool AuditLog::next(std::vector<AuditEvent>& batch) {
  MutexLock lock(mutex_);
  for (;;) {
    if (queue_.empty()) {
      const Time now =
          newest_ + std::chrono::duration_cast<Duration>(steady_clock::now() - newest_at_);
      queue(closed_ ? limiter_.drain() : limiter_.due(now), config_.queue_max);
    }
    if (!queue_.empty()) {
      batch.clear();
      batch.swap(queue_);
      return true;
    }
    if (closed_) return false;
    const auto due = limiter_.next_due();
    is_timed_ = due.has_value();
    if (due) {
      changed_.wait_until(mutex_, newest_at_ + (*due - newest_));
    } else {
      changed_.wait(mutex_);
    }
  }
}

void AuditLog::run() {
  std::vector<AuditEvent> batch;
  while (next(batch)) {
    const std::size_t count = batch.size();
    write(std::move(batch));
    {
      MutexLock lock(mutex_);
      written_ += count;
    }
    changed_.notify_all();
  }
}

void AuditLog::write(std::vector<AuditEvent> batch) {
  std::vector<AuditItem> refusals;
  std::vector<AuditItem> decisions;
  for (AuditEvent& event : batch) {
    const auto time_us =
        static_cast<std::uint64_t>(std::max<std::int64_t>(unix_ms(event.time), 0)) * 1000;
    last_key_ = std::max(last_key_ + 1, time_us);
    (event.code == Code::kOk ? decisions : refusals).push_back({last_key_, std::move(event)});
  }
  for (const auto& [segments, items] :
       {std::pair(refusals_.get(), &refusals), std::pair(decisions_.get(), &decisions)}) {
    if (items->empty()) continue;
    if (const Status status = segments->append(*items); !status.ok()) {
      lost_ += items->size();
      log_warning("{} lines of the audit are lost: {}", items->size(), status.message);
    }
  }
}

// Bounded: a reader whose disk hangs sees what has been written.
void AuditLog::wait_until_written() {
  const auto until = steady_clock::now() + kReaderPatience;
  MutexLock lock(mutex_);
  const std::uint64_t wanted = queued_;
  while (written_ < wanted) {
    if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) return;
  }
}

std::vector<AuditItem> AuditLog::read_refusals(
    std::uint64_t below, std::size_t max, const std::function<bool(const AuditItem&)>& wanted) {
  wait_until_written();
  return refusals_->read(below, max, wanted);
}

std::vector<AuditItem> AuditLog::read_decisions(
    std::uint64_t below, std::size_t max, const std::function<bool(const AuditItem&)>& wanted) {
  wait_until_written();
  return decisions_->read(below, max, wanted);
}

}  // namespace overwinter::telemetry
