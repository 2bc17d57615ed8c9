#include "coordinator/rpc/stream_registry.h"

namespace overwinter::rpc {

std::uint64_t StreamRegistry::add(PrincipalKind kind, std::uint64_t id,
                                  std::function<void(const Status&)> end) {
  MutexLock lock(mutex_);
  const std::uint64_t stream = next_++;
  streams_.emplace(stream, Stream{kind, id, std::move(end)});
  return stream;
}

void StreamRegistry::remove(std::uint64_t stream) {
  MutexLock lock(mutex_);
  streams_.erase(stream);
}

void StreamRegistry::end_all(PrincipalKind kind, std::uint64_t id, const Status& status) {
  MutexLock lock(mutex_);
  for (auto& [number, stream] : streams_) {
    if (stream.kind != kind || stream.id != id || !stream.end) continue;
    stream.end(status);
    stream.end = nullptr;
  }
}

void StreamRegistry::end_everything(const Status& status) {
  MutexLock lock(mutex_);
  for (auto& [number, stream] : streams_) {
    if (!stream.end) continue;
    stream.end(status);
    stream.end = nullptr;
  }
}

std::size_t StreamRegistry::size() const {
  MutexLock lock(mutex_);
  return streams_.size();
}

}  // namespace overwinter::rpc
