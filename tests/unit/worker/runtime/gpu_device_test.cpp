// Of worker/runtime/gpu_device.cpp: a device for programs alone.
#include <gtest/gtest.h>

#include <future>
#include <vector>

#include "overwinter/v1/job.pb.h"
#include "worker/runtime/device.h"
#include "worker/runtime/seat_work.h"

namespace overwinter::worker {
namespace {

class NothingToRead final : public ArtifactAccess {
 public:
  Result<std::unique_ptr<SeatArtifacts>> open(const SeatAccess&) override {
    return fail(Code::kNotFound, "nothing is to be read");
  }
};

std::unique_ptr<Device> a_gpu() {
  DeviceInfo info;
  info.kind = "H100";
  info.memory_bytes = 1000;
  info.threads = 4;
  info.uuid = "GPU-a";
  return make_gpu_device(info, 3);
}

TEST(GpuDevice, ItsSeatsShareItsMemoryAndNothingIsMeasured) {
  const auto gpu = a_gpu();
  measure(*gpu, 0.1);
  EXPECT_EQ(gpu->info().gflops_fp32, 0);
  EXPECT_EQ(gpu->info().uuid, "GPU-a");
  auto all = gpu->memory().charge(1000, "a rank");
  ASSERT_TRUE(all.has_value());
  EXPECT_FALSE(gpu->memory().charge(1, "another").has_value());
}

TEST(GpuDevice, DoesWhatIsPostedInOrder) {
  const auto gpu = a_gpu();
  std::vector<int> done;
  std::promise<void> last;
  for (int i = 0; i < 3; ++i) gpu->post([&done, i] { done.push_back(i); });
  gpu->post([&last] { last.set_value(); });
  last.get_future().wait();
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2}));
}

TEST(GpuDevice, TakesNoProduct) {
  const auto gpu = a_gpu();
  v1::Plan plan;
  plan.mutable_matmul();
  OfferSeat offer;
  offer.plan = std::make_shared<const std::string>(plan.SerializeAsString());
  NothingToRead artifacts;
  const auto refused = make_seat_work(offer, *gpu, artifacts, [](Input) {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnimplemented);
  EXPECT_NE(refused.error().message.find("GPU (H100)"), std::string::npos);
}

}  // namespace
}  // namespace overwinter::worker
