#include "coordinator/artifacts/tile_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace overwinter::artifacts {

TileBuffer::TileBuffer(TileSink* sink, const Delivery& delivery, std::size_t size)
    : sink_(sink),
      delivery_(delivery),
      size_(size),
      memory_(std::make_unique_for_overwrite<std::byte[]>(size)) {}

TileBuffer::TileBuffer(TileBuffer&& other) noexcept
    : sink_(std::exchange(other.sink_, nullptr)),
      delivery_(other.delivery_),
      size_(other.size_),
      filled_(other.filled_),
      memory_(std::move(other.memory_)) {}

TileBuffer& TileBuffer::operator=(TileBuffer&& other) noexcept {
  if (this == &other) return *this;
  release();
  sink_ = std::exchange(other.sink_, nullptr);
  delivery_ = other.delivery_;
  size_ = other.size_;
  filled_ = other.filled_;
  memory_ = std::move(other.memory_);
  return *this;
}

TileBuffer::~TileBuffer() {
  release();
}

void TileBuffer::release() {
  if (sink_ == nullptr) return;
  memory_.reset();
  std::exchange(sink_, nullptr)->give_back(size_);
}

Status TileBuffer::append(std::span<const std::byte> data) {
  if (data.size() > size_ - filled_)
    return error(Code::kInvalidArgument,
                 fmt::format("Tile {} is longer than its {} bytes.", delivery_.unit, size_));
  if (!data.empty()) std::memcpy(memory_.get() + filled_, data.data(), data.size());
  filled_ += data.size();
  return Status::success();
}

TileSink::TileSink(ResultStore& store, TileVerifier& verifier, LandedFn on_landed,
                   const TileSinkConfig& config)
    : store_(store), verifier_(verifier), on_landed_(std::move(on_landed)), config_(config) {}

TileSink::~TileSink() {
  MutexLock lock(mutex_);
  check(held_ == 0, "a tile outlives its sink");
}

Status TileSink::admit(const Delivery& delivery, std::uint64_t size_bytes) const {
  const Result<bool> landed = store_.has_landed(delivery.seat.job, delivery.unit);
  if (!landed) return landed.error();
  if (*landed)
    return error(Code::kAlreadyExists, fmt::format("Unit {} is done already.", delivery.unit));
  const Result<ResultSpec> spec = store_.spec(delivery.seat.job);
  if (!spec) return spec.error();
  if (const std::uint64_t wanted = spec->tile_bytes(delivery.unit); size_bytes != wanted)
    return error(Code::kInvalidArgument, fmt::format("Tile {} has {} bytes, and {} were announced.",
                                                     delivery.unit, wanted, size_bytes));
  if (size_bytes > config_.memory_bytes_max)
    return error(Code::kResourceExhausted,
                 fmt::format("A tile of {} does not fit into the {} that hold tiles here.",
                             format_bytes(size_bytes), format_bytes(config_.memory_bytes_max)));
  return Status::success();
}

void TileSink::begin(const Delivery& delivery, std::uint64_t size_bytes, BeginFn begin) {
  if (Status status = admit(delivery, size_bytes); !status.ok()) {
    if (status.code == Code::kAlreadyExists) on_landed_({delivery});
    begin(fail(std::move(status)));
    return;
  }
  const auto size = static_cast<std::size_t>(size_bytes);
  bool room = false;
  {
    MutexLock lock(mutex_);
    // Who waits already goes first, even when a smaller tile would fit now.
    room = queue_.empty() && size <= config_.memory_bytes_max - held_;
    if (room) {
      held_ += size;
    } else if (queue_.size() < config_.waiting_max) {
      queue_.push_back({delivery, size, std::move(begin)});
      return;
    }
  }
  if (room) {
    begin(TileBuffer(this, delivery, size));
    return;
  }
  begin(fail(
      Code::kResourceExhausted,
      fmt::format("{} tiles wait for memory already, which is the most.", config_.waiting_max)));
}

// Only one thread serves at a time, and a buffer that is destroyed inside begin() does not nest.
void TileSink::give_back(std::size_t size) {
  mutex_.lock();
  held_ -= size;
  if (serving_) {
    mutex_.unlock();
    return;
  }
  serving_ = true;
  while (!queue_.empty() && queue_.front().size <= config_.memory_bytes_max - held_) {
    Waiting first = std::move(queue_.front());
    queue_.pop_front();
    held_ += first.size;
    mutex_.unlock();
    first.begin(TileBuffer(this, first.delivery, first.size));
    mutex_.lock();
  }
  serving_ = false;
  mutex_.unlock();
}

void TileSink::land(TileBuffer tile, DoneFn done) {
  const Delivery delivery = tile.delivery();
  const JobId job = delivery.seat.job;
  if (!tile.full()) {
    done(fail(Code::kInvalidArgument,
              fmt::format("Tile {} ended after {} of its {} bytes.", delivery.unit,
                          tile.data().size(), tile.size_bytes())));
    return;
  }
  const Result<bool> landed = store_.has_landed(job, delivery.unit);
  if (!landed) return refuse(landed.error(), done);
  if (*landed) {
    on_landed_({delivery});
    done(TileAnswer{TileOutcome::kRepeated, {}});
    return;
  }
  const Result<ResultSpec> spec = store_.spec(job);
  if (!spec) return refuse(spec.error(), done);
  const Result<TileVerdict> verdict =
      verifier_.verify(job, delivery.unit, spec->grid().tile(delivery.unit), tile.data());
  if (!verdict) return refuse(verdict.error(), done);
  if (!verdict->accepted) {
    done(TileAnswer{TileOutcome::kRejected, verdict->reason});
    return;
  }
  write(delivery, tile.data(), std::move(done));
}

void TileSink::write(const Delivery& delivery, std::span<const std::byte> data, DoneFn done) {
  std::uint64_t tag = 0;
  {
    // Noted before the write: a flush of another thread may answer as soon as it is done.
    MutexLock lock(mutex_);
    tag = next_tag_++;
    unanswered_.emplace(tag, Unanswered{delivery, std::move(done)});
  }
  const Result<ResultStore::Put> put = store_.put(delivery.seat.job, delivery.unit, data, tag);
  if (put && *put == ResultStore::Put::kWritten) return;
  const Unanswered noted = take_unanswered(tag);
  if (!put) return refuse(put.error(), noted.done);
  on_landed_({delivery});
  noted.done(TileAnswer{TileOutcome::kRepeated, {}});
}

// A job whose result is gone is an answer, anything else an error.
void TileSink::refuse(const Status& status, const DoneFn& done) {
  if (status.code == Code::kNotFound) {
    done(TileAnswer{TileOutcome::kStale, status.message});
  } else {
    done(fail(status));
  }
}

TileSink::Unanswered TileSink::take_unanswered(std::uint64_t tag) {
  MutexLock lock(mutex_);
  auto node = unanswered_.extract(tag);
  check(!node.empty(), "a tile is answered once");
  return std::move(node.mapped());
}

Status TileSink::flush() {
  const Result<std::vector<Landing>> landings = store_.sync();
  if (!landings) return landings.error();
  std::vector<Delivery> durable;
  std::vector<std::pair<DoneFn, TileAnswer>> answers;
  for (const Landing& landing : *landings) {
    Unanswered noted = take_unanswered(landing.tag);
    TileAnswer answer;
    switch (landing.outcome) {
      case Landing::Outcome::kLanded:
        answer.outcome = TileOutcome::kLanded;
        break;
      case Landing::Outcome::kRepeated:
        answer.outcome = TileOutcome::kRepeated;
        break;
      case Landing::Outcome::kDropped:
        answer = {TileOutcome::kStale, "The result of the job is no longer wanted."};
        break;
    }
    if (answer.outcome != TileOutcome::kStale) durable.push_back(noted.delivery);
    answers.emplace_back(std::move(noted.done), std::move(answer));
  }
  if (!durable.empty()) on_landed_(durable);
  for (auto& [done, answer] : answers) done(std::move(answer));
  return Status::success();
}

std::uint64_t TileSink::memory_bytes_held() const {
  MutexLock lock(mutex_);
  return held_;
}

}  // namespace overwinter::artifacts
