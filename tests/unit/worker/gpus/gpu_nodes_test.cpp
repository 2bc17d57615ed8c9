#include "worker/gpus/gpu_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace overwinter::worker::gpus {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class GpuNodesTest : public testing::Test {
 protected:
  GpuNodesTest() {
    std::string form = (fs::temp_directory_path() / "nodes-XXXXXX").string();
    folder_ = ::mkdtemp(form.data());
    gpu_.number = 1;
  }
  ~GpuNodesTest() override { fs::remove_all(folder_); }
  std::string node(const std::string& name, mode_t mode = 0666) {
    const fs::path path = folder_ / name;
    std::ofstream(path).put('x');
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path.string();
  }

  fs::path folder_;
  Gpu gpu_;
};

TEST_F(GpuNodesTest, ItsOwnAndThoseOfAll) {
  node("nvidia0");
  const std::string own = node("nvidia1");
  node("nvidia11");
  const std::string control = node("nvidiactl");
  const std::string memory = node("nvidia-uvm");
  const GpuNodes nodes = nodes_of(gpu_, true, folder_);
  EXPECT_THAT(nodes.paths, ElementsAre(own, control, memory));
  EXPECT_TRUE(nodes.groups.empty());
  EXPECT_EQ(nodes.why_not, "");
}

TEST_F(GpuNodesTest, WithoutANumberAllOfThem) {
  gpu_.number.reset();
  const std::string first = node("nvidia0");
  const std::string second = node("nvidia1");
  EXPECT_THAT(nodes_of(gpu_, true, folder_).paths, ElementsAre(first, second));
}

TEST_F(GpuNodesTest, AGroupOfADeviceLetsProgramsIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files to groups";
  const std::string own = node("nvidia1", 0660);
  const std::string control = node("nvidiactl", 0660);
  for (const std::string& path : {own, control}) ASSERT_EQ(::chown(path.c_str(), 0, 44), 0);
  const GpuNodes nodes = nodes_of(gpu_, true, folder_);
  EXPECT_THAT(nodes.paths, ElementsAre(own, control));
  EXPECT_THAT(nodes.groups, ElementsAre(44U));
  EXPECT_EQ(nodes.why_not, "");
}

TEST_F(GpuNodesTest, OneForRootAloneIsForNoProgram) {
  if (::geteuid() != 0) GTEST_SKIP() << "the file would be its own group's";
  node("nvidia1", 0660);  // group root, which no program gets
  const GpuNodes nodes = nodes_of(gpu_, true, folder_);
  EXPECT_THAT(nodes.why_not, HasSubstr("nvidia1 (mode 0660, group 0)"));
  EXPECT_EQ(nodes_of(gpu_, false, folder_).why_not, "") << "programs that run as root may";
}

}  // namespace
}  // namespace overwinter::worker::gpus
