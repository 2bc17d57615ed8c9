#include "common/base/result.h"

#include <gtest/gtest.h>

#include <memory>

#include "common/base/id.h"

namespace overwinter {
namespace {

TEST(Code, NumbersAndNamesAreThoseOfGrpc) {
  // https://grpc.github.io/grpc/core/md_doc_statuscodes.html
  const std::pair<int, const char*> table[] = {{0, "OK"},
                                               {1, "CANCELLED"},
                                               {2, "UNKNOWN"},
                                               {3, "INVALID_ARGUMENT"},
                                               {4, "DEADLINE_EXCEEDED"},
                                               {5, "NOT_FOUND"},
                                               {6, "ALREADY_EXISTS"},
                                               {7, "PERMISSION_DENIED"},
                                               {8, "RESOURCE_EXHAUSTED"},
                                               {9, "FAILED_PRECONDITION"},
                                               {10, "ABORTED"},
                                               {11, "OUT_OF_RANGE"},
                                               {12, "UNIMPLEMENTED"},
                                               {13, "INTERNAL"},
                                               {14, "UNAVAILABLE"},
                                               {15, "DATA_LOSS"},
                                               {16, "UNAUTHENTICATED"}};
  for (const auto& [number, name] : table) {
    EXPECT_EQ(code_name(static_cast<Code>(number)), name);
  }
  EXPECT_EQ(code_name(static_cast<Code>(17)), "UNKNOWN");
  EXPECT_EQ(code_name(static_cast<Code>(-1)), "UNKNOWN");
}

Result<std::unique_ptr<int>> half(int value) {
  if (value % 2 != 0) {
    return fail(Code::kOutOfRange, "odd numbers have no half", "value", "add one");
  }
  return std::make_unique<int>(value / 2);
}

TEST(Result, HoldsAValueOrWhatWentWrong) {
  const auto good = half(4);
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(**good, 2);
  const auto bad = half(3);
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error(), error(Code::kOutOfRange, "odd numbers have no half", "value", "add one"));
  EXPECT_FALSE(bad.error().ok());
  EXPECT_TRUE(Status::success().ok());
}

struct JobTag {};
TEST(Id, ZeroIsNone) {
  EXPECT_FALSE(Id<JobTag>().valid());
  EXPECT_TRUE(Id<JobTag>(1).valid());
  EXPECT_LT(Id<JobTag>(1), Id<JobTag>(2));
  EXPECT_EQ(std::hash<Id<JobTag>>{}(Id<JobTag>(9)), std::hash<Id<JobTag>>{}(Id<JobTag>(9)));
}

}  // namespace
}  // namespace overwinter
