#include "worker/exec/landlock.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace overwinter::worker::exec {
namespace {

// Of ABIs newer than the headers of Debian 12: 3 (truncate), 5 (ioctl of devices), 6 (scopes).
constexpr std::uint64_t kTruncate = std::uint64_t{1} << 14;
constexpr std::uint64_t kIoctlDevice = std::uint64_t{1} << 15;
constexpr std::uint64_t kScopeAbstractSocket = std::uint64_t{1} << 0;
constexpr std::uint64_t kScopeSignal = std::uint64_t{1} << 1;

// landlock_ruleset_attr as of ABI 6; older kernels take its beginning.
struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

constexpr std::uint64_t kReadAccess =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

std::uint64_t all_access(int abi) {
  std::uint64_t access = (std::uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;  // ABI 1
  if (abi >= 2) access |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) access |= kTruncate;
  if (abi >= 5) access |= kIoctlDevice;
  return access;
}

// What a rule on something that is no folder may hold.
constexpr std::uint64_t kFileAccess = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                      LANDLOCK_ACCESS_FS_READ_FILE | kTruncate | kIoctlDevice;

}  // namespace

int landlock_abi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0},
                             LANDLOCK_CREATE_RULESET_VERSION);
  return abi > 0 ? static_cast<int>(abi) : 0;
}

Result<Descriptor> landlock_rules(const std::vector<Grant>& grants) {
  const int abi = landlock_abi();
  if (abi == 0) return fail(Code::kUnimplemented, "this kernel has no Landlock");
  const std::uint64_t all = all_access(abi);
  RulesetAttributes attributes{.handled_access_fs = all};
  std::size_t size = sizeof(std::uint64_t);
  if (abi >= kLandlockScopes) {
    attributes.scoped = kScopeAbstractSocket | kScopeSignal;
    size = sizeof attributes;
  }
  Descriptor rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0U)));
  if (!rules.valid())
    return fail(Code::kInternal, fmt::format("Landlock: no rule set: {}", std::strerror(errno)));
  for (const Grant& grant : grants) {
    const Descriptor path(::open(grant.path.c_str(), O_PATH | O_CLOEXEC));
    if (!path.valid()) {
      if (errno == ENOENT || errno == ENOTDIR) continue;
      return fail(Code::kInternal,
                  fmt::format("Landlock: cannot open {}: {}", grant.path, std::strerror(errno)));
    }
    struct stat status {};
    if (::fstat(path.get(), &status) != 0)
      return fail(Code::kInternal,
                  fmt::format("Landlock: cannot look at {}: {}", grant.path, std::strerror(errno)));
    std::uint64_t access = grant.access == Access::kRead ? kReadAccess : all;
    if (!S_ISDIR(status.st_mode)) access &= kFileAccess;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access & all;
    rule.parent_fd = path.get();
    if (::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) != 0)
      return fail(Code::kInternal,
                  fmt::format("Landlock: cannot grant {}: {}", grant.path, std::strerror(errno)));
  }
  return rules;
}

int landlock_enter(const Descriptor& rules) {
  return ::syscall(SYS_landlock_restrict_self, rules.get(), 0U) == 0 ? 0 : errno;
}

}  // namespace overwinter::worker::exec
