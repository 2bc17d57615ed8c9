// Against the real driver: what we list is what nvidia-smi lists, and a confined program finds its
// GPU, takes memory of it by CUDA's driver library, and is counted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

#include "common/base/mutex.h"
#include "worker/exec/confinement.h"
#include "worker/exec/job_folder.h"
#include "worker/exec/process_table.h"
#include "worker/exec/process_tree.h"
#include "worker/gpus/gpu_count.h"
#include "worker/gpus/gpu_kind.h"
#include "worker/gpus/gpu_nodes.h"
#include "worker/gpus/gpus.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMib = std::uint64_t{1} << 20;

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) text += buffer.data();
  ::pclose(pipe);
  return text;
}

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (gpus_.list().empty()) GTEST_SKIP() << "no GPU here: " << gpus_.why_none();
  }
  const gpus::Gpus gpus_ = gpus::Gpus::find();
};

TEST_F(GpuTest, WhatIsListedIsWhatNvidiaSmiLists) {
  std::istringstream lines(
      output_of("nvidia-smi --query-gpu=uuid,name,memory.total,pci.bus_id,mig.mode.current "
                "--format=csv,noheader,nounits"));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> row;
    std::istringstream words(line);
    for (std::string word; std::getline(words, word, ',');)
      row.push_back(word.substr(word.find_first_not_of(' ')));
    if (row.size() == 5 && row[4] != "Enabled") rows.push_back(row);
  }
  ASSERT_EQ(rows.size(), gpus_.list().size()) << lines.str();
  for (const std::vector<std::string>& row : rows) {
    const auto gpu = std::ranges::find(gpus_.list(), row[0], &gpus::Gpu::uuid);
    ASSERT_NE(gpu, gpus_.list().end()) << row[0];
    EXPECT_EQ(gpu->name, row[1]);
    EXPECT_EQ(gpu->memory_bytes / kMib, std::stoull(row[2]));
    EXPECT_EQ(gpu->pci_bus_id, row[3]);
    EXPECT_NE(gpus::gpu_kind(gpu->name), "gpu") << gpu->name;
    EXPECT_LT(gpu->reserved_bytes, gpu->memory_bytes / 4);
  }
}

TEST_F(GpuTest, WhatIsUsedIsWhatNvidiaSmiSays) {
  for (const gpus::Gpu& gpu : gpus_.list()) {
    const auto use = gpus_.use(gpu.uuid);
    ASSERT_TRUE(use.has_value()) << use.error().message;
    EXPECT_LE(use->used_bytes, gpu.memory_bytes);
    const std::string said = output_of(
        "nvidia-smi --query-gpu=memory.used,memory.reserved "
        "--format=csv,noheader,nounits -i " +
        gpu.uuid);
    std::uint64_t used = 0;
    std::uint64_t reserved = 0;
    ASSERT_EQ(std::sscanf(said.c_str(), "%lu, %lu", &used, &reserved), 2) << said;
    // Versions differ in whether what the driver keeps is used.
    EXPECT_NEAR(static_cast<double>(use->used_bytes / kMib), static_cast<double>(used),
                static_cast<double>(reserved + 64));
  }
}

// Takes memory of the first GPU that it sees, says so and holds it until it is told to go.
constexpr const char* kProgram = R"(
import ctypes, os, sys, threading
cuda = ctypes.CDLL('libcuda.so.1')
def ask(name, *args):
    code = getattr(cuda, name)(*args)
    if code != 0:
        print('failed', name, code, flush=True)
        sys.exit(3)
ask('cuInit', 0)
count, device, context, at = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
ask('cuDeviceGetCount', ctypes.byref(count))
ask('cuDeviceGet', ctypes.byref(device), 0)
ask('cuDevicePrimaryCtxRetain', ctypes.byref(context), device)
ask('cuCtxSetCurrent', context)
ask('cuMemAlloc_v2', ctypes.byref(at), ctypes.c_size_t(1 << 30))
print('sees', count.value, flush=True)
while not os.path.exists('go'):
    threading.Event().wait(0.05)
)";

class Watched final : public exec::TreeObserver {
 public:
  void started(std::size_t, pid_t) override {}
  void ended(std::size_t, const exec::ProcessEnd&) override {}
  void line(std::size_t, exec::Stream, std::string_view text) override {
    const MutexLock lock(mutex_);
    text_ += std::string(text) + "\n";
    changed_.notify_all();
  }
  void dropped(std::size_t, exec::Stream, std::uint64_t) override {}
  void finished(const exec::TreeEnd& end) override {
    const MutexLock lock(mutex_);
    end_ = end;
    changed_.notify_all();
  }
  std::string wait_text(const std::string& part) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const MutexLock lock(mutex_);
    while (!end_ && text_.find(part) == std::string::npos)
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
    return text_;
  }
  std::optional<exec::TreeEnd> wait_end() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    const MutexLock lock(mutex_);
    while (!end_)
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) break;
    return end_;
  }

 private:
  Mutex mutex_;
  Condition changed_;
  std::string text_;
  std::optional<exec::TreeEnd> end_;
};

TEST_F(GpuTest, AConfinedProgramFindsItsGpuAndIsCounted) {
  const exec::ConfinementSupport support = exec::can_confine({});
  if (!support.can()) GTEST_SKIP() << support.why_not;
  const gpus::Gpu& gpu = gpus_.list().back();
  const gpus::GpuNodes nodes = gpus::nodes_of(gpu, support.own_uid);
  ASSERT_EQ(nodes.why_not, "");
  std::string form = (fs::temp_directory_path() / "gpu-XXXXXX").string();
  const fs::path base = ::mkdtemp(form.data());
  ASSERT_EQ(::chmod(base.c_str(), 0711), 0);
  std::optional<exec::UidLease> lease;
  if (support.own_uid) lease.emplace(std::move(*exec::take_uid("/run/overwinter/uids")));
  const auto owner = lease ? std::optional(lease->uid) : std::nullopt;
  const auto job = exec::make_job_folder(base, "job", owner);
  ASSERT_TRUE(job.has_value()) << job.error().message;
  std::ofstream(job->work() / "take.py") << kProgram;
  ASSERT_EQ(::chmod((job->work() / "take.py").c_str(), 0644), 0);
  exec::TreeOrder order;
  order.folder = job->work();
  order.confinement.uid = owner;
  order.confinement.groups = nodes.groups;
  order.confinement.grants = exec::job_grants(*job, {}, {}, {});
  for (const std::string& path : nodes.paths)
    order.confinement.grants.push_back({path, exec::Access::kReadWrite});
  order.memory.name = "gpu-test-" + std::to_string(::getpid());
  order.processes.push_back({{"python3", "take.py"},
                             {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                              {"HOME", job->home()},
                              {"CUDA_VISIBLE_DEVICES", gpu.uuid},
                              {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"}}});
  const std::uint64_t at_start = gpus_.use(gpu.uuid)->used_bytes;
  Watched seen;
  {
    auto tree = exec::ProcessTree::start(order, seen);
    ASSERT_TRUE(tree.has_value()) << tree.error().message;
    EXPECT_THAT(seen.wait_text("sees"), testing::HasSubstr("sees 1\n"));
    const gpus::GpuCount count = gpus::count_use(
        *gpus_.use(gpu.uuid), exec::tree_of((*tree)->keeper()), at_start, gpus::numbers_are_ours());
    EXPECT_GE(count.bytes, 1024 * kMib);
    EXPECT_LT(count.bytes, 4096 * kMib) << "what it took, and what CUDA needs itself";
    std::ofstream(job->work() / "go").put('x');
    const auto end = seen.wait_end();
    ASSERT_TRUE(end.has_value());
    EXPECT_TRUE(end->processes[0].succeeded()) << seen.wait_text("");
  }
  std::error_code ignored;
  fs::remove_all(base, ignored);
}

}  // namespace
}  // namespace overwinter::worker
