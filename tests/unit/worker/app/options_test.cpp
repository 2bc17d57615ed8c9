#include "worker/app/options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "worker/app/settings.h"

namespace overwinter::worker {
namespace {

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "overwinter-worker");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, WhatInterfaceSays) {
  const Parsed p = parse({"--join", "j", "--name", "box", "--device", "cpu:memory=4GiB,threads=1",
                          "--device", "cpu", "--labels", "rack=3,zone=b", "--labels", "x=y=z",
                          "--projects", "a,b", "--spot", "--price", "1.89/h", "--data-dir", "/d"});
  ASSERT_FALSE(p.exit.has_value());
  EXPECT_EQ(p.options.join_file, "j");
  EXPECT_EQ(p.options.devices, (std::vector<DeviceSpec>{{4 * kGiB, 1}, {0, 0}}));
  EXPECT_EQ(p.options.labels,
            (std::map<std::string, std::string>{{"rack", "3"}, {"zone", "b"}, {"x", "y=z"}}));
  EXPECT_EQ(p.options.projects, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(p.options.spot);
  EXPECT_EQ(p.options.price_per_hour, Money{1'890'000});
  EXPECT_EQ(p.options.data_dir, "/d");
}

TEST(Options, AGpuIsSaidByItsName) {
  EXPECT_EQ(parse_device("gpu").value(), (DeviceSpec{0, 0, true, "", 0}));
  EXPECT_EQ(parse_device("gpu:uuid=GPU-8c2e-11,memory=40GiB,threads=8,host-memory=64GiB").value(),
            (DeviceSpec{40 * kGiB, 8, true, "GPU-8c2e-11", 64 * kGiB}));
  EXPECT_EQ(parse({"--device", "gpu"}).options.devices.size(), 1U);
}

TEST(Options, ThereIsAlwaysADataFolder) {
  EXPECT_FALSE(parse({}).options.data_dir.empty());
}

TEST(Options, MistakesExitWithTwo) {
  for (const std::vector<const char*>& bad :
       std::vector<std::vector<const char*>>{{"--nonsense"},
                                             {"--device", "H100"},
                                             {"--device", "gpu:uuid="},
                                             {"--device", "gpu:index=0"},
                                             {"--device", "gpu:memory=none"},
                                             {"--device", "gpu:host-memory=1MiB"},
                                             {"--device", "cpu:host-memory=1GiB"},
                                             {"--device", "cpu:uuid=GPU-a"},
                                             {"--device", "cpu:memory=4"},
                                             {"--device", "cpu:memory=1MiB"},
                                             {"--device", "cpu:threads=0"},
                                             {"--device", "cpu:threads=two"},
                                             {"--device", "cpu:cores=2"},
                                             {"--price", "1.89"},
                                             {"--price", "-1/h"},
                                             {"--labels", "novalue"},
                                             {"--test-lie", "zero"}}) {
    EXPECT_EQ(parse(bad).exit, 2) << bad[0] << (bad.size() > 1 ? bad[1] : "");
  }
  EXPECT_EQ(parse({"--help"}).exit, 0);
  EXPECT_EQ(parse({"--version"}).exit, 0);
}

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "ow-app-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~SettingsTest() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(SettingsTest, AreKept) {
  EXPECT_EQ(load_settings(folder_).error().code, Code::kNotFound);
  Settings s{12,
             "box-2",
             "demo",
             {"h:1", "h:2"},
             {{4 * kGiB, 1}, {1, 2}, {5, 6, true, "GPU-a", 7}, {0, 0, true, "", 0}}};
  ASSERT_TRUE(save_settings(folder_, s).ok());
  const Settings kept = load_settings(folder_).value();
  EXPECT_EQ(kept.worker, 12U);
  EXPECT_EQ(kept.name, "box-2");
  EXPECT_EQ(kept.cluster, "demo");
  EXPECT_EQ(kept.addresses, s.addresses);
  EXPECT_EQ(kept.devices, s.devices);
}

TEST_F(SettingsTest, DevicesOfAnEarlierReleaseAreProcessors) {
  std::FILE* file = std::fopen((folder_ / "settings.json").c_str(), "w");
  std::fputs(R"({"worker":1,"name":"n","cluster":"c","addresses":["h:1"],)"
             R"("devices":[{"memoryBytes":5,"threads":2}]})",
             file);
  std::fclose(file);
  EXPECT_EQ(load_settings(folder_).value().devices,
            (std::vector<DeviceSpec>{{5, 2, false, "", 0}}));
}

TEST_F(SettingsTest, ABrokenFileIsSaid) {
  for (const std::string text :
       {"", "{", "[]", R"({"worker": "x"})",
        R"({"worker":1,"name":"n","cluster":"c","addresses":[],"devices":[]})"}) {
    std::FILE* file = std::fopen((folder_ / "settings.json").c_str(), "w");
    std::fputs(text.c_str(), file);
    std::fclose(file);
    EXPECT_EQ(load_settings(folder_).error().code, Code::kFailedPrecondition) << text;
  }
}

TEST_F(SettingsTest, IncarnationsOnlyGrow) {
  EXPECT_EQ(next_incarnation(folder_, 1000).value(), Incarnation(1000));
  EXPECT_EQ(next_incarnation(folder_, 1000).value(), Incarnation(1001));
  EXPECT_EQ(next_incarnation(folder_, 5).value(), Incarnation(1002));  // a clock that was set back
  EXPECT_EQ(next_incarnation(folder_, 9000).value(), Incarnation(9000));
}

TEST_F(SettingsTest, TheGenerationIsKept) {
  EXPECT_EQ(load_generation(folder_), Generation(0));
  save_generation(folder_, Generation(7));
  EXPECT_EQ(load_generation(folder_), Generation(7));
}

TEST_F(SettingsTest, AFolderIsForOneWorker) {
  {
    auto mine = FolderLock::take(folder_);
    ASSERT_TRUE(mine.has_value());
    EXPECT_EQ(FolderLock::take(folder_).error().code, Code::kFailedPrecondition);
  }
  EXPECT_TRUE(FolderLock::take(folder_).has_value());
}

}  // namespace
}  // namespace overwinter::worker
