#include "coordinator/notify/told.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "common/security/file_io.h"
#include "coordinator/notify/told_file.h"

namespace overwinter::notify {
namespace {

constexpr Time kNow = time_from_unix_ms(1'764'000'000'000);

TEST(NotifyTold, AHookIsToldOfWhatHappensFromItsBeginningOn) {
  Told told;
  told.set_hooks({"ops"}, kNow);
  EXPECT_TRUE(told.open("ops", "job 1", "failed", kNow));
  EXPECT_FALSE(told.open("ops", "job 1", "failed", kNow - Duration(1)));
  EXPECT_FALSE(told.open("other", "job 1", "failed", kNow));
  told.set_hooks({"ops", "other"}, kNow + Duration(10));
  EXPECT_TRUE(told.open("ops", "job 1", "failed", kNow)) << "it keeps its beginning";
  EXPECT_FALSE(told.open("other", "job 1", "failed", kNow));
  told.set_hooks({"other"}, kNow + Duration(20));
  told.set_hooks({"ops", "other"}, kNow + Duration(30));
  EXPECT_FALSE(told.open("ops", "job 1", "failed", kNow)) << "it was away";
}

TEST(NotifyTold, EachHookOnItsOwn) {
  Told told;
  told.set_hooks({"a", "b"}, kNow);
  told.add("a", "job 1", "failed");
  EXPECT_FALSE(told.open("a", "job 1", "failed", kNow));
  EXPECT_TRUE(told.open("b", "job 1", "failed", kNow));
  EXPECT_TRUE(told.open("a", "job 1", "cap-80/5", kNow));
  told.forget("job 1");
  EXPECT_TRUE(told.open("a", "job 1", "failed", kNow));
}

TEST(NotifyTold, ItsTextIsReadBack) {
  Told told;
  told.set_hooks({"a", "b"}, kNow);
  told.add("a", "job 1", "failed");
  told.add(std::string(kReleased), "idle 3", "idle");
  EXPECT_TRUE(told.take_changed());
  EXPECT_FALSE(told.take_changed());
  auto read = Told::read(told.text());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->text(), told.text());
  EXPECT_FALSE(read->take_changed());
  EXPECT_FALSE(read->open("a", "job 1", "failed", kNow));
  EXPECT_TRUE(read->open("b", "job 1", "failed", kNow));
  EXPECT_TRUE(read->has(std::string(kReleased), "idle 3", "idle"));
  read->remove(std::string(kReleased), "idle 3", "idle");
  EXPECT_FALSE(read->has(std::string(kReleased), "idle 3", "idle"));
  EXPECT_TRUE(read->take_changed());
  read->remove("a", "job 2", "failed");
  read->forget("job 2");
  EXPECT_FALSE(read->take_changed());
}

TEST(NotifyTold, ATextOfAnotherKindIsRefused) {
  for (const char* text : {"", "x", "[]", "{}", R"({"version": 2, "hooks": {}, "told": {}})",
                           R"({"version": 1, "hooks": [], "told": {}})",
                           R"({"version": 1, "hooks": {"a": "b"}, "told": {}})",
                           R"({"version": 1, "hooks": {}, "told": {"job 1": []}})",
                           R"({"version": 1, "hooks": {}, "told": {"job 1": {"failed": [1]}}})"}) {
    const auto read = Told::read(text);
    EXPECT_FALSE(read) << text;
  }
}

TEST(NotifyTold, ItIsBounded) {
  Told told;
  told.set_hooks({"a"}, kNow);
  for (std::size_t i = 0; i < kToldMax + 100; ++i)
    told.add("a", "job " + std::to_string(i), "failed");
  std::size_t kept = 0;
  for (std::size_t i = 0; i < kToldMax + 100; ++i) {
    if (told.has("a", "job " + std::to_string(i), "failed")) ++kept;
  }
  EXPECT_EQ(kept, kToldMax);
}

TEST(NotifyTold, TheFileOutlivesTheObjectAndAnotherOneIsBegunAnew) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "notify_told";
  std::filesystem::create_directories(folder);
  const auto path = folder / "notify.told";
  std::filesystem::remove(path);
  {
    ToldFile file(path);
    file.load();
    file.set_hooks({"a"}, kNow);
    file.add("a", "job 1", "failed");
    file.save();
  }
  EXPECT_FALSE(others_can_access(path));
  {
    ToldFile file(path);
    file.load();
    file.set_hooks({"a"}, kNow + Duration(5));
    EXPECT_FALSE(file.open("a", "job 1", "failed", kNow));
    EXPECT_TRUE(file.open("a", "job 2", "failed", kNow));
  }
  ASSERT_TRUE(write_file_atomically(path, "damaged").ok());
  ToldFile file(path);
  file.load();
  file.set_hooks({"a"}, kNow + Duration(5));
  EXPECT_FALSE(file.open("a", "job 2", "failed", kNow)) << "from now on";
  EXPECT_TRUE(file.open("a", "job 2", "failed", kNow + Duration(5)));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace overwinter::notify
