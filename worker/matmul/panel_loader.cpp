#include "worker/matmul/panel_loader.h"

#include <algorithm>
#include <limits>

namespace overwinter::worker {
namespace {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

}  // namespace

Result<std::unique_ptr<PanelLoader>> PanelLoader::make(MemoryResource& memory, std::uint32_t slots,
                                                       std::uint64_t slot_bytes, Load load) {
  std::unique_ptr<PanelLoader> loader(new PanelLoader(std::move(load)));
  {
    const MutexLock lock(loader->mutex_);
    for (std::uint32_t i = 0; i < std::max(slots, 1U); ++i) {
      auto buffer = Buffer::make(memory, slot_bytes);
      if (!buffer) return fail(buffer.error());
      Slot slot;
      slot.buffer = std::move(*buffer);
      loader->slots_.push_back(std::move(slot));
    }
  }
  loader->thread_ =
      std::jthread([self = loader.get()](const std::stop_token& stop) { self->run(stop); });
  return loader;
}

PanelLoader::~PanelLoader() {
  thread_.request_stop();
  changed_.notify_all();
}

void PanelLoader::plan(std::vector<PanelKey> upcoming) {
  {
    const MutexLock lock(mutex_);
    upcoming_ = std::move(upcoming);
  }
  changed_.notify_all();
}

Result<const std::byte*> PanelLoader::acquire(const PanelKey& key, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (next_use(key) == kNever) {
    upcoming_.insert(upcoming_.begin(), key);
    changed_.notify_all();
  }
  const std::byte* data = nullptr;
  const auto there = [&] {
    if (!failed_.ok()) return true;
    Slot* slot = slot_of(key);
    if (slot == nullptr || slot->state != State::kLoaded) return false;
    ++slot->pins;
    data = slot->buffer.data();
    return true;
  };
  if (!changed_.wait(lock, stop, there)) return fail(Code::kCancelled, "the work was given up");
  if (data == nullptr) return fail(failed_);
  return data;
}

void PanelLoader::release(const PanelKey& key) {
  {
    const MutexLock lock(mutex_);
    if (Slot* slot = slot_of(key); slot != nullptr && slot->pins > 0) --slot->pins;
  }
  changed_.notify_all();
}

std::uint64_t PanelLoader::loads() const {
  const MutexLock lock(mutex_);
  return loads_;
}

PanelLoader::Slot* PanelLoader::slot_of(const PanelKey& key) {
  for (Slot& slot : slots_) {
    if (slot.state != State::kEmpty && slot.key == key) return &slot;
  }
  return nullptr;
}

std::size_t PanelLoader::next_use(const PanelKey& key) const {
  const auto at = std::find(upcoming_.begin(), upcoming_.end(), key);
  return at == upcoming_.end() ? kNever : static_cast<std::size_t>(at - upcoming_.begin());
}

std::optional<std::pair<PanelLoader::Slot*, PanelKey>> PanelLoader::next() {
  for (std::size_t use = 0; use < upcoming_.size(); ++use) {
    const PanelKey& wanted = upcoming_[use];
    if (slot_of(wanted) != nullptr) continue;
    Slot* best = nullptr;
    std::size_t best_use = use;
    for (Slot& slot : slots_) {
      if (slot.state == State::kEmpty) return std::pair(&slot, wanted);
      if (slot.pins > 0 || slot.state == State::kLoading) continue;
      const std::size_t needed = next_use(slot.key);
      if (needed > best_use) {
        best_use = needed;
        best = &slot;
      }
    }
    // Blocks are taken in the order of their use: when this one has no slot, no later one gets one.
    if (best == nullptr) return std::nullopt;
    return std::pair(best, wanted);
  }
  return std::nullopt;
}

void PanelLoader::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    std::optional<std::pair<Slot*, PanelKey>> todo;
    if (!changed_.wait(lock, stop, [&] { return (todo = next()).has_value(); })) return;
    Slot& slot = *todo->first;
    slot.state = State::kLoading;
    slot.key = todo->second;
    ++loads_;
    const PanelKey key = slot.key;
    std::byte* data = slot.buffer.data();
    lock.unlock();
    Status loaded = load_(key, data, stop);
    lock.lock();
    if (loaded.ok()) {
      slot.state = State::kLoaded;
    } else {
      slot.state = State::kEmpty;
      if (stop.stop_requested()) return;
      failed_ = std::move(loaded);
      changed_.notify_all();
      return;
    }
    changed_.notify_all();
  }
}

}  // namespace overwinter::worker
