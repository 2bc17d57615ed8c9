// The power goes at every file operation of a job's life, with what was not synced lost, kept, or
// in part: every unit that was reported is intact, and the job goes on from there to the right
// result.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <random>
#include <set>

#include "coordinator/artifacts/artifact_folder.h"
#include "coordinator/artifacts/tile_sink.h"
#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

using test::FaultFiles;

constexpr JobId kJob{7};
const ResultSpec kSpec{
    formats::Dtype::kFloat32, 33, 20, 12, 16, 2};  // 6 tiles, some of several sectors

class TrustingVerifier final : public TileVerifier {
 public:
  Result<TileVerdict> verify(JobId, UnitNumber, const plan::Tile&,
                             std::span<const std::byte>) override {
    return TileVerdict{true, {}};
  }
};

// What is known outside of the files: the facts.
struct Facts {
  UnitRanges done;  // reported by the sink
  std::optional<ResultManifest> sealed;
};

// A job's life from what the facts say on, until it is sealed or the power goes. Two tiles share a
// sync, and each second tile comes twice, the second time with other bytes (a verified tile of
// another worker differs in its rounding).
class Life {
 public:
  Life(FaultFiles& files, Facts& facts, const DenseMatrix& c)
      : files_(files), facts_(facts), c_(c) {}

  Status run() {
    if (Status status = open_artifact_folder(files_, "/data/artifacts"); !status.ok())
      return status;
    auto store = ResultStore::open(files_, "/data/artifacts", {});
    if (!store) return store.error();
    if (Status status = (*store)->prepare(kJob, kSpec, facts_.done); !status.ok()) return status;
    TileSink sink(**store, verifier_,
                  [this](const std::vector<Delivery>& landed) {
                    for (const Delivery& delivery : landed)
                      facts_.done.add({delivery.unit, delivery.unit + 1});
                  },
                  {});
    for (UnitNumber unit = 0; unit < kSpec.grid().units(); ++unit) {
      const std::string tile = tile_of(c_, kSpec, unit);
      deliver(sink, unit, tile);
      if (unit % 2 == 1) {
        if (Status status = sink.flush(); !status.ok()) return status;
        deliver(sink, unit, std::string(tile.size(), '!'));
      }
    }
    const Result<ResultManifest> sealed = (*store)->seal(kJob);
    if (!sealed) return sealed.error();
    facts_.sealed = *sealed;
    return Status::success();
  }

 private:
  void deliver(TileSink& sink, UnitNumber unit, const std::string& tile) {
    sink.begin({{kJob, 1, 1}, WorkerId{1}, unit}, tile.size(), [&](Result<TileBuffer> buffer) {
      if (!buffer) return;
      EXPECT_TRUE(buffer->append(bytes_of(tile)).ok());
      sink.land(std::move(*buffer), [](const Result<TileAnswer>&) {});
    });
  }

  FaultFiles& files_;
  Facts& facts_;
  const DenseMatrix& c_;
  TrustingVerifier verifier_;
};

std::string describe_damage(FaultFiles& files, const Facts& facts, const DenseMatrix& c) {
  if (facts.done.empty() && !facts.sealed) return {};
  const auto contents = files.contents();
  const auto tiles = contents.find("/data/artifacts/results/7/tiles");
  if (tiles == contents.end()) return "the tiles are gone";
  for (const UnitRange& range : facts.done.ranges()) {
    for (UnitNumber unit = range.begin; unit < range.end; ++unit) {
      const std::uint64_t offset = kSpec.grid().elements_before(unit) * 4;
      const std::string tile = tile_of(c, kSpec, unit);
      if (tiles->second.size() < offset || tiles->second.compare(offset, tile.size(), tile) != 0)
        return "unit " + std::to_string(unit) + " was reported and is damaged";
    }
  }
  auto store = ResultStore::open(files, "/data/artifacts", {});
  if (!store) return "the store does not open: " + store.error().message;
  if (!facts.sealed) return {};
  const Result<ResultManifest> manifest = (*store)->manifest(kJob);
  return manifest && *manifest == *facts.sealed ? "" : "the manifest is gone";
}

struct Outcome {
  std::uint64_t points = 0;
  std::uint64_t damaged = 0;
  std::uint64_t units_at_risk = 0;  // reported before the crash, over all points
};

Outcome crash_everywhere(const std::function<void(FaultFiles&)>& plant, bool go_on) {
  const DenseMatrix c = random_matrix(formats::Dtype::kFloat32, kSpec.rows, kSpec.columns, 1);
  FaultFiles whole;
  plant(whole);
  Facts whole_facts;
  EXPECT_TRUE(Life(whole, whole_facts, c).run().ok());
  EXPECT_EQ(whole_facts.sealed->digest, digest_of(c.npy(false)));
  Outcome outcome;
  for (std::uint64_t at = 0; at <= whole.operations(); ++at) {
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      FaultFiles files;
      plant(files);
      files.crash_after(at);
      Facts facts;
      const Status ended = Life(files, facts, c).run();
      EXPECT_EQ(ended.ok(), at == whole.operations());
      const auto rest = seed == 0   ? FaultFiles::Rest::kLost
                        : seed == 1 ? FaultFiles::Rest::kKept
                                    : FaultFiles::Rest::kRandom;
      const auto after = files.after_power_cut(rest, seed * 1000 + at);
      ++outcome.points;
      outcome.units_at_risk += facts.done.count();
      const std::string damage = describe_damage(*after, facts, c);
      outcome.damaged += damage.empty() ? 0 : 1;
      if (!go_on) continue;
      EXPECT_EQ(damage, "") << "operation " << at << " seed " << seed;
      // Restarted, perhaps cut off a second time, it ends with the same bytes.
      if (seed % 2 == 1) after->crash_after(at % 17);
      Facts later = facts;
      FaultFiles* last = after.get();
      std::unique_ptr<FaultFiles> again;
      if (!Life(*after, later, c).run().ok()) {
        EXPECT_TRUE(after->crashed());
        again = after->after_power_cut(rest, at);
        EXPECT_EQ(describe_damage(*again, later, c), "");
        last = again.get();
        const Status status = Life(*last, later, c).run();
        EXPECT_TRUE(status.ok()) << status.message;
      }
      EXPECT_EQ(later.done.count(), kSpec.grid().units());
      EXPECT_EQ(later.sealed->digest, digest_of(c.npy(false)));
      for (const auto& [path, content] : last->contents())
        EXPECT_FALSE(path.ends_with(".part")) << path;
    }
  }
  return outcome;
}

TEST(SinkCrash, WhatWasReportedIsIntactAndTheJobGoesOn) {
  const Outcome outcome = crash_everywhere([](FaultFiles&) {}, true);
  EXPECT_EQ(outcome.damaged, 0U);
  EXPECT_GT(outcome.units_at_risk, 100U);
  RecordProperty("points", static_cast<int>(outcome.points));
}

// A process is killed, another goes on with what it sees, and then the power goes: what the first
// had renamed and not synced must not be taken for durable by the second.
TEST(SinkCrash, KilledThenPowerCut) {
  const DenseMatrix c = random_matrix(formats::Dtype::kFloat32, kSpec.rows, kSpec.columns, 1);
  FaultFiles whole;
  Facts whole_facts;
  ASSERT_TRUE(Life(whole, whole_facts, c).run().ok());
  for (std::uint64_t killed = 0; killed < whole.operations(); ++killed) {
    FaultFiles first;
    first.crash_after(killed);
    Facts facts;
    EXPECT_FALSE(Life(first, facts, c).run().ok());
    for (std::uint64_t cut = 0;; ++cut) {
      const auto second = first.after_kill();
      second->crash_after(cut);
      Facts later = facts;
      const bool whole_life = Life(*second, later, c).run().ok();
      for (const auto rest : {FaultFiles::Rest::kLost, FaultFiles::Rest::kRandom})
        ASSERT_EQ(describe_damage(*second->after_power_cut(rest, cut), later, c), "")
            << "killed at " << killed << ", power cut at " << cut;
      if (whole_life) break;
    }
    // A coordinator that finds the job ended seals without taking tiles.
    if (facts.done.count() != kSpec.grid().units()) continue;
    const auto third = first.after_kill();
    auto store = ResultStore::open(*third, "/data/artifacts", {}).value();
    facts.sealed = store->seal(kJob).value_or(ResultManifest{});
    if (facts.sealed->size_bytes == 0) facts.sealed.reset();
    EXPECT_EQ(describe_damage(*third->after_power_cut(FaultFiles::Rest::kLost, 0), facts, c), "");
  }
}

// The test must be able to find what it looks for.
TEST(SinkCrash, AMissingFileSyncIsFound) {
  EXPECT_GT(crash_everywhere([](FaultFiles& files) { files.skip_file_sync = true; }, false).damaged,
            0U);
}

TEST(SinkCrash, AMissingFolderSyncIsFound) {
  EXPECT_GT(
      crash_everywhere([](FaultFiles& files) { files.skip_folder_sync = true; }, false).damaged,
      0U);
}

// A job is removed: at every point either it is there as before or list() shows what is left of it,
// and removing again leaves nothing.
TEST(SinkCrash, RemovalCanBeRepeated) {
  const DenseMatrix c = random_matrix(formats::Dtype::kFloat32, kSpec.rows, kSpec.columns, 1);
  std::uint64_t ended_at = 0;
  for (std::uint64_t extra = 0; ended_at == 0; ++extra) {
    FaultFiles files;
    Facts facts;
    ASSERT_TRUE(Life(files, facts, c).run().ok());
    auto store = ResultStore::open(files, "/data/artifacts", {}).value();
    files.crash_after(files.operations() + extra);
    const bool removed = store->remove(kJob).ok();
    if (removed) ended_at = extra;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const auto after = files.after_power_cut(
          seed == 0 ? FaultFiles::Rest::kLost : FaultFiles::Rest::kRandom, seed);
      auto again = ResultStore::open(*after, "/data/artifacts", {}).value();
      if (removed) {
        EXPECT_TRUE(again->list()->empty());
      }
      if (const auto manifest = again->manifest(kJob); manifest) {
        EXPECT_EQ(*manifest, *facts.sealed);
        ResultReader reader = again->read(kJob, Order::kC).value();
        EXPECT_EQ(*drain(reader, 1000), c.npy(false));
      }
      ASSERT_TRUE(again->remove(kJob).ok());
      EXPECT_TRUE(again->list()->empty());
      EXPECT_EQ(after->contents().size(), 1U);  // FORMAT
    }
  }
  EXPECT_GT(ended_at, 5U);
}

}  // namespace
}  // namespace overwinter::artifacts
