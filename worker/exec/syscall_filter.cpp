#include "worker/exec/syscall_filter.h"

#include <fmt/core.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace overwinter::worker::exec {
namespace {

constexpr std::array<std::string_view, 59> kRefused = {
    // other processes
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "process_madvise",
    // file systems
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
    "fsconfig", "fspick", "mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd",
    "open_by_handle_at", "fanotify_init",
    // kernel
    "bpf", "perf_event_open", "kexec_load", "kexec_file_load", "init_module", "finit_module",
    "delete_module", "create_module", "get_kernel_syms", "query_module", "reboot", "acct", "syslog",
    "userfaultfd", "lookup_dcookie", "nfsservctl", "uselib", "vhangup", "modify_ldt", "iopl",
    "ioperm", "_sysctl", "ustat", "sysfs",
    // keys, names, time, namespaces
    "add_key", "request_key", "keyctl", "sethostname", "setdomainname", "settimeofday",
    "clock_settime", "clock_adjtime", "adjtimex", "setns", "stime", "memfd_secret"};

// Looked into and not there: what uses them falls back.
constexpr std::array<std::string_view, 4> kAbsent = {"clone3", "io_uring_setup", "io_uring_enter",
                                                     "io_uring_register"};

constexpr std::array<unsigned, 8> kNamespaces = {
    CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
    CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET, 0x00000080 /* CLONE_NEWTIME, unshare alone */};

struct Release {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Filter = std::unique_ptr<void, Release>;

// A name that the library does not know, or that this machine's processor never had, is no hole.
int refuse_call(scmp_filter_ctx filter, std::string_view name, int error_number) {
  const int number = ::seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number == __NR_SCMP_ERROR) return 0;
  const int rc =
      ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(static_cast<unsigned>(error_number)), number, 0);
  return rc == -EDOM || rc == -EINVAL ? 0 : rc;
}

int refuse_flag(scmp_filter_ctx filter, int number, unsigned argument, std::uint64_t mask,
                std::uint64_t value) {
  const scmp_arg_cmp compare{argument, SCMP_CMP_MASKED_EQ, mask, value};
  return ::seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), number, 1, &compare);
}

int add_rules(scmp_filter_ctx filter) {
  for (const std::string_view name : kRefused)
    if (const int rc = refuse_call(filter, name, EPERM); rc != 0) return rc;
  for (const std::string_view name : kAbsent)
    if (const int rc = refuse_call(filter, name, ENOSYS); rc != 0) return rc;
  for (const unsigned flag : kNamespaces) {
    if (const int rc = refuse_flag(filter, SCMP_SYS(unshare), 0, flag, flag); rc != 0) return rc;
    if (flag == 0x00000080) continue;  // for clone these bits are the signal at its end
    if (const int rc = refuse_flag(filter, SCMP_SYS(clone), 0, flag, flag); rc != 0) return rc;
  }
  // Characters pushed into a terminal that the daemon may have been started from.
  return refuse_flag(filter, SCMP_SYS(ioctl), 1, 0xffffffffU, TIOCSTI);
}

}  // namespace

std::vector<std::string_view> refused_system_calls() {
  std::vector<std::string_view> names(kRefused.begin(), kRefused.end());
  names.insert(names.end(), kAbsent.begin(), kAbsent.end());
  return names;
}

Status load_syscall_filter() {
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) return error(Code::kInternal, "seccomp: no filter");
  // A program of another architecture (32 bits) would pass by the numbers of this one.
  int rc = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
  if (rc == 0) rc = add_rules(filter.get());
  if (rc == 0) rc = ::seccomp_load(filter.get());
  if (rc != 0) return error(Code::kInternal, fmt::format("seccomp: {}", std::strerror(-rc)));
  return Status::success();
}

}  // namespace overwinter::worker::exec
