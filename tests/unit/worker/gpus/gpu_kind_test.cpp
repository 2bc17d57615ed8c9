#include "worker/gpus/gpu_kind.h"

#include <gtest/gtest.h>

namespace overwinter::worker::gpus {
namespace {

TEST(GpuKind, IsTheWordThatPeopleUse) {
  for (const auto& [name, kind] : std::initializer_list<std::pair<const char*, const char*>>{
           {"NVIDIA H100 80GB HBM3", "H100"},
           {"NVIDIA H100 PCIe", "H100"},
           {"NVIDIA H200", "H200"},
           {"NVIDIA GH200 480GB", "GH200"},
           {"NVIDIA A100-SXM4-80GB", "A100"},
           {"A100-PCIE-40GB", "A100"},
           {"Tesla V100-SXM2-16GB", "V100"},
           {"Tesla T4", "T4"},
           {"NVIDIA L40S", "L40S"},
           {"NVIDIA GeForce RTX 4090", "RTX4090"},
           {"NVIDIA GeForce RTX 4090 Laptop GPU", "RTX4090Laptop"},
           {"NVIDIA GeForce RTX 3080 Ti", "RTX3080Ti"},
           {"GeForce GTX 1080 Ti", "GTX1080Ti"},
           {"NVIDIA GeForce RTX 4070 Ti SUPER", "RTX4070TiSUPER"},
           {"NVIDIA RTX A6000", "A6000"},
           {"NVIDIA RTX 6000 Ada Generation", "RTX6000Ada"},
           {"NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTXPRO6000"},
           {"Quadro P4000", "P4000"},
           {"Quadro RTX 8000", "RTX8000"},
           {"NVIDIA TITAN V", "TITANV"},
           {"NVIDIA TITAN RTX", "TITANRTX"}}) {
    EXPECT_EQ(gpu_kind(name), kind) << name;
  }
}

TEST(GpuKind, ANameWithoutAWordIsAGpu) {
  for (const char* name : {"", "NVIDIA", "NVIDIA Graphics Device", "any", "NVIDIA CPU", "80GB",
                           "\xff\xfe", "--- / ---"}) {
    EXPECT_EQ(gpu_kind(name), "gpu") << name;
  }
  EXPECT_EQ(gpu_kind(std::string(500, 'x')), std::string(40, 'x'));
}

}  // namespace
}  // namespace overwinter::worker::gpus
