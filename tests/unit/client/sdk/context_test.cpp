#include "client/sdk/context.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace overwinter::client {
namespace {

class ContextTest : public testing::Test {
 protected:
  ContextTest() : folder_(testing::TempDir() + "/overwinter-context-" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
    path_ = folder_ + "/deep/config.yaml";
    for (const char* name : {"OVERWINTER_ADDRESS", "OVERWINTER_TOKEN", "OVERWINTER_CA"})
      unsetenv(name);
  }
  ~ContextTest() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
  std::string path_;
};

TEST_F(ContextTest, StoredContextsComeBackAndArePrivate) {
  ASSERT_TRUE(store_context(path_, {"one", "127.0.0.1:1", "/ca", "/token", "https://x"}).ok());
  ASSERT_TRUE(store_context(path_, {"two: {strange}", "127.0.0.1:2", "/c a", "/t#oken", ""}).ok());
  EXPECT_EQ(choose_context(path_, "")->address, "127.0.0.1:2");
  EXPECT_EQ(choose_context(path_, "")->token_file, "/t#oken");
  EXPECT_EQ(choose_context(path_, "one")->dashboard, "https://x");
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(ContextTest, WithoutOneASentenceSaysWhatToDo) {
  const auto none = choose_context(path_, "");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kUnavailable);
  EXPECT_NE(none.error().hint.find("overwinter up"), std::string::npos);
  EXPECT_EQ(choose_context(path_, "mars").error().code, Code::kNotFound);
}

TEST_F(ContextTest, TheEnvironmentIsEnough) {
  std::ofstream(folder_ + "/ca.pem") << "PEM";
  setenv("OVERWINTER_ADDRESS", "10.0.0.1:7600", 1);
  setenv("OVERWINTER_TOKEN", "ow_x", 1);
  setenv("OVERWINTER_CA", (folder_ + "/ca.pem").c_str(), 1);
  const auto context = choose_context(path_, "");
  ASSERT_TRUE(context);
  const auto credentials = read_credentials(*context);
  ASSERT_TRUE(credentials) << credentials.error().message;
  EXPECT_EQ(credentials->address, "10.0.0.1:7600");
  EXPECT_EQ(credentials->token, "ow_x");
  EXPECT_EQ(credentials->root_pem, "PEM");
  for (const char* name : {"OVERWINTER_ADDRESS", "OVERWINTER_TOKEN", "OVERWINTER_CA"})
    unsetenv(name);
}

TEST_F(ContextTest, AFileThatIsNoConfigurationIsNamed) {
  std::filesystem::create_directories(folder_ + "/deep");
  std::ofstream(path_) << "contexts: [";
  EXPECT_EQ(choose_context(path_, "").error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace overwinter::client
