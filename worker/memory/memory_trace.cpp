#include "worker/memory/memory_trace.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <string_view>

namespace overwinter::worker {
namespace {

constexpr std::string_view kTraceMagic = "OWTRACE1";
constexpr unsigned kAlignmentBitsMax = 12;
constexpr std::size_t kEventBytesMin = 2;

void append_number(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
  out.push_back(static_cast<char>(number));
}

class TraceBytes {
 public:
  explicit TraceBytes(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  bool skip(std::string_view text) {
    if (left() < text.size()) return false;
    const bool same = std::equal(text.begin(), text.end(), bytes_.begin(), [](char c, std::byte b) {
      return static_cast<std::byte>(c) == b;
    });
    if (same) at_ += text.size();
    return same;
  }
  // Nothing: the bytes are at an end, or the number has more than 64 bits.
  std::optional<std::uint64_t> number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && left() > 0; shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(bytes_[at_++]);
      if (shift == 63 && byte > 1) return std::nullopt;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

Status trace_error(const TraceBytes& bytes, const std::string& what) {
  return error(Code::kInvalidArgument,
               "The trace of memory is wrong at byte " + std::to_string(bytes.at()) + ": " + what);
}

// Reads the events of one trace; keeps what is live.
class TraceReader {
 public:
  TraceReader(TraceBytes& bytes, MemoryTrace& trace) : bytes_(bytes), trace_(trace) {}

  Status event() {
    const auto who = bytes_.number();
    if (!who || *who / 2 >= trace_.threads) return trace_error(bytes_, "there is no such thread.");
    const auto thread = static_cast<std::uint32_t>(*who / 2);
    return *who % 2 == 0 ? allocation(thread) : freeing(thread);
  }

 private:
  Status allocation(std::uint32_t thread) {
    const auto size = bytes_.number();
    if (!size || *size == 0) return trace_error(bytes_, "a block has a size.");
    const auto bits = bytes_.number();
    if (!bits || *bits > kAlignmentBitsMax)
      return trace_error(bytes_, "an alignment is a power of two to 4096.");
    allocations_.push_back(trace_.events.size());
    freed_.push_back(false);
    trace_.events.push_back({false, thread, trace_.blocks++, *size, 1U << *bits});
    return Status::success();
  }

  Status freeing(std::uint32_t thread) {
    const auto since = bytes_.number();
    if (!since || *since >= allocations_.size())
      return trace_error(bytes_, "what is freed was never allocated.");
    const std::size_t block = allocations_.size() - 1 - *since;
    if (freed_[block]) return trace_error(bytes_, "a block is freed twice.");
    freed_[block] = true;
    TraceEvent event = trace_.events[allocations_[block]];
    event.frees = true;
    event.thread = thread;
    trace_.events.push_back(event);
    return Status::success();
  }

  TraceBytes& bytes_;
  MemoryTrace& trace_;
  std::vector<std::size_t> allocations_;  // index of each block's event
  std::vector<bool> freed_;
};

}  // namespace

std::uint64_t MemoryTrace::peak_bytes() const {
  std::uint64_t live = 0;
  std::uint64_t peak = 0;
  for (const TraceEvent& event : events) {
    live = event.frees ? live - event.bytes : live + event.bytes;
    peak = std::max(peak, live);
  }
  return peak;
}

std::string write_trace(const MemoryTrace& trace) {
  std::string out(kTraceMagic);
  append_number(out, trace.threads);
  append_number(out, trace.events.size());
  std::uint32_t blocks = 0;
  for (const TraceEvent& event : trace.events) {
    append_number(out, 2 * std::uint64_t{event.thread} + (event.frees ? 1 : 0));
    if (event.frees) {
      append_number(out, blocks - 1 - event.block);
      continue;
    }
    ++blocks;
    append_number(out, event.bytes);
    append_number(out, static_cast<std::uint64_t>(std::countr_zero(event.alignment)));
  }
  return out;
}

Result<MemoryTrace> read_trace(std::span<const std::byte> file) {
  TraceBytes bytes(file);
  if (!bytes.skip(kTraceMagic)) return fail(trace_error(bytes, "it does not begin as one."));
  const auto threads = bytes.number();
  const auto events = bytes.number();
  if (!threads || *threads > kTraceThreadsMax)
    return fail(trace_error(bytes, "there are too many threads."));
  if (!events || *events > std::min<std::size_t>(bytes.left() / kEventBytesMin, kTraceEventsMax))
    return fail(trace_error(bytes, "it has not as many events as it says."));
  MemoryTrace trace;
  trace.threads = static_cast<std::uint32_t>(*threads);
  trace.events.reserve(*events);
  TraceReader reader(bytes, trace);
  for (std::uint64_t i = 0; i < *events; ++i) {
    if (Status read = reader.event(); !read.ok()) return fail(std::move(read));
  }
  if (bytes.left() != 0) return fail(trace_error(bytes, "it goes on behind its end."));
  return trace;
}

void TraceRecorder::note(const MemoryMove& move) {
  if (move.memory == nullptr || move.kind == MemoryMove::Kind::kRefuse) return;
  const MutexLock lock(mutex_);
  if (trace_.events.size() >= kTraceEventsMax) return;
  const auto known = threads_.find(std::this_thread::get_id());
  if (known == threads_.end() && threads_.size() >= kTraceThreadsMax) return;
  const std::uint32_t thread = known != threads_.end() ? known->second : trace_.threads++;
  if (known == threads_.end()) threads_[std::this_thread::get_id()] = thread;
  if (move.kind == MemoryMove::Kind::kAllocate) {
    live_[move.memory] = static_cast<std::uint32_t>(trace_.events.size());
    trace_.events.push_back(
        {false, thread, trace_.blocks++, move.bytes, static_cast<std::uint32_t>(move.alignment)});
    return;
  }
  const auto at = live_.find(move.memory);
  if (at == live_.end()) return;
  TraceEvent event = trace_.events[at->second];
  live_.erase(at);
  event.frees = true;
  event.thread = thread;
  trace_.events.push_back(event);
}

MemoryTrace TraceRecorder::trace() const {
  const MutexLock lock(mutex_);
  return trace_;
}

}  // namespace overwinter::worker
