// Folders of the worker that a job may see: what the operator allowed (--allow-mount
// PATH[=PROJECT]) against what a job file asks for (`mounts`). A mount is a Landlock grant, and
// where the job wants it under another name a link in its workdir: bind mounts need root outside of
// containers, and a job must find the same on every worker.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker::exec {

struct AllowedMount {
  std::string path;     // absolute, without "." and ".."
  std::string project;  // empty: any
  friend bool operator==(const AllowedMount&, const AllowedMount&) = default;
};
// The value of one --allow-mount. The root folder is refused.
[[nodiscard]] Result<AllowedMount> parse_allowed_mount(std::string_view text);

struct Mount {
  std::string
      inside;  // relative: a link in the workdir; absolute: a bind mount; empty: its own name
  std::string outside;  // absolute, links resolved
  bool writable = false;
  friend bool operator==(const Mount&, const Mount&) = default;
};

// What the job file's `mounts` (path in the job -> path on the worker, ":rw" at its end: writable)
// come to. The path in the job is relative to the workdir, or the path on the worker itself, or
// with `can_bind` any absolute path whose first part is not there on this machine, or that is there
// itself. PERMISSION_DENIED: not allowed here, which is also the answer for what is not there, so
// that a job cannot feel its way around a machine. INVALID_ARGUMENT: a path that cannot be.
[[nodiscard]] Result<std::vector<Mount>> resolve_mounts(
    const std::vector<AllowedMount>& allowed, std::string_view project,
    const std::map<std::string, std::string>& mounts, bool can_bind);

}  // namespace overwinter::worker::exec
