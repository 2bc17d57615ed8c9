#include "coordinator/app/descriptor_shares.h"

#include <sys/resource.h>

#include <algorithm>

namespace overwinter::app {
namespace {

constexpr std::size_t kConnectionsMin = 16;
constexpr std::size_t kPeopleMax = 4096;
constexpr std::size_t kWorkersMax = 32'768;
constexpr std::size_t kDashboardMax = 1024;
constexpr std::size_t kLimitUnknown = 1024;  // what Linux gives by default

}  // namespace

DescriptorShares share_descriptors(std::size_t limit) {
  return {std::clamp(limit / 8, kConnectionsMin, kPeopleMax),
          std::clamp(limit / 16 * 3, kConnectionsMin, kWorkersMax),
          std::clamp(limit / 8, kConnectionsMin, kDashboardMax)};
}

std::size_t descriptor_limit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : kLimitUnknown;
}

}  // namespace overwinter::app
