#include "worker/exec/confinement.h"

#include <fmt/core.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "worker/exec/syscall_filter.h"

namespace overwinter::worker::exec {
namespace {

constexpr int kCapabilitiesMax = 64;

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[capability / 32].effective & (1U << (capability % 32))) != 0;
}

Status step_failed(const char* step) {
  return error(Code::kInternal, fmt::format("confinement: {}: {}", step, std::strerror(errno)));
}

Status take_uid(const Confinement& confinement) {
  const uid_t uid = *confinement.uid;
  const gid_t gid = uid;
  if (::setgroups(confinement.groups.size(), confinement.groups.data()) != 0)
    return step_failed("setgroups");
  if (::setresgid(gid, gid, gid) != 0) return step_failed("setresgid");
  if (::setresuid(uid, uid, uid) != 0) return step_failed("setresuid");
  return Status::success();
}

Status drop_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return step_failed("capset");
  // Refused on kernels before ambient capabilities only.
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return Status::success();
}

bool lies_below(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::string ConfinementSupport::describe() const {
  if (!can()) return why_not;
  return fmt::format("{}, Landlock ABI {}, seccomp", own_uid ? "own uid" : "the worker's uid",
                     landlock);
}

std::vector<Grant> common_grants() {
  std::vector<Grant> grants;
  for (const char* path :
       {"/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys",
        "/dev/urandom", "/dev/random", "/run/systemd/resolve", "/run/resolvconf"})
    grants.push_back({path, Access::kRead});
  for (const char* path : {"/dev/null", "/dev/zero", "/dev/full", "/dev/shm"})
    grants.push_back({path, Access::kReadWrite});
  return grants;
}

ConfinementSupport decide_confinement(bool own_uid, int landlock, bool seccomp,
                                      const std::vector<std::string>& hidden) {
  ConfinementSupport support{own_uid, landlock, {}};
  if (!seccomp) {
    support.why_not = "this kernel has no seccomp filters";
  } else if (landlock == 0) {
    support.why_not = "this kernel has no Landlock, or it is switched off (lsm=)";
  } else if (!own_uid && landlock < kLandlockScopes) {
    support.why_not = fmt::format(
        "jobs would run as the worker's own user, and Landlock here (ABI {}, need {}) would let "
        "them signal it; run the worker as root",
        landlock, kLandlockScopes);
  } else if (!own_uid) {
    for (const std::string& path : hidden)
      for (const Grant& grant : common_grants())
        if (lies_below(path, grant.path))
          support.why_not = fmt::format(
              "{} lies below {}, which every job may read; move it or run "
              "the worker as root",
              path, grant.path);
  }
  return support;
}

ConfinementSupport can_confine(const std::vector<std::string>& hidden) {
  const bool own_uid = has_capability(CAP_SETUID) && has_capability(CAP_SETGID) &&
                       has_capability(CAP_CHOWN) && has_capability(CAP_KILL);
  // Answers 0 (off) or 2 (filtered); a kernel without filters says EINVAL.
  const bool seccomp = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  std::vector<std::string> resolved;
  for (const std::string& path : hidden) {
    std::error_code code;
    const auto real = std::filesystem::weakly_canonical(path, code);
    resolved.push_back(code ? path : real.string());
  }
  return decide_confinement(own_uid, landlock_abi(), seccomp, resolved);
}

Status enter_confinement(const Confinement& confinement, pid_t parent) {
  Result<Descriptor> rules = landlock_rules(confinement.grants);
  if (!rules) return std::move(rules.error());
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return step_failed("setrlimit");
  ::umask(077);
  // Needs CAP_SETPCAP, which the next step takes; without it there is nothing to bound.
  for (int capability = 0; capability < kCapabilitiesMax; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  if (confinement.uid)
    if (Status status = take_uid(confinement); !status.ok()) return status;
  if (Status status = drop_capabilities(); !status.ok()) return status;
  // After setresuid, which clears it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return step_failed("the death signal");
  if (::getppid() != parent) return error(Code::kCancelled, "its keeper is gone");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return step_failed("no_new_privs");
  if (const int number = landlock_enter(*rules); number != 0) {
    errno = number;
    return step_failed("Landlock");
  }
  return load_syscall_filter();
}

}  // namespace overwinter::worker::exec
