#include "worker/kernels/gemm_choice.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdio>
#include <random>
#include <string>
#include <utility>

namespace overwinter::worker {
namespace {

GemmChoices some_choices() {
  GemmChoices all;
  all.key = "AMD EPYC; OpenBLAS 0.3.21 Zen; oneDNN 2.6.3 isa 7";
  all.core = "Haswell";
  for (const std::uint32_t threads : {1U, 2U, 16U}) {
    GemmChoice& choice = all.by_threads[threads];
    for (auto& best : choice.best[2]) best.library = GemmLibrary::kWidened;
    for (auto& best : choice.best[3]) best.library = GemmLibrary::kOneDnn;
    for (auto& best : choice.best[4]) best.library = GemmLibrary::kWidened;
    choice.of(GemmType::kFp32, GemmClass::kLarge) = {GemmLibrary::kOneDnn, 70.25 * threads};
    choice.strassen_fp32_side = 1024;
  }
  return all;
}

TEST(GemmChoice, ClassesFollowTheShape) {
  EXPECT_EQ(gemm_class(64, 4096, 4096), GemmClass::kFewRows);
  EXPECT_EQ(gemm_class(4096, 64, 4096), GemmClass::kFewColumns);
  EXPECT_EQ(gemm_class(512, 512, 512), GemmClass::kSmall);
  EXPECT_EQ(gemm_class(1024, 1024, 1024), GemmClass::kMiddle);
  EXPECT_EQ(gemm_class(1024, 768, 3072), GemmClass::kLarge);
  EXPECT_EQ(gemm_class(8192, 8192, 8192), GemmClass::kLarge);
  const std::size_t huge = ~std::size_t{0};
  EXPECT_EQ(gemm_class(huge, huge, huge), GemmClass::kLarge);
  EXPECT_EQ(gemm_class(0, 0, 0), GemmClass::kFewRows);
}

TEST(GemmChoice, OneLibraryForATypeIsThatOfMostSpeed) {
  GemmChoice choice;
  choice.of(GemmType::kFp32, GemmClass::kFewRows) = {GemmLibrary::kOneDnn, 900};
  choice.of(GemmType::kFp32, GemmClass::kSmall) = {GemmLibrary::kOneDnn, 70};
  choice.of(GemmType::kFp32, GemmClass::kMiddle) = {GemmLibrary::kOpenBlas, 80};
  choice.of(GemmType::kFp32, GemmClass::kLarge) = {GemmLibrary::kOneDnn, 90};
  for (auto& best : choice.best[2]) best = {GemmLibrary::kWidened, 0};
  const GemmChoice one = one_library(choice);
  for (std::size_t c = 0; c < kGemmClasses; ++c) {
    EXPECT_EQ(one.of(GemmType::kFp32, static_cast<GemmClass>(c)).library, GemmLibrary::kOneDnn);
    EXPECT_EQ(one.of(GemmType::kBf16, static_cast<GemmClass>(c)).library, GemmLibrary::kWidened);
  }
}

TEST(GemmChoice, TheFileGivesBackWhatWasWritten) {
  const GemmChoices all = some_choices();
  const auto read = read_gemm_choices(write_gemm_choices(all));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, all);
  GemmChoices none;
  none.key = "k";
  EXPECT_EQ(*read_gemm_choices(write_gemm_choices(none)), none);
}

TEST(GemmChoice, AnyByteThatIsAnotherOrMissingIsDamage) {
  const std::string text = write_gemm_choices(some_choices());
  std::mt19937 random(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] = static_cast<char>(static_cast<unsigned>(bad[i]) ^ (1U + random() % 255U));
    EXPECT_EQ(read_gemm_choices(bad).error().code, Code::kDataLoss) << i;
    EXPECT_FALSE(read_gemm_choices(text.substr(0, i)).has_value()) << i;
  }
  EXPECT_FALSE(read_gemm_choices(text + "\n").has_value());
}

// Lines that a person has edited and signed anew.
std::string signed_anew(std::string text, const std::string& from, const std::string& to) {
  text.resize(text.size() - 21);
  if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  char sum[32];
  std::snprintf(sum, sizeof(sum), "sum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return text + sum;
}

TEST(GemmChoice, LinesThatMeanNothingAreDamageUnderAGoodSumToo) {
  const std::string text = write_gemm_choices(some_choices());
  EXPECT_TRUE(read_gemm_choices(signed_anew(text, "", "")).has_value());
  EXPECT_TRUE(read_gemm_choices(signed_anew(text, "140.50", "141.50")).has_value());
  const std::pair<const char*, const char*> edits[] = {
      {"products 2", "products 1"},
      {"strassen fp32 1024", "strassen fp32 -1"},
      {"strassen fp32 1024", "strassen fp64 1024"},
      {"strassen fp64 0\n", ""},
      {"key ", "kei "},
      {"fp64 small openblas", "fp64 small onednn"},
      {"bf16 small widened", "bf16 small openblas"},
      {"fp32 small openblas", "fp32 small widened"},
      {"fp32 small openblas", "fp32  small openblas"},
      {"fp32 small", "fp32 middle"},
      {"fp32 small", "fp31 small"},
      {"140.50", "nan"},
      {"140.50", "-1"},
      {"140.50", "140.50 "},
      {"threads 16", "threads 0"},
      {"threads 16", "threads 2"},
      {"threads 16", "threads 99999999999"},
  };
  for (const auto& [from, to] : edits) {
    EXPECT_FALSE(read_gemm_choices(signed_anew(text, from, to)).has_value()) << to;
  }
}

}  // namespace
}  // namespace overwinter::worker
