#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "common/spec/violations.h"

namespace overwinter::spec {
namespace {

constexpr std::size_t kArgumentsMax = 4096;
constexpr std::size_t kVariablesMax = 256;
constexpr std::size_t kPathsMax = 64;
constexpr std::size_t kRegexBytesMax = 512;
constexpr std::int64_t kRegexMemoryMax = 1 << 20;

bool is_variable(std::string_view name) {
  const auto is_word = [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '_');
  };
  return !name.empty() && name.size() <= 128 &&
         std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), is_word);
}

// Variables that we set ourselves.
bool is_ours(std::string_view name, std::string_view launcher) {
  if (name.substr(0, 11) == "OVERWINTER_") return true;
  if (launcher == "none") return false;
  static const std::set<std::string_view> kLaunchers = {
      "RANK",           "WORLD_SIZE",       "LOCAL_RANK",         "LOCAL_WORLD_SIZE",
      "GROUP_RANK",     "GROUP_WORLD_SIZE", "ROLE_RANK",          "ROLE_WORLD_SIZE",
      "ROLE_NAME",      "NODE_RANK",        "MASTER_ADDR",        "MASTER_PORT",
      "PET_NNODES",     "PET_NODE_RANK",    "PET_NPROC_PER_NODE", "PET_MASTER_ADDR",
      "PET_MASTER_PORT"};
  return kLaunchers.contains(name) || name.substr(0, 13) == "TORCHELASTIC_";
}

// A path below a folder, that does not lead out of it.
bool stays_inside(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.size() > 1024) return false;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (path.substr(0, slash) == "..") return false;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return true;
}
bool is_whole_folder(std::string_view path) {
  return path.find_first_not_of("./") == std::string_view::npos;
}

void fill_exec_defaults(v1::JobSpec& spec) {
  v1::ExecSpec& exec = *spec.mutable_exec();
  if (exec.launcher().empty()) exec.set_launcher("env");
  v1::WorkersSpec& workers = *spec.mutable_workers();
  if (workers.min() == 0) workers.set_min(1);
  // A program counts on the number it is given: only a written maximum lets it vary.
  if (workers.max() == 0) workers.set_max(workers.min());
  if (spec.spot().empty()) spec.set_spot(exec.checkpoint_dir().empty() ? "never" : "allowed");
  v1::StopSpec& stop = *spec.mutable_stop();
  if (stop.signal().empty()) stop.set_signal("SIGTERM");
  if (!stop.has_grace()) stop.mutable_grace()->set_seconds(90);
}

void check_command(const v1::ExecSpec& exec, Violations& out) {
  const std::string field = "workload.exec.command";
  const auto arguments = static_cast<std::size_t>(exec.argv_size());
  if (!exec.shell().empty() && arguments != 0)
    return out.refuse(field, field + " is a text or a list, not both.");
  if (arguments != 0 ? exec.argv(0).empty()
                     : exec.shell().find_first_not_of(" \t\r\n") == std::string::npos)
    return out.refuse(field, field + " is missing: python3 train.py, or [python3, train.py].");
  if (arguments > kArgumentsMax) out.refuse(field, field + " has at most 4096 arguments.");
}

void check_variables(const v1::ExecSpec& exec, Violations& out) {
  const std::string field = "workload.exec.env";
  if (exec.env().size() > kVariablesMax) out.refuse(field, field + " has at most 256 variables.");
  const std::set<std::string> secrets(exec.secrets().begin(), exec.secrets().end());
  const std::set<std::string> names = [&] {
    std::set<std::string> sorted = secrets;
    for (const auto& [name, unused] : exec.env()) sorted.insert(name);
    return sorted;
  }();
  for (const std::string& name : names) {
    const std::string of = secrets.contains(name) ? "workload.exec.secrets" : field;
    if (!is_variable(name))
      out.refuse(of, of + ": \"" + printable(name) +
                         "\" must be letters, digits and \"_\", not beginning with a digit.");
    else if (is_ours(name, exec.launcher()))
      out.refuse(of, of + ": " + name + " is set for each process by itself; leave it out.");
    else if (secrets.contains(name) && exec.env().contains(name))
      out.refuse(of, of + ": " + name + " is in env too; name it once.");
  }
  for (const auto& [name, value] : exec.env())
    if (value.size() > 64 * 1024 || value.find('\0') != std::string::npos)
      out.refuse(field, field + ": the value of " + printable(name) +
                            " is longer than 64 KiB or holds a NUL character.");
  if (static_cast<std::size_t>(exec.secrets_size()) > kPathsMax)
    out.refuse("workload.exec.secrets", "workload.exec.secrets has at most 64 names.");
}

void check_mounts(const v1::ExecSpec& exec, Violations& out) {
  const std::string field = "workload.exec.mounts";
  if (exec.mounts().size() > kPathsMax) out.refuse(field, field + " has at most 64 paths.");
  const auto is_absolute = [](std::string_view path) {
    return path.size() > 1 && path.front() == '/' && stays_inside(path.substr(1)) &&
           !is_whole_folder(path);
  };
  const std::set<std::string> inside = [&] {
    std::set<std::string> sorted;
    for (const auto& [path, unused] : exec.mounts()) sorted.insert(path);
    return sorted;
  }();
  for (const std::string& path : inside) {
    std::string_view outside = exec.mounts().at(path);
    if (outside.size() > 3 && outside.substr(outside.size() - 3) == ":rw") outside.remove_suffix(3);
    if (!is_absolute(path) || !is_absolute(outside) || has_control_character(path) ||
        has_control_character(outside))
      out.refuse(field, field + ": \"" + printable(path) +
                            "\" must be an absolute path, and so must the worker's path that it "
                            "shows: { /data: /mnt/imagenet }.");
  }
}

void check_paths(const v1::ExecSpec& exec, Violations& out) {
  const auto wrong = [&](const std::string& field, const std::string& path,
                         const std::string& rule) {
    out.refuse(field, field + ": \"" + printable(path) + "\" " + rule);
  };
  for (const std::string& path : exec.outputs())
    if (!stays_inside(path)) wrong("workload.exec.outputs", path, "must be a path in the workdir.");
  for (const std::string& path : exec.cache()) {
    const bool at_home = path.substr(0, 2) == "~/";
    if (!stays_inside(at_home ? std::string_view(path).substr(2) : path) || is_whole_folder(path))
      wrong("workload.exec.cache", path,
            "must be a folder of the job's home (~/.cache/pip) or of its workdir.");
  }
  const std::string& folder = exec.checkpoint_dir();
  if (!folder.empty() && (!stays_inside(folder) || is_whole_folder(folder)))
    wrong("workload.exec.checkpoint_dir", folder, "must be a folder in the workdir (ckpt).");
  if (static_cast<std::size_t>(exec.outputs_size()) > kPathsMax)
    out.refuse("workload.exec.outputs", "workload.exec.outputs has at most 64 paths.");
  if (static_cast<std::size_t>(exec.cache_size()) > kPathsMax)
    out.refuse("workload.exec.cache", "workload.exec.cache has at most 64 paths.");
}

void check_metrics(const v1::ExecSpec& exec, Violations& out) {
  const std::string field = "workload.exec.metrics";
  if (static_cast<std::size_t>(exec.metrics_size()) > kPathsMax)
    return out.refuse(field, field + " has at most 64 patterns.");
  // RE2 takes time that grows with the line alone, whatever the pattern.
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryMax);
  std::set<std::string> seen;
  for (const v1::MetricPattern& metric : exec.metrics()) {
    const std::string& name = metric.name();
    if (name.empty() || name.size() > 64 || has_control_character(name) || !is_utf8(name))
      out.refuse(field, field + " needs names of 1 to 64 characters.");
    else if (!seen.insert(name).second)
      out.refuse(field, field + ": \"" + printable(name) + "\" is there twice.");
    if (metric.regex().size() > kRegexBytesMax) {
      out.refuse(field,
                 field + ": the regex of \"" + printable(name) + "\" has at most 512 bytes.");
      continue;
    }
    const re2::RE2 pattern(metric.regex(), options);
    if (!pattern.ok())
      out.refuse(field, field + ": the regex of \"" + printable(name) +
                            "\" cannot be read (RE2): " + printable(pattern.error()) + ".");
    else if (pattern.NumberOfCapturingGroups() < 1)
      out.refuse(field, field + ": the regex of \"" + printable(name) +
                            "\" needs a group around the number: loss=([0-9.]+).");
  }
}

}  // namespace

void validate_exec(v1::JobSpec& spec, Violations& out) {
  fill_exec_defaults(spec);
  out.keys(spec, "workload.exec");
  const v1::ExecSpec& exec = spec.exec();
  check_command(exec, out);
  check_variables(exec, out);
  check_mounts(exec, out);
  check_paths(exec, out);
  check_metrics(exec, out);
  if (out.options().require_artifacts && !exec.workdir().empty())
    out.file("workload.exec.workdir", exec.workdir(), "a folder");
  if (spec.transport() == "elastic")
    out.refuse("transport",
               "transport cannot be \"elastic\": a program of your own runs as a gang; say "
               "transport: auto or gang.");
}

}  // namespace overwinter::spec
