#include "common/base/log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/base/check.h"

namespace overwinter {
namespace {

class LogFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "log_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    EXPECT_TRUE(configure_log(LogConfig()).ok());  // lets go of the file
    std::filesystem::remove_all(folder_);
  }
  void start(bool json, LogLevel level = LogLevel::kInfo) {
    const LogConfig config{.program = "te\"st 100%v",
                           .file = (folder_ / "log").string(),
                           .json = json,
                           .level = level};
    ASSERT_TRUE(configure_log(config).ok());
  }
  std::vector<std::string> lines() const {
    std::ifstream in(folder_ / "log");
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  std::filesystem::path folder_;
};

TEST_F(LogFile, NoTextMakesASecondEntry) {
  start(false);
  log_info("job {} said {}", 7, "a\n2026-11-24T00:00:00.000Z error forged\r\x1b[2Jb\xc2\x9b\x7f");
  const auto got = lines();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_NE(got[0].find("info te\"st 100%v: job 7 said a\\n2026"), std::string::npos) << got[0];
  for (const char c : got[0]) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << got[0];
  EXPECT_EQ(got[0].find("\xc2\x9b"), std::string::npos) << "C1 controls move a terminal too";
}

TEST_F(LogFile, AJsonLineParsesWhateverTheTextIs) {
  start(true);
  using std::string_literals::operator""s;
  const std::string text =
      "quote \" back \\ nul \0 bad \xff\xfe \xc3( high \xe2\x82\xac \xed\xa0\x80 cut \xe2\x82"s;
  log_warning("{}", text);
  const auto got = lines();
  ASSERT_EQ(got.size(), 1u);
  const auto entry = nlohmann::json::parse(got[0], nullptr, false);
  ASSERT_FALSE(entry.is_discarded()) << got[0];
  EXPECT_EQ(entry["level"], "warning");
  EXPECT_EQ(entry["program"], "te\"st 100%v");
  const std::string message = entry["message"];
  EXPECT_EQ(message.find("quote \" back \\ nul "), 0u);
  EXPECT_NE(message.find("high \xe2\x82\xac "), std::string::npos) << "good text stays as it is";
}

TEST_F(LogFile, LinesUnderTheLevelAreNotWritten) {
  start(false, LogLevel::kWarning);
  log_info("quiet");
  log_debug("quieter");
  log_error("loud {}", "{}");
  const auto got = lines();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_NE(got[0].find("error te\"st 100%v: loud {}"), std::string::npos) << got[0];
}

TEST_F(LogFile, AFileThatCannotBeOpenedIsSaid) {
  std::ofstream(folder_ / "plain") << "x";
  LogConfig config;
  config.file = (folder_ / "plain" / "log").string();
  const Status refused = configure_log(config);
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(refused.field, "file");
}

TEST(CheckDeathTest, ABrokenInvariantNamesItselfAndItsPlace) {
  check(true, "holds");
  EXPECT_DEATH(check(false, "seats of a device overlap"),
               "broken invariant: seats of a device overlap .*log_test.cpp");
}

}  // namespace
}  // namespace overwinter
