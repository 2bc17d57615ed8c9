#include "worker/runtime/seat_work.h"

#include <utility>

#include "overwinter/v1/job.pb.h"
#include "worker/runtime/matmul_work.h"

namespace overwinter::worker {
namespace {

// Units that do nothing, for measuring the coordinator.
class NoopWork final : public SeatWork {
 public:
  NoopWork(SeatKey seat, PostInput post) : seat_(seat), post_(std::move(post)) {}
  std::uint32_t pipeline_units() const override { return 4096; }
  void start(const UnitRanges& units) override { post_(UnitsCompleted{seat_, units}); }
  void abandon(const UnitRanges&) override {}
  void wind_down(Duration) override {}
  void renew(const std::string&) override {}
  std::uint64_t memory_used_bytes() const override { return 0; }
  std::uint64_t memory_peak_bytes() const override { return 0; }

 private:
  const SeatKey seat_;
  const PostInput post_;
};

}  // namespace

Result<std::unique_ptr<SeatWork>> make_seat_work(const OfferSeat& offer, Device& device,
                                                 ArtifactAccess& artifacts, PostInput post) {
  v1::Plan plan;
  if (!offer.plan || !plan.ParseFromString(*offer.plan)) {
    return fail(Code::kInvalidArgument, "the seat's plan cannot be read");
  }
  switch (plan.workload_case()) {
    case v1::Plan::kMatmul:
      if (is_gpu(device.info()))
        return fail(
            Code::kUnimplemented,
            "a product needs a processor, and the seat is on a GPU (" + device.info().kind + ")");
      return MatmulWork::make(offer, plan.matmul(), device, artifacts, std::move(post));
    case v1::Plan::kNoop:
      return std::unique_ptr<SeatWork>(std::make_unique<NoopWork>(offer.seat, std::move(post)));
    default:
      return fail(Code::kUnimplemented,
                  "this worker does not know the workload of the plan: upgrade it");
  }
}

}  // namespace overwinter::worker
