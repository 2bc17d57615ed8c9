#include "coordinator/secrets/secret_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <set>

namespace overwinter::secrets {
namespace {

namespace fs = std::filesystem;

constexpr Time kNow = time_from_unix_ms(1'700'000'000'123);
// What nothing but the sealed files may hold, and they not readable.
const std::string kCanary = "canary-8d1f0c2b7a";

class SecretStoreTest : public testing::Test {
 protected:
  SecretStoreTest() {
    std::string name = "/dev/shm/overwinter-secrets-XXXXXX";  // hundreds of them are synced
    root_ = ::mkdtemp(name.data());
    reopen();
  }
  ~SecretStoreTest() override {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Result<std::unique_ptr<SecretStore>> try_open() {
    return SecretStore::open(root_ / "secrets", root_ / "secrets.key");
  }
  void reopen() {
    store_.reset();
    auto opened = try_open();
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store_ = std::move(*opened);
  }
  // Every regular file below the root.
  std::set<fs::path> files() const {
    std::set<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(root_))
      if (entry.is_regular_file()) out.insert(entry.path());
    return out;
  }
  fs::path file_of(const std::string& name) const {
    for (const fs::path& file : files())
      if (file.filename() == name) return file;
    ADD_FAILURE() << "no file " << name;
    return {};
  }
  static std::string content(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::vector<std::string> names(std::string_view project) const {
    std::vector<std::string> out;
    const auto list = store_->list(project);
    EXPECT_TRUE(list.has_value());
    for (const SecretInfo& info : *list) out.push_back(info.name);
    return out;
  }

  fs::path root_;
  std::unique_ptr<SecretStore> store_;
};

TEST_F(SecretStoreTest, WhatIsSetIsThereAfterARestart) {
  ASSERT_TRUE(store_->set("demo", "HF_TOKEN", kCanary, kNow).ok());
  ASSERT_TRUE(store_->set("demo", "A1", "first", kNow).ok());
  ASSERT_TRUE(store_->set("demo", "A1", "second", kNow + Duration(5)).ok());
  reopen();
  EXPECT_EQ(store_->read("demo", "HF_TOKEN").value(), kCanary);
  EXPECT_EQ(store_->read("demo", "A1").value(), "second");
  const auto list = store_->list("demo");
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->at(0).name, "A1");
  EXPECT_EQ(list->at(0).set, kNow + Duration(5));
  EXPECT_EQ(list->at(1).set, kNow);
  EXPECT_EQ(list->at(1).problem, "");
  ASSERT_TRUE(store_->remove("demo", "A1").ok());
  reopen();
  EXPECT_EQ(names("demo"), std::vector<std::string>{"HF_TOKEN"});
  EXPECT_EQ(store_->remove("demo", "A1").code, Code::kNotFound);
}

TEST_F(SecretStoreTest, ProjectsDoNotSeeEachOther) {
  ASSERT_TRUE(store_->set("demo", "KEY", "of demo", kNow).ok());
  ASSERT_TRUE(store_->set("../demo", "KEY", "of another", kNow).ok());
  EXPECT_EQ(store_->read("demo", "KEY").value(), "of demo");
  EXPECT_EQ(store_->read("../demo", "KEY").value(), "of another");
  EXPECT_EQ(store_->read("third", "KEY").error().code, Code::kNotFound);
  EXPECT_TRUE(names("third").empty());
  EXPECT_EQ(store_->remove("third", "KEY").code, Code::kNotFound);
}

TEST_F(SecretStoreTest, NothingOnDiskCanBeReadByOthersOrHoldsAValue) {
  ASSERT_TRUE(store_->set("demo", "HF_TOKEN", kCanary, kNow).ok());
  EXPECT_EQ(files().size(), 2U);  // the key and it
  for (const fs::path& file : files()) {
    struct stat info {};
    ASSERT_EQ(::stat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U) << file;
    EXPECT_EQ(content(file).find(kCanary), std::string::npos) << file;
    // The test looks where it means to: the name stands in the path, the canary would be seen.
    std::ofstream(root_ / "planted") << content(file) << kCanary;
    EXPECT_NE(content(root_ / "planted").find(kCanary), std::string::npos);
    fs::remove(root_ / "planted");
  }
}

TEST_F(SecretStoreTest, NamesAreThoseOfVariables) {
  const std::string good[] = {"A", "_", "_1", "hf_TOKEN2", std::string(128, 'x')};
  for (const std::string& name : good)
    EXPECT_TRUE(store_->set("demo", name, "v", kNow).ok()) << name;
  const std::string bad[] = {"",
                             "1A",
                             "A-B",
                             "A.B",
                             "../x",
                             "A/B",
                             "A B",
                             "A=B",
                             "\n",
                             "ä",
                             std::string(129, 'x'),
                             std::string("A\0", 2)};
  for (const std::string& name : bad) {
    EXPECT_EQ(store_->set("demo", name, "v", kNow).code, Code::kInvalidArgument) << name;
    EXPECT_EQ(store_->read("demo", name).error().code, Code::kInvalidArgument) << name;
    EXPECT_EQ(store_->remove("demo", name).code, Code::kInvalidArgument) << name;
  }
}

TEST_F(SecretStoreTest, ValuesAndTheirNumberHaveBounds) {
  EXPECT_EQ(store_->set("demo", "A", "", kNow).code, Code::kInvalidArgument);
  EXPECT_EQ(store_->set("demo", "A", std::string("a\0b", 3), kNow).code, Code::kInvalidArgument);
  EXPECT_EQ(store_->set("demo", "A", std::string(kSecretBytesMax + 1, 'x'), kNow).code,
            Code::kInvalidArgument);
  const std::string longest(kSecretBytesMax, 'x');
  ASSERT_TRUE(store_->set("demo", "S0", longest, kNow).ok());
  EXPECT_EQ(store_->read("demo", "S0").value(), longest);
  for (std::size_t i = 1; i < kSecretsOfProjectMax; ++i)
    ASSERT_TRUE(store_->set("demo", "S" + std::to_string(i), "v", kNow).ok());
  const Status over = store_->set("demo", "ONE_MORE", kCanary, kNow);
  EXPECT_EQ(over.code, Code::kResourceExhausted);
  EXPECT_EQ(over.message.find(kCanary), std::string::npos);
  EXPECT_TRUE(store_->set("demo", "S7", "again", kNow).ok());  // replacing is not one more
  EXPECT_TRUE(store_->set("other", "ONE_MORE", "v", kNow).ok());
}

TEST_F(SecretStoreTest, AMissingOneNamesTheCommandThatSetsIt) {
  const auto missing = store_->read("demo", "HF_TOKEN");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().message, "project demo has no secret HF_TOKEN");
  EXPECT_EQ(missing.error().hint, "overwinter secrets set HF_TOKEN --project demo");
}

TEST_F(SecretStoreTest, ADamagedFileCostsItsSecretAlone) {
  ASSERT_TRUE(store_->set("demo", "GOOD", "fine", kNow).ok());
  ASSERT_TRUE(store_->set("demo", "BAD", kCanary, kNow).ok());
  const fs::path file = file_of("BAD");
  const std::string whole = content(file);
  for (std::size_t at = 0; at <= whole.size(); at += 7) {
    std::string changed = whole.substr(0, at);
    if (at < whole.size() && at % 2 == 0) {
      changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 4);
    }
    if (changed == whole) continue;
    std::ofstream(file, std::ios::binary | std::ios::trunc) << changed;
    const auto read = store_->read("demo", "BAD");
    ASSERT_FALSE(read.has_value()) << at;
    EXPECT_EQ(read.error().code, Code::kFailedPrecondition) << at;
    EXPECT_NE(read.error().hint.find("overwinter secrets set BAD --project demo"),
              std::string::npos);
  }
  std::ofstream(file, std::ios::binary | std::ios::trunc) << std::string(200'000, 'x');
  reopen();
  EXPECT_EQ(store_->read("demo", "BAD").error().code, Code::kFailedPrecondition);
  EXPECT_EQ(store_->read("demo", "GOOD").value(), "fine");
  const auto list = store_->list("demo");
  ASSERT_EQ(list->size(), 2U);
  EXPECT_NE(list->at(0).problem.find("damaged"), std::string::npos) << list->at(0).problem;
  EXPECT_EQ(list->at(1).problem, "");
  ASSERT_TRUE(store_->set("demo", "BAD", "repaired", kNow).ok());
  EXPECT_EQ(store_->read("demo", "BAD").value(), "repaired");
}

// Who can write the folder cannot give a job another secret than the one that it names.
TEST_F(SecretStoreTest, AFileMovedToAnotherNameOrProjectDoesNotOpen) {
  ASSERT_TRUE(store_->set("demo", "ONE", "one", kNow).ok());
  ASSERT_TRUE(store_->set("demo", "TWO", "two", kNow).ok());
  fs::copy_file(file_of("ONE"), file_of("TWO"), fs::copy_options::overwrite_existing);
  EXPECT_EQ(store_->read("demo", "TWO").error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(store_->set("other", "ELSE", "else", kNow).ok());
  fs::copy_file(file_of("ONE"), file_of("ELSE").parent_path() / "ONE");
  EXPECT_EQ(store_->read("other", "ONE").error().code, Code::kFailedPrecondition);
}

TEST_F(SecretStoreTest, AnotherKeyIsSaidInOneSentence) {
  ASSERT_TRUE(store_->set("demo", "KEY", kCanary, kNow).ok());
  fs::rename(root_ / "secrets.key", root_ / "old.key");
  const auto refused = try_open();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("secrets.key"), std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "secrets.key"));
  ASSERT_TRUE(Sealer::create(root_ / "secrets.key").has_value());
  reopen();
  const auto read = store_->read("demo", "KEY");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().message,
            "the secret KEY of project demo cannot be read: it is sealed with another key");
  EXPECT_NE(store_->list("demo")->front().problem.find("another key"), std::string::npos);
  fs::rename(root_ / "old.key", root_ / "secrets.key");
  reopen();
  EXPECT_EQ(store_->read("demo", "KEY").value(), kCanary);
}

// What a killed process leaves beside: a file on its way to its name.
TEST_F(SecretStoreTest, HalfWrittenFilesAreNoSecretsAndGo) {
  ASSERT_TRUE(store_->set("demo", "KEY", "whole", kNow).ok());
  const fs::path beside = file_of("KEY").string() + ".new-abc123";
  std::ofstream(beside) << "half";
  EXPECT_EQ(names("demo"), std::vector<std::string>{"KEY"});
  reopen();
  EXPECT_FALSE(fs::exists(beside));
  EXPECT_EQ(store_->read("demo", "KEY").value(), "whole");
}

}  // namespace
}  // namespace overwinter::secrets
