// For tests alone (OVERWINTER_TEST_SWITCHES): a worker that delivers wrong tiles, to show that it
// is caught.
#pragma once

#ifdef OVERWINTER_TEST_SWITCHES

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "worker/runtime/ports.h"

namespace overwinter::worker {

// KIND[:N]: every N-th tile (default 1) is corrupted. flip: one bit of an exponent; zero; stale:
// the tile before; swap: its halves; reverse: elements in reverse order.
class LyingArtifacts final : public ArtifactAccess {
 public:
  LyingArtifacts(ArtifactAccess& honest, const std::string& lie) : honest_(honest) {
    const auto colon = lie.find(':');
    kind_ = lie.substr(0, colon);
    if (colon != std::string::npos) {
      std::from_chars(lie.data() + colon + 1, lie.data() + lie.size(), every_);
    }
    every_ = std::max<std::uint64_t>(every_, 1);
  }

  [[nodiscard]] Result<std::unique_ptr<SeatArtifacts>> open(const SeatAccess& access) override {
    auto opened = honest_.open(access);
    if (!opened) return opened;
    return std::unique_ptr<SeatArtifacts>(
        std::make_unique<Seat>(std::move(*opened), access.element_bytes, kind_, every_, count_));
  }

  std::filesystem::path spool_folder() const override { return honest_.spool_folder(); }

 private:
  class Seat final : public SeatArtifacts {
   public:
    Seat(std::unique_ptr<SeatArtifacts> honest, std::uint64_t size, std::string kind,
         std::uint64_t every, std::atomic<std::uint64_t>& count)
        : honest_(std::move(honest)),
          size_(size),
          kind_(std::move(kind)),
          every_(every),
          count_(count) {}

    Status read(Operand operand, const Block& block, std::span<std::byte> out,
                std::stop_token stop) override {
      return honest_->read(operand, block, out, stop);
    }
    const MappedMatrix* mapped(Operand operand) const override { return honest_->mapped(operand); }
    bool connected() const override { return honest_->connected(); }
    void renew(const std::string& capability) override { honest_->renew(capability); }
    Result<TileAnswer> put(UnitNumber unit, std::span<const std::byte> tile,
                           std::stop_token stop) override {
      std::vector<std::byte> sent(tile.begin(), tile.end());
      if (++count_ % every_ == 0) {
        corrupt(sent);
        log_warning("lying about unit {}: {}", unit, kind_);
      }
      before_.assign(tile.begin(), tile.end());
      return honest_->put(unit, sent, stop);
    }

   private:
    void corrupt(std::vector<std::byte>& tile) {
      const std::size_t half = tile.size() / 2 / size_ * size_;
      if (tile.size() < 2 * size_ || kind_ == "zero") {
        std::fill(tile.begin(), tile.end(), std::byte{0});
      } else if (kind_ == "stale") {
        if (before_.size() == tile.size()) tile = before_;
      } else if (kind_ == "swap") {
        std::swap_ranges(tile.begin(), tile.begin() + static_cast<std::ptrdiff_t>(half),
                         tile.begin() + static_cast<std::ptrdiff_t>(half));
      } else if (kind_ == "reverse") {
        std::vector<std::byte> turned(tile.size());
        for (std::size_t i = 0; i < tile.size() / size_; ++i) {
          std::memcpy(turned.data() + (tile.size() / size_ - 1 - i) * size_,
                      tile.data() + i * size_, size_);
        }
        tile = std::move(turned);
      } else {
        tile[half + size_ - 1] ^= std::byte{0x20};
      }
    }

    std::unique_ptr<SeatArtifacts> honest_;
    const std::uint64_t size_;
    const std::string kind_;
    const std::uint64_t every_;
    std::atomic<std::uint64_t>& count_;
    std::vector<std::byte> before_;
  };

  ArtifactAccess& honest_;
  std::string kind_;
  std::uint64_t every_ = 1;
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace overwinter::worker

#endif
