// Whatever is chosen, the product is the twin's.
#include "worker/kernels/chosen_gemm.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/unit/worker/kernels/gemm_cases.h"
#include "worker/kernels/measure_strassen.h"
#include "worker/kernels/openblas_core.h"
#include "worker/memory/host_resource.h"

namespace overwinter::worker {
namespace {

GemmChoice all_by(GemmLibrary wide, GemmLibrary narrow) {
  GemmChoice choice;
  for (std::size_t type = 0; type < kGemmTypes; ++type) {
    for (auto& best : choice.best[type]) best = {type < 2 ? wide : narrow, 1};
  }
  return choice;
}

class Chosen : public ::testing::Test {
 protected:
  ThreadTeam team_{2};
  HostResource memory_;
  ChosenGemm chosen_{team_, memory_};
};

TEST_F(Chosen, EveryTypeAgreesWithTheTwinWhateverIsChosen) {
  for (const GemmLibrary wide : {GemmLibrary::kOpenBlas, GemmLibrary::kOneDnn}) {
    for (const GemmLibrary narrow :
         {GemmLibrary::kOneDnn, GemmLibrary::kInt16, GemmLibrary::kWidened}) {
      chosen_.use(all_by(wide, narrow));
      for (const GemmShape& s : {GemmShape{5, 200, 40}, GemmShape{200, 140, 33}}) {
        agree<float>(chosen_, s, 1);
        agree<double>(chosen_, s, 2);
        agree<BFloat16>(chosen_, s, 3);
        agree<Float16>(chosen_, s, 4);
        agree<std::int8_t>(chosen_, s, 5);
      }
    }
  }
}

TEST_F(Chosen, ALibraryThatLacksATypeHereIsPassedOver) {
  chosen_.use(all_by(GemmLibrary::kOneDnn, GemmLibrary::kOneDnn));
  EXPECT_EQ(chosen_.choice().of(GemmType::kFp64, GemmClass::kSmall).library,
            GemmLibrary::kOpenBlas);
  EXPECT_EQ(chosen_.choice().of(GemmType::kFp32, GemmClass::kSmall).library, GemmLibrary::kOneDnn);
  for (const GemmType type : {GemmType::kBf16, GemmType::kFp16, GemmType::kInt8}) {
    const GemmLibrary library = chosen_.choice().of(type, GemmClass::kSmall).library;
    EXPECT_TRUE(chosen_.backend(library).supports(type));
  }
}

template <class T>
void kept_by_whoever(ChosenGemm& chosen, MemoryResource& memory) {
  for (const GemmShape& s : {GemmShape{5, 200, 40}, GemmShape{200, 140, 33}, GemmShape{0, 3, 0}}) {
    GemmCase<T> one(s, false, true, 9);
    const auto packed = chosen.pack(weights_of(one.p), memory);
    ASSERT_TRUE(packed.has_value());
    expect_agrees(one, [&](Gemm<T> p) {
      p.packed = packed->get();
      p.b = nullptr;
      return chosen.gemm(p);
    });
  }
}

TEST_F(Chosen, KeptWeightsGoToTheOneThatKeptThem) {
  for (const GemmLibrary wide : {GemmLibrary::kOpenBlas, GemmLibrary::kOneDnn}) {
    chosen_.use(
        all_by(wide, wide == GemmLibrary::kOneDnn ? GemmLibrary::kInt16 : GemmLibrary::kWidened));
    kept_by_whoever<float>(chosen_, memory_);
    kept_by_whoever<double>(chosen_, memory_);
    kept_by_whoever<BFloat16>(chosen_, memory_);
    kept_by_whoever<Float16>(chosen_, memory_);
    kept_by_whoever<std::int8_t>(chosen_, memory_);
  }
  ReferenceGemm other;
  GemmCase<float> one({4, 4, 4}, false, false, 1);
  const auto packed = other.pack(weights_of(one.p), memory_);
  ASSERT_TRUE(packed.has_value());
  one.p.packed = packed->get();
  EXPECT_EQ(chosen_.gemm(one.p).code, Code::kInvalidArgument);
}

TEST_F(Chosen, AMeasuredChoiceIsOfLibrariesThatAreThere) {
  // Without time nothing is measured, and there is a choice all the same.
  EXPECT_EQ(measure_gemm_choice(chosen_, 0), chosen_.plain_choice());
  const GemmChoice choice = measure_gemm_choice(chosen_, 0.02);
  chosen_.use(choice);
  EXPECT_EQ(chosen_.choice(), choice);  // nothing was passed over
  GemmChoices kept;
  kept.key = gemm_key("a\nprocessor");
  kept.by_threads[2] = chosen_.plain_choice();
  const auto read = read_gemm_choices(write_gemm_choices(kept));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, kept);
}

TEST_F(Chosen, TheSideFromWhichHalvingPaysIsOneThatWasTriedOrNone) {
  for (const GemmType type : {GemmType::kFp32, GemmType::kFp64}) {
    EXPECT_EQ(measure_strassen_side(chosen_, team_, type, 0), 0U);
    const std::uint64_t side = measure_strassen_side(chosen_, team_, type, 0.05);
    EXPECT_TRUE(side == 0 || (side >= 768 && side <= 2048)) << side;
  }
  GemmChoice choice = chosen_.plain_choice();
  choice.strassen_fp32_side = 1024;
  chosen_.use(choice);
  EXPECT_EQ(chosen_.choice(), choice);
  EXPECT_NE(describe(chosen_).find("by Strassen from a side of 1024 on in fp32, never in fp64"),
            std::string::npos);
}

TEST_F(Chosen, TheLogSaysWhichTypesAreMultipliedInAnother) {
  const std::string said = describe(chosen_);
  EXPECT_NE(said.find("fp32 by openblas; fp64 by openblas"), std::string::npos) << said;
  EXPECT_EQ(said.find("fp16 in fp32") != std::string::npos, chosen_.widens(GemmType::kFp16))
      << said;
  EXPECT_EQ(said.find("int8 by ") != std::string::npos, !chosen_.widens(GemmType::kInt8)) << said;
}

TEST(OpenBlasCore, OthersAreUsedAndUnknownOnesChangeNothing) {
  const bool named = std::getenv("OPENBLAS_CORETYPE") != nullptr;
  const std::string own = openblas_core();
  EXPECT_FALSE(use_openblas_core("nonsense"));
  EXPECT_EQ(openblas_core(), own);
  if (use_openblas_core("Sandybridge")) {
    EXPECT_EQ(openblas_core(), "Sandybridge");
    ThreadTeam team(2);
    OpenBlasGemm openblas(team);
    agree<double>(openblas, {70, 50, 90}, 1);
  }
  EXPECT_TRUE(use_openblas_core(own));
  EXPECT_EQ(openblas_core(), own);
  EXPECT_EQ(named, std::getenv("OPENBLAS_CORETYPE") != nullptr);
  const std::vector<std::string> others{"nonsense"};
  EXPECT_EQ(choose_openblas_core(others), own);
}

}  // namespace
}  // namespace overwinter::worker
