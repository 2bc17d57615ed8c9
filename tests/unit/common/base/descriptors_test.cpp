#include "common/base/descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

namespace overwinter {
namespace {

TEST(Descriptors, CountsWhatIsOpened) {
  const Descriptors before = descriptors_of_process();
  EXPECT_GE(before.open, 3U);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(before.limit, limit.rlim_cur);
  std::vector<int> opened;
  for (int i = 0; i < 5; ++i) opened.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(descriptors_of_process().open, before.open + 5);
  for (const int one : opened) ::close(one);
  EXPECT_EQ(descriptors_of_process().open, before.open);
}

TEST(Descriptors, WithNoneLeftAllAreOpen) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit few = limit;
  few.rlim_cur = descriptors_of_process().open + 2;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> opened;
  for (int one = 0; (one = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) opened.push_back(one);
  const Descriptors full = descriptors_of_process();
  for (const int one : opened) ::close(one);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(full.limit, few.rlim_cur);
  EXPECT_EQ(full.open, full.limit);
}

}  // namespace
}  // namespace overwinter
