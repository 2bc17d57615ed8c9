#include "worker/runtime/matmul_work.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/plan/memory_estimate.h"
#include "overwinter/v1/job.pb.h"
#include "worker/runtime/worker_records.h"

namespace overwinter::worker {
namespace {

// One computed, one sent, enough known ahead to choose what stays in memory, and work for a while
// without the coordinator (what is finished then waits in the spool).
constexpr std::uint32_t kPipelineUnits = 64;

}  // namespace

MatmulWork::MatmulWork(const OfferSeat& offer, Device& device, PostInput post)
    : seat_(offer.seat),
      device_(device),
      post_(std::move(post)),
      memory_(device.memory(), offer.memory_bytes, "the seat") {}

Result<std::unique_ptr<SeatWork>> MatmulWork::make(const OfferSeat& offer,
                                                   const v1::MatmulPlan& plan, Device& device,
                                                   ArtifactAccess& artifacts, PostInput post) {
  std::unique_ptr<MatmulWork> work(new MatmulWork(offer, device, std::move(post)));
  if (Status opened = work->open(offer, plan, artifacts); !opened.ok()) return fail(opened);
  work->sender_ =
      std::jthread([self = work.get()](const std::stop_token& stop) { self->send_loop(stop); });
  return std::unique_ptr<SeatWork>(std::move(work));
}

Status MatmulWork::open(const OfferSeat& offer, const v1::MatmulPlan& plan,
                        ArtifactAccess& artifacts) {
  auto geometry = plan::geometry_of(plan);
  if (!geometry) return geometry.error();
  geometry_ = *geometry;
  const plan::MatmulMemory sizes = plan::matmul_memory(geometry_, device_.info().threads);
  auto workspace = memory_.charge(sizes.workspace_bytes, "the workspace of products");
  if (!workspace) return workspace.error();
  workspace_ = std::move(*workspace);
  if (geometry_.strassen_levels > 0) {
    strassen_ = std::make_unique<StrassenGemm>(device_.gemm(), device_.team(), memory_);
    const bool single = geometry_.precision == plan::Precision::kFp32;
    strassen_->use(single ? GemmType::kFp32 : GemmType::kFp64, plan::strassen_rule(geometry_));
    if (Status had = strassen_->reserve(sizes.strassen_bytes); !had.ok()) return had;
  }
  SeatAccess access;
  access.seat = offer.seat;
  access.capability = offer.capability;
  access.a_digest = plan.a_digest();
  access.b_digest = plan.b_digest();
  access.element_bytes = plan::factor_bytes(geometry_.precision);
  const std::uint64_t held = sizes.workspace_bytes + sizes.rounded_bytes + sizes.strassen_bytes +
                             std::uint64_t{sizes.c_tiles} * sizes.c_tile_bytes;
  access.in_place_bytes_max = offer.memory_bytes > held ? offer.memory_bytes - held : 0;
  auto opened = artifacts.open(access);
  if (!opened) return opened.error();
  artifacts_ = std::move(*opened);
  spool_folder_ = artifacts.spool_folder();
  GemmBackend& gemm = strassen_ ? static_cast<GemmBackend&>(*strassen_) : device_.gemm();
  auto product = TileProduct::make(geometry_, *artifacts_, gemm, memory_);
  if (!product) return product.error();
  product_ = std::move(*product);
  if (const GemmType type = gemm_type(geometry_.precision); device_.gemm().widens(type)) {
    log_info("seat {}: {} is multiplied as fp32: this processor has no instructions for it",
             seat_name(seat_), gemm_type_name(type));
  }
  const MutexLock lock(mutex_);
  for (std::uint32_t i = 0; i < std::max(sizes.c_tiles, 1U); ++i) {
    auto tile = Buffer::make(memory_, sizes.c_tile_bytes);
    if (!tile) return tile.error();
    tiles_.push_back(std::move(*tile));
    free_.push_back(i);
  }
  return Status::success();
}

MatmulWork::~MatmulWork() {
  {
    const MutexLock lock(mutex_);
    for (auto& [unit, stop] : work_) stop.request_stop();
  }
  sender_.request_stop();
  changed_.notify_all();
}

std::uint32_t MatmulWork::pipeline_units() const {
  return kPipelineUnits;
}

std::uint64_t MatmulWork::memory_used_bytes() const {
  return memory_.held_bytes();
}

std::uint64_t MatmulWork::memory_peak_bytes() const {
  return memory_.peak_bytes();
}

void MatmulWork::renew(const std::string& capability) {
  artifacts_->renew(capability);
}

void MatmulWork::start(const UnitRanges& units) {
  UnitRanges impossible;
  {
    const MutexLock lock(mutex_);
    const std::uint64_t all = geometry_.grid().units();
    for (const UnitRange& range : units.ranges()) {
      for (UnitNumber unit = range.begin; unit < range.end; ++unit) {
        if (failed_ || unit >= all) {
          impossible.add({unit, unit + 1});
        } else {
          queue_.push_back(unit);
        }
      }
    }
    post_next();
  }
  if (!impossible.empty()) post_(UnitsAbandoned{seat_, impossible});
}

void MatmulWork::abandon(const UnitRanges& units) {
  UnitRanges dropped;
  {
    const MutexLock lock(mutex_);
    std::erase_if(queue_, [&](UnitNumber unit) {
      if (!units.contains(unit)) return false;
      dropped.add({unit, unit + 1});
      return true;
    });
    for (auto& [unit, stop] : work_) {
      if (units.contains(unit)) stop.request_stop();
    }
  }
  changed_.notify_all();
  if (!dropped.empty()) post_(UnitsAbandoned{seat_, dropped});
}

void MatmulWork::wind_down(Duration within) {
  UnitRanges dropped;
  {
    const MutexLock lock(mutex_);
    for (const UnitNumber unit : queue_) dropped.add({unit, unit + 1});
    queue_.clear();
    if (computing_ && unit_seconds_ > 0) {
      const double spent = std::chrono::duration<double>(Clock::now() - computing_since_).count();
      const double left = std::chrono::duration<double>(within).count();
      if (unit_seconds_ - spent > left) work_.at(*computing_).request_stop();
    }
  }
  if (!dropped.empty()) post_(UnitsAbandoned{seat_, dropped});
}

void MatmulWork::post_next() {
  if (next_posted_ || queue_.empty() || free_.empty()) return;
  next_posted_ = true;
  device_.post([this] { compute_next(); });
}

void MatmulWork::compute_next() {
  UnitNumber unit = 0;
  std::size_t buffer = 0;
  std::stop_token stop;
  std::vector<UnitNumber> upcoming;
  {
    const MutexLock lock(mutex_);
    if (queue_.empty() || free_.empty()) {
      next_posted_ = false;
      return;
    }
    upcoming.assign(queue_.begin(), queue_.end());
    unit = queue_.front();
    queue_.pop_front();
    buffer = free_.back();
    free_.pop_back();
    stop = work_[unit].get_token();
    computing_ = unit;
    computing_since_ = Clock::now();
  }
  product_->plan(upcoming);
  if (strassen_) strassen_->stop_on(stop);
  const Status done = product_->compute(unit, tiles_[buffer].data(), stop);
  finish(unit, buffer, done);
}

void MatmulWork::finish(UnitNumber unit, std::size_t buffer, const Status& done) {
  {
    const MutexLock lock(mutex_);
    computing_.reset();
    next_posted_ = false;
    if (done.ok()) {
      unit_seconds_ = std::chrono::duration<double>(Clock::now() - computing_since_).count();
      Tile tile{unit, buffer, product_->tile_bytes(unit), false};
      spool_when_cut_off(tile);
      outbox_.push_back(tile);
    } else {
      free_.push_back(buffer);
    }
  }
  changed_.notify_all();
  if (!done.ok()) give_up(unit, done);
  const MutexLock lock(mutex_);
  post_next();
}

void MatmulWork::spool_when_cut_off(Tile& tile) {
  if (!free_.empty() || queue_.empty() || spool_failed_ || spool_folder_.empty()) return;
  if (artifacts_->connected()) return;
  if (!spool_) {
    auto made = TileSpool::make(spool_folder_, tiles_[tile.place].size());
    if (made) spool_ = std::move(*made);
    spool_failed_ = !made;
    if (!made) log_warning("{}; the seat waits for its coordinator", made.error().message);
    if (!made) return;
  }
  auto slot = spool_->put(std::span<const std::byte>(tiles_[tile.place].data(), tile.bytes));
  if (!slot) return;  // it waits in its buffer, and the seat with it
  free_.push_back(tile.place);
  tile.place = *slot;
  tile.spooled = true;
}

void MatmulWork::send_loop(const std::stop_token& stop) {
  for (;;) {
    Tile tile;
    std::stop_token given_up;
    std::span<const std::byte> bytes;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !outbox_.empty(); })) return;
      tile = outbox_.front();
      outbox_.pop_front();
      given_up = work_.at(tile.unit).get_token();
      bytes = tile.spooled ? spool_->tile(tile.place, tile.bytes)
                           : std::span<const std::byte>(tiles_[tile.place].data(), tile.bytes);
    }
    answer(tile, artifacts_->put(tile.unit, bytes, given_up));
  }
}

void MatmulWork::answer(const Tile& tile, const Result<TileAnswer>& sent) {
  {
    const MutexLock lock(mutex_);
    if (tile.spooled) {
      spool_->release(tile.place);
    } else {
      free_.push_back(tile.place);
    }
    if (sent) work_.erase(tile.unit);
    post_next();
  }
  if (!sent) {
    give_up(tile.unit, sent.error());
    return;
  }
  if (sent->outcome == TileOutcome::kRejected) {
    log_error("seat {}: unit {} was rejected: {}", seat_name(seat_), tile.unit, sent->message);
  }
  post_(UnitsDelivered{seat_, one(tile.unit)});
}

void MatmulWork::give_up(UnitNumber unit, const Status& why) {
  bool first_failure = false;
  {
    const MutexLock lock(mutex_);
    work_.erase(unit);
    if (why.code != Code::kCancelled) first_failure = !std::exchange(failed_, true);
  }
  // A block that cannot be read or a tile that is not taken fails the seat: the next unit would
  // fail alike.
  if (first_failure) post_(SeatFailed{seat_, why.message});
  post_(UnitsAbandoned{seat_, one(unit)});
}

}  // namespace overwinter::worker
