#include "client/cli/output.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client/cli/exit_codes.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::cli {
namespace {

TEST(Output, EveryRowFitsEightyColumns) {
  Table table({"JOB", "STATE", "REASON"});
  table.add({"licence-gpt-7k2f9", "QUEUED",
             "needs 2 x 26 GiB on one worker; the most that is free is 40 GiB on w-04 and 14 GiB "
             "on w-05"});
  table.add({std::string(100, 'x'), "RUNNING", "ü — more bytes than columns"});
  std::istringstream lines(table.render(80));
  for (std::string line; std::getline(lines, line);) {
    std::size_t columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    EXPECT_LE(columns, 80U) << line;
  }
  EXPECT_NE(table.render(0).find("14 GiB on w-05"), std::string::npos);
}

TEST(Output, JsonPrintsEveryField) {
  const std::string json = to_json(v1::Progress());
  for (const char* field : {"unitsDone", "unitsTotal", "fraction", "gflops"}) {
    EXPECT_NE(json.find(field), std::string::npos) << field;
  }
}

TEST(Output, ATrainingsPlanSaysItsPrecisionAndActivations) {
  v1::TrainPlan plan;
  EXPECT_EQ(training_text(plan), "");
  plan.set_precision("bf16");
  plan.set_activations("recomputed");
  EXPECT_EQ(training_text(plan), "precision bf16, activations recomputed");
}

TEST(Output, TimesAreLocalWithTheirZone) {
  setenv("TZ", "XYZ-2", 1);  // two hours east of Greenwich
  tzset();
  google::protobuf::Timestamp time;
  time.set_seconds(1'764'000'000);  // 2025-11-24T16:00:00Z
  EXPECT_EQ(time_text(time), "2025-11-24 18:00:00 XYZ");
}

TEST(Output, NoNameMovesTheCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc"), "a?[2Jb c");
}

TEST(ExitCodes, AreThoseOfTheManual) {
  EXPECT_EQ(exit_code_of(error(Code::kInvalidArgument, "")), 2);
  EXPECT_EQ(exit_code_of(error(Code::kUnavailable, "")), 3);
  EXPECT_EQ(exit_code_of(error(Code::kPermissionDenied, "")), 4);
  EXPECT_EQ(exit_code_of(error(Code::kResourceExhausted, "")), 4);
  EXPECT_EQ(exit_code_of(error(Code::kNotFound, "")), 5);
  EXPECT_EQ(exit_code_of(error(Code::kDeadlineExceeded, "")), 124);
  EXPECT_EQ(exit_code_of(Status::success()), 0);
}

}  // namespace
}  // namespace overwinter::cli
