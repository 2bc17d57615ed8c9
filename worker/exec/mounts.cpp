#include "worker/exec/mounts.h"

#include <fmt/core.h>

#include <filesystem>

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMountsMax = 64;

bool at_or_below(const std::string& path, const std::string& folder) {
  return path == folder || path.starts_with(folder + "/");
}

// Absolute, without "." and "..", no slash at the end; empty: cannot be.
std::string normal(std::string_view text) {
  if (!text.starts_with('/') || text.find('\0') != std::string_view::npos) return {};
  std::string path = fs::path(text).lexically_normal().string();
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

bool stays_inside(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  for (const fs::path& part : fs::path(path))
    if (part == ".." || part == "." || part.empty() || part == "/") return false;
  return true;
}

// A path that is there is covered; else its first part is made, beside the root's own folders.
bool bindable(const std::string& absolute) {
  for (const char* system : {"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc",
                             "/run", "/sbin", "/sys", "/usr", "/var"})
    if (at_or_below(absolute, system)) return false;
  std::error_code code;
  if (absolute == "/") return false;
  if (fs::is_directory(fs::symlink_status(absolute, code))) return true;
  return !fs::exists(
      fs::symlink_status("/" + fs::path(absolute).relative_path().begin()->string(), code));
}

Result<Mount> resolve(const std::vector<AllowedMount>& allowed, std::string_view project,
                      const std::string& inside, std::string outside, bool can_bind) {
  Mount mount;
  if (outside.ends_with(":rw")) {
    mount.writable = true;
    outside.resize(outside.size() - 3);
  } else if (outside.ends_with(":ro")) {
    outside.resize(outside.size() - 3);
  }
  const std::string path = normal(outside);
  if (path.empty())
    return fail(Code::kInvalidArgument, fmt::format("{} is no absolute path", outside),
                "workload.exec.mounts");
  if (normal(inside) != path) {
    const std::string absolute = normal(inside);
    if (!absolute.empty() && !(can_bind && bindable(absolute)))
      return fail(Code::kInvalidArgument,
                  fmt::format("this worker cannot show {} as {}: {}", path, absolute,
                              can_bind ? "a system folder is in the way"
                                       : "bind mounts need root outside of a container"),
                  "workload.exec.mounts", fmt::format("data: {} (a path in the workdir)", path));
    if (absolute.empty() && !stays_inside(inside))
      return fail(
          Code::kInvalidArgument,
          fmt::format("{} cannot be where {} appears: a path in the workdir, or the same path, "
                      "can",
                      inside, path),
          "workload.exec.mounts", fmt::format("data: {}", path));
    mount.inside = absolute.empty() ? inside : absolute;
  }
  std::error_code code;
  mount.outside = fs::canonical(path, code).string();
  // The path as it is asked for and where it leads: a link below an allowed folder must not lead
  // away.
  for (const AllowedMount& one : allowed) {
    if (code || !(one.project.empty() || one.project == project)) continue;
    std::error_code none;
    const std::string real = fs::canonical(one.path, none).string();
    if (!none && at_or_below(mount.outside, real)) return mount;
  }
  return fail(Code::kPermissionDenied,
              fmt::format("this worker does not allow {} to jobs of project {}", path, project),
              "workload.exec.mounts", "its operator allows it with --allow-mount");
}

}  // namespace

Result<AllowedMount> parse_allowed_mount(std::string_view text) {
  AllowedMount mount;
  const std::size_t equals = text.rfind('=');
  mount.path = normal(text.substr(0, equals));
  if (equals != std::string_view::npos) mount.project = std::string(text.substr(equals + 1));
  if (mount.path.empty() || mount.path == "/")
    return fail(
        Code::kInvalidArgument,
        fmt::format("{} is no folder that can be allowed; PATH[=PROJECT] with an absolute path "
                    "below / is",
                    text),
        "--allow-mount");
  if (equals != std::string_view::npos && mount.project.empty())
    return fail(Code::kInvalidArgument, fmt::format("{} names no project", text), "--allow-mount");
  return mount;
}

Result<std::vector<Mount>> resolve_mounts(const std::vector<AllowedMount>& allowed,
                                          std::string_view project,
                                          const std::map<std::string, std::string>& mounts,
                                          bool can_bind) {
  if (mounts.size() > kMountsMax)
    return fail(Code::kInvalidArgument, fmt::format("more than {} mounts", kMountsMax),
                "workload.exec.mounts");
  std::vector<Mount> resolved;
  for (const auto& [inside, outside] : mounts) {
    Result<Mount> mount = resolve(allowed, project, inside, outside, can_bind);
    if (!mount) return fail(std::move(mount.error()));
    resolved.push_back(std::move(*mount));
  }
  return resolved;
}

}  // namespace overwinter::worker::exec
