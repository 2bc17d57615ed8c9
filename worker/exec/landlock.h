// Landlock (kernel documentation: userspace-api/landlock): a process gives up, for itself and all
// that it starts, every path that was not granted. The constants of newer ABIs than the headers at
// hand are written out in landlock.cpp; what a kernel does not know is not asked of it.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {

enum class Access : unsigned char {
  kRead,       // read files and list folders, run programs
  kReadWrite,  // everything, below this folder or on this file
};

// Everything below `path`, or the one file. A path that is not there grants nothing.
struct Grant {
  std::string path;
  Access access = Access::kRead;
  friend bool operator==(const Grant&, const Grant&) = default;
};

// The ABI of this kernel; 0 when it has no Landlock (or it is switched off).
[[nodiscard]] int landlock_abi();
// From this ABI on a confined process cannot signal or trace what is outside (scopes).
inline constexpr int kLandlockScopes = 6;

// The rules, ready to be entered. Opens the paths with the rights of the caller: do it before these
// are dropped. UNIMPLEMENTED without Landlock.
[[nodiscard]] Result<Descriptor> landlock_rules(const std::vector<Grant>& grants);
// For this thread and what it starts; no_new_privs must be set. errno on failure, else 0.
[[nodiscard]] int landlock_enter(const Descriptor& rules);

}  // namespace overwinter::worker::exec
