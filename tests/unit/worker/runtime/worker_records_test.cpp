#include "worker/runtime/worker_records.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/worker/runtime/record_lines.h"

namespace overwinter::worker {
namespace {

using test::lines_of;

TEST(WorkerRecords, ALineThatWasCutDoesNotSpoilTheNext) {
  std::string name = (std::filesystem::temp_directory_path() / "ow-records-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  { std::ofstream(folder / "seats.jsonl") << R"({"record": "ended", "seat": "1/1)"; }
  {
    auto records = WorkerRecords::open(folder, Incarnation(4)).value();
    records.acknowledged(8);
  }
  const auto lines = lines_of(folder / "seats.jsonl");
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["report"], 8);
  std::filesystem::remove_all(folder);
}

TEST(WorkerRecords, AFolderThatCannotBeWrittenIsSaidInASentence) {
  auto records = WorkerRecords::open("/proc/none", Incarnation(4));
  ASSERT_FALSE(records.has_value());
  EXPECT_NE(records.error().message.find("seats.jsonl"), std::string::npos);
}

TEST(WorkerRecords, AFullDiskIsNoEndOfTheWorker) {
  std::string name = (std::filesystem::temp_directory_path() / "ow-records-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  std::filesystem::create_symlink("/dev/full", folder / "seats.jsonl");
  auto records = WorkerRecords::open(folder, Incarnation(4)).value();
  records.acknowledged(1);
  records.began(OfferSeat{}, std::chrono::milliseconds(0), std::chrono::nanoseconds(0));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace overwinter::worker
