#include "tests/bench/trace_side.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include "tests/bench/child.h"
#include "tests/bench/report.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/pool_resource.h"
#include "worker/memory/trace_replay.h"

namespace overwinter::bench {
namespace {

constexpr std::array kNames = {"nothing", "malloc", "jemalloc", "pool"};
constexpr const char* kJemalloc = "libjemalloc.so.2";
constexpr std::size_t kPlays = 31;
constexpr std::uint32_t kRoundsAPlay = 4;

// What the replay itself takes: blocks that are no memory.
class Nothing final : public worker::MemoryResource {
 public:
  Result<void*> allocate(std::size_t /*bytes*/, std::size_t /*alignment*/) override {
    return &place_;
  }
  void deallocate(void* /*memory*/, std::size_t /*bytes*/,
                  std::size_t /*alignment*/) noexcept override {}

 private:
  char place_ = 0;
};

// Of the C library, or of what is preloaded before it.
class Malloc final : public worker::MemoryResource {
 public:
  Result<void*> allocate(std::size_t bytes, std::size_t alignment) override {
    if (alignment <= alignof(std::max_align_t)) return std::malloc(bytes);
    return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  }
  void deallocate(void* memory, std::size_t /*bytes*/,
                  std::size_t /*alignment*/) noexcept override {
    std::free(memory);
  }
};

Result<worker::MemoryTrace> trace_of(const std::string& file, std::uint32_t alignment) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  auto trace = worker::read_trace(std::as_bytes(std::span(bytes.data(), bytes.size())));
  if (!trace) return trace;
  for (worker::TraceEvent& event : trace->events)
    event.alignment = std::max(event.alignment, alignment);
  return trace;
}

// Plays are short, so that most of them are not interrupted on a machine that does other things
// too.
Result<double> median_ns(const worker::MemoryTrace& trace, worker::MemoryResource& resource) {
  std::vector<double> plays;
  for (std::size_t i = 0; i <= kPlays; ++i) {
    const auto report = worker::replay(trace, resource, {.rounds = kRoundsAPlay, .touch = false});
    if (!report) return fail(report.error());
    if (i > 0) plays.push_back(report->thread_seconds / static_cast<double>(report->moves) * 1e9);
  }
  return summarize(plays).median;
}

Result<TracePlay> measure(const worker::MemoryTrace& trace, const std::string& allocator) {
  TracePlay out;
  worker::HostResource host;
  worker::PoolResource pool(host);
  Nothing nothing;
  Malloc from_library;
  worker::MemoryResource* resource = &from_library;
  if (allocator == "nothing") resource = &nothing;
  if (allocator == "pool") {
    resource = &pool;
    if (Status played = worker::replay_in_order(trace, pool); !played.ok()) return fail(played);
    out.held_share = static_cast<double>(pool.statistics().held_peak_bytes) /
                     static_cast<double>(trace.peak_bytes());
  }
  const std::uint64_t calls = pool.statistics().upstream_allocations;
  const auto ns = median_ns(trace, *resource);
  if (!ns) return fail(ns.error());
  out.ns_a_move = *ns;
  out.again_calls = static_cast<double>(pool.statistics().upstream_allocations - calls);
  return out;
}

bool has_library(const char* name) {
  for (const char* folder : {"/usr/lib/x86_64-linux-gnu/", "/usr/lib64/", "/usr/lib/"}) {
    if (std::filesystem::exists(std::string(folder) + name)) return true;
  }
  return false;
}

}  // namespace

int play_trace(const std::string& file, const std::string& allocator, std::uint32_t alignment) {
  const auto trace = trace_of(file, alignment);
  const auto play = trace ? measure(*trace, allocator) : Result<TracePlay>(fail(trace.error()));
  if (!play) {
    std::fprintf(stderr, "overwinter-bench: %s\n", play.error().message.c_str());
    return 1;
  }
  std::printf("%.6f %.6f %.0f\n", play->ns_a_move, play->held_share, play->again_calls);
  return 0;
}

Result<TracePlay> trace_play(const std::string& file, Allocator allocator,
                             std::uint32_t alignment) {
  Environment environment;
  if (allocator == Allocator::kJemalloc) {
    if (!has_library(kJemalloc))
      return fail(Code::kUnavailable, fmt::format("{} is not installed (libjemalloc2)", kJemalloc));
    environment["LD_PRELOAD"] = kJemalloc;
  }
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const auto done =
      run_program({self.string(), "--play-trace", file, kNames[static_cast<std::size_t>(allocator)],
                   std::to_string(alignment)},
                  environment, "");
  if (!done) return fail(done.error());
  TracePlay play;
  std::istringstream said(done->output);
  if (done->exit_code != 0 || !(said >> play.ns_a_move >> play.held_share >> play.again_calls))
    return fail(Code::kInternal, "a side could not play the trace " + file);
  return play;
}

}  // namespace overwinter::bench
