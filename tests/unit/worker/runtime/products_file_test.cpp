#include "worker/runtime/products_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/security/file_io.h"
#include "worker/kernels/chosen_gemm.h"
#include "worker/memory/host_resource.h"

namespace overwinter::worker {
namespace {

class Products : public ::testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("OPENBLAS_CORETYPE");
    std::string form = (std::filesystem::temp_directory_path() / "products-XXXXXX").string();
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    folder_ = form;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path path() const { return folder_ / "products.txt"; }
  GemmChoices kept() const {
    const auto text = read_file(path(), kGemmChoicesBytesMax);
    const auto choices = read_gemm_choices(text.value_or(""));
    EXPECT_TRUE(choices.has_value());
    return choices.value_or(GemmChoices());
  }
  void start(std::uint32_t threads) {
    const auto device = make_cpu_device(64U << 20U, threads, 0);
    ProductsFile file(folder_);
    file.choose(*device);
    last_ = dynamic_cast<ChosenGemm&>(device->gemm()).choice();
  }
  // A file that no measurement has written: 123,456 GFLOP/s.
  void plant(const std::string& key, std::uint32_t threads) {
    GemmChoices choices;
    choices.key = key;
    ThreadTeam team(threads);
    HostResource memory;
    GemmChoice& choice = choices.by_threads[threads];
    choice = ChosenGemm(team, memory).plain_choice();
    choice.of(GemmType::kFp32, GemmClass::kSmall) = {GemmLibrary::kOneDnn, 123'456};
    ASSERT_TRUE(write_file_atomically(path(), write_gemm_choices(choices)).ok());
  }
  bool planted() const { return last_.of(GemmType::kFp32, GemmClass::kSmall).gflops == 123'456; }

  std::filesystem::path folder_;
  GemmChoice last_;
};

TEST_F(Products, TheFirstStartMeasuresAndTheNextReads) {
  start(1);
  EXPECT_EQ(kept().key, gemm_key(cpu_model()));
  EXPECT_EQ(kept().by_threads.size(), 1);
  plant(gemm_key(cpu_model()), 1);
  start(1);
  EXPECT_TRUE(planted());
  start(2);  // another number of threads: measured beside it
  EXPECT_FALSE(planted());
  EXPECT_EQ(kept().by_threads.size(), 2);
  start(1);
  EXPECT_TRUE(planted());
}

TEST_F(Products, OneThreadIsMeasuredTooAndTrainingsAreToldOfIt) {
  EXPECT_EQ(ProductsFile::text_in(folder_), "");
  start(2);
  EXPECT_EQ(kept().by_threads.size(), 2);
  EXPECT_TRUE(kept().by_threads.contains(1));
  EXPECT_EQ(ProductsFile::text_in(folder_), write_gemm_choices(kept()));
  ::setenv("OPENBLAS_CORETYPE", "Prescott", 1);
  EXPECT_EQ(ProductsFile::text_in(folder_), "");
  ::unsetenv("OPENBLAS_CORETYPE");
}

TEST_F(Products, AnotherMachinesFileIsMeasuredAgain) {
  plant("another processor", 1);
  start(1);
  EXPECT_FALSE(planted());
  EXPECT_EQ(kept().key, gemm_key(cpu_model()));
}

TEST_F(Products, ADamagedFileIsMeasuredAgain) {
  plant(gemm_key(cpu_model()), 1);
  {
    std::fstream file(path(), std::ios::in | std::ios::out);
    file.seekp(30);
    file.put('#');
  }
  start(1);
  EXPECT_FALSE(planted());
  EXPECT_EQ(kept().by_threads.size(), 1);
}

TEST_F(Products, KernelsThatTheEnvironmentNamesAreOpenBlas) {
  plant(gemm_key(cpu_model()), 1);
  ::setenv("OPENBLAS_CORETYPE", "Prescott", 1);
  start(1);
  ::unsetenv("OPENBLAS_CORETYPE");
  EXPECT_FALSE(planted());
  EXPECT_EQ(last_.of(GemmType::kFp32, GemmClass::kSmall).library, GemmLibrary::kOpenBlas);
}

}  // namespace
}  // namespace overwinter::worker
