#include "coordinator/secrets/secret_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

#include "common/security/encoding.h"
#include "common/security/file_io.h"

namespace overwinter::secrets {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatLine = "overwinter-secret 1 ";
constexpr std::size_t kFileBytesMax = kSecretBytesMax + 128;

bool is_secret_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && name.size() <= kSecretNameMax && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

std::string set_command(std::string_view project, std::string_view name) {
  return fmt::format("overwinter secrets set {} --project {}", name, project);
}

// What a value is sealed to: moved to another name, project or time it does not open.
std::string bound_to(std::string_view project, std::string_view name, std::string_view head) {
  return fmt::format("{}{}/{}", head, name, project);
}

// The names of a folder, sorted; none when it is not there.
Result<std::vector<std::string>> entries_of(const fs::path& folder) {
  std::vector<std::string> out;
  std::error_code problem;
  fs::directory_iterator at(folder, problem);
  if (problem == std::errc::no_such_file_or_directory) return out;
  for (const fs::directory_iterator end; !problem && at != end; at.increment(problem))
    out.push_back(at->path().filename().string());
  if (problem)
    return fail(Code::kInternal, "cannot list " + folder.string() + ": " + problem.message());
  std::sort(out.begin(), out.end());
  return out;
}

Status remove_entry(const fs::path& file) {
  if (::unlink(file.c_str()) != 0)
    return error(Code::kInternal, "cannot remove " + file.string() + ": " + std::strerror(errno));
  return Status::success();
}

// A disk that refuses is our trouble, not the caller's.
Status of_disk(Status status) {
  if (status.ok() || status.code == Code::kResourceExhausted) return status;
  status.code = Code::kInternal;
  return status;
}

// What an earlier process left: half-written files go, and names that it did not sync become
// durable before they are trusted. Whether there is a secret at all.
Result<bool> take_up(const fs::path& folder) {
  const auto projects = entries_of(folder);
  if (!projects) return fail(projects.error());
  bool any = false;
  for (const std::string& project : *projects) {
    const auto files = entries_of(folder / project);
    if (!files) return fail(files.error());
    for (const std::string& file : *files) {
      if (is_secret_name(file)) {
        any = true;
      } else if (Status status = remove_entry(folder / project / file); !status.ok()) {
        return fail(std::move(status));
      }
    }
    if (Status status = fsync_folder(folder / project); !status.ok())
      return fail(std::move(status));
  }
  return any;
}

}  // namespace

Status check_secret_name(std::string_view name) {
  if (is_secret_name(name)) return Status::success();
  return error(Code::kInvalidArgument,
               "the name of a secret is that of a variable: at most 128 letters, digits and \"_\", "
               "not beginning with a digit",
               "name");
}

Result<std::unique_ptr<SecretStore>> SecretStore::open(const fs::path& folder,
                                                       const fs::path& key_file) {
  if (Status status = ensure_private_folder(folder); !status.ok()) return fail(std::move(status));
  const auto any = take_up(folder);
  if (!any) return fail(any.error());
  auto sealer = Sealer::open(key_file);
  if (!sealer && sealer.error().code == Code::kNotFound) {
    if (*any) {
      return fail(Code::kFailedPrecondition,
                  fmt::format("the key {} of the secrets in {} is gone, and without it nobody can "
                              "read them",
                              key_file.string(), folder.string()),
                  {},
                  "bring the key back from a backup, or remove that folder and set the secrets "
                  "anew");
    }
    sealer = Sealer::create(key_file);
  }
  if (!sealer) return fail(std::move(sealer.error()));
  return std::unique_ptr<SecretStore>(new SecretStore(folder, std::move(*sealer)));
}

// A project's name is user text: its hash names the folder.
fs::path SecretStore::project_folder(std::string_view project) const {
  return folder_ / to_hex(sha256(project));
}

Result<std::vector<std::string>> SecretStore::names(std::string_view project) const {
  auto files = entries_of(project_folder(project));
  if (files) std::erase_if(*files, [](const std::string& file) { return !is_secret_name(file); });
  return files;
}

Status SecretStore::set(std::string_view project, std::string_view name, std::string_view value,
                        Time now) {
  if (Status status = check_secret_name(name); !status.ok()) return status;
  if (value.empty()) return error(Code::kInvalidArgument, "the value is empty", "value");
  if (value.size() > kSecretBytesMax)
    return error(Code::kInvalidArgument, "the value is longer than 64 KiB", "value");
  if (value.find('\0') != std::string_view::npos)
    return error(Code::kInvalidArgument,
                 "the value holds a zero byte, which no variable of a process can", "value");
  const std::string head = fmt::format("{}{}\n", kFormatLine, unix_ms(now));
  auto sealed = sealer_.seal(value, bound_to(project, name, head));
  if (!sealed) return std::move(sealed.error());
  const MutexLock lock(mutex_);
  const auto there = names(project);
  if (!there) return there.error();
  if (there->size() >= kSecretsOfProjectMax &&
      !std::binary_search(there->begin(), there->end(), name))
    return error(
        Code::kResourceExhausted,
        fmt::format("project {} has {} secrets, which is the most", project, kSecretsOfProjectMax),
        {}, "delete one that is no longer needed: overwinter secrets delete NAME");
  const fs::path folder = project_folder(project);
  Status status = ensure_private_folder(folder);
  if (status.ok()) status = write_file_atomically(folder / std::string(name), head + *sealed);
  return of_disk(std::move(status));
}

Result<SecretStore::Opened> SecretStore::open_one(std::string_view project,
                                                  std::string_view name) const {
  const auto file = read_file(project_folder(project) / std::string(name), kFileBytesMax);
  if (!file && file.error().code == Code::kNotFound)
    return fail(Code::kNotFound, fmt::format("project {} has no secret {}", project, name), {},
                set_command(project, name));
  if (!file && file.error().code != Code::kInvalidArgument) return fail(of_disk(file.error()));
  Status problem = error(Code::kInternal, "it is damaged");
  const std::size_t line = file ? file->find('\n') : std::string::npos;
  if (line != std::string::npos && file->starts_with(kFormatLine)) {
    const std::string head = file->substr(0, line + 1);
    std::int64_t ms = 0;
    const auto read = std::from_chars(file->data() + kFormatLine.size(), file->data() + line, ms);
    auto value =
        sealer_.unseal(std::string_view(*file).substr(line + 1), bound_to(project, name, head));
    if (value && read.ec == std::errc{}) return Opened{std::move(*value), time_from_unix_ms(ms)};
    if (!value) problem = std::move(value.error());
  }
  return fail(
      Code::kFailedPrecondition,
      fmt::format("the secret {} of project {} cannot be read: {}", name, project, problem.message),
      {}, "set it again: " + set_command(project, name));
}

Result<std::vector<SecretInfo>> SecretStore::list(std::string_view project) const {
  const MutexLock lock(mutex_);
  const auto there = names(project);
  if (!there) return fail(there.error());
  std::vector<SecretInfo> out;
  out.reserve(there->size());
  for (const std::string& name : *there) {
    const auto opened = open_one(project, name);
    if (opened)
      out.push_back({name, opened->set, {}});
    else
      out.push_back({name, Time{}, opened.error().message + "; " + opened.error().hint});
  }
  return out;
}

Result<std::string> SecretStore::read(std::string_view project, std::string_view name) const {
  if (Status status = check_secret_name(name); !status.ok()) return fail(std::move(status));
  const MutexLock lock(mutex_);
  auto opened = open_one(project, name);
  if (!opened) return fail(std::move(opened.error()));
  return std::move(opened->value);
}

Status SecretStore::remove(std::string_view project, std::string_view name) {
  if (Status status = check_secret_name(name); !status.ok()) return status;
  const MutexLock lock(mutex_);
  const auto there = names(project);
  if (!there) return there.error();
  if (!std::binary_search(there->begin(), there->end(), name))
    return error(Code::kNotFound, fmt::format("project {} has no secret {}", project, name), {},
                 "overwinter secrets list --project " + std::string(project));
  const fs::path folder = project_folder(project);
  Status status = remove_entry(folder / std::string(name));
  if (status.ok()) status = fsync_folder(folder);
  return of_disk(std::move(status));
}

}  // namespace overwinter::secrets
