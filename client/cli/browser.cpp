#include "client/cli/browser.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "client/sdk/context.h"
#include "common/security/file_io.h"

namespace overwinter::cli {
namespace {

constexpr const char* kOpener = "xdg-open";

std::string leading_page(const std::string& address) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Overwinter</title>\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<meta http-equiv=\"refresh\" content=\"0; url={0}\">\n"
      "<p><a href=\"{0}\">To the page of the cluster</a></p></html>\n",
      address);
}

// Of the login session: in memory, gone with it, and its owner's alone.
Result<std::filesystem::path> runtime_folder() {
  const std::filesystem::path base = client::environment_variable("XDG_RUNTIME_DIR");
  if (!base.is_absolute()) return fail(Code::kNotFound, "there is no runtime folder");
  const std::filesystem::path folder = base / "overwinter";
  if (const Status status = ensure_private_folder(folder); !status.ok()) return fail(status);
  return folder;
}

Result<std::filesystem::path> temporary_folder() {
  std::error_code failed;
  const auto base = std::filesystem::temp_directory_path(failed);
  std::string name = (base / "overwinter-XXXXXX").string();
  if (failed || ::mkdtemp(name.data()) == nullptr) {
    return fail(
        Code::kFailedPrecondition,
        fmt::format("no folder could be made in {}: {}", base.string(), std::strerror(errno)), {},
        "`overwinter dashboard --no-browser` does without");
  }
  return std::filesystem::path(name);
}

bool on_path(const std::string& program) {
  const std::string path = client::environment_variable("PATH");
  std::string_view rest = path;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string file = std::string(rest.substr(0, colon)) + "/" + program;
    if (::access(file.c_str(), X_OK) == 0) return true;
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  return false;
}

// Ours without the token: a browser hands its environment to what it starts.
std::vector<char*> environment_for_browser() {
  constexpr std::string_view kToken = "OVERWINTER_TOKEN=";
  std::vector<char*> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(kToken)) out.push_back(*entry);
  }
  out.push_back(nullptr);
  return out;
}

}  // namespace

LeadingFile::LeadingFile(std::filesystem::path path, std::filesystem::path own_folder)
    : path_(std::move(path)), own_folder_(std::move(own_folder)) {}

LeadingFile::LeadingFile(LeadingFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), own_folder_(std::exchange(other.own_folder_, {})) {}

LeadingFile& LeadingFile::operator=(LeadingFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(own_folder_, other.own_folder_);
  return *this;
}

LeadingFile::~LeadingFile() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove(path_, ignored);
  if (!own_folder_.empty()) std::filesystem::remove(own_folder_, ignored);
}

Result<LeadingFile> LeadingFile::write(const std::string& address) {
  auto folder = runtime_folder();
  std::filesystem::path own;
  if (!folder) {
    folder = temporary_folder();
    if (!folder) return fail(folder.error());
    own = *folder;
  }
  LeadingFile file(*folder / fmt::format("page-{}.html", ::getpid()), own);
  if (const Status status = write_file_atomically(file.path_, leading_page(address));
      !status.ok()) {
    return fail(status);
  }
  return file;
}

bool browser_at_hand() {
  const bool display = !client::environment_variable("DISPLAY").empty() ||
                       !client::environment_variable("WAYLAND_DISPLAY").empty();
  return display && on_path(kOpener);
}

Result<BrowserStart> BrowserStart::open(const std::filesystem::path& file) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  // What it has to say is said to nobody: our output is the command's own.
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
  sigset_t usual;
  ::sigemptyset(&usual);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&usual, number);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  std::string program = kOpener;
  std::string argument = file.string();
  const std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};
  const std::vector<char*> variables = environment_for_browser();
  pid_t pid = -1;
  const int failed =
      ::posix_spawnp(&pid, kOpener, &actions, &attributes, arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    return fail(Code::kFailedPrecondition,
                fmt::format("{} could not be started: {}", kOpener, std::strerror(failed)));
  }
  return BrowserStart(pid);
}

bool BrowserStart::failed() {
  if (!pid_) return false;
  int status = 0;
  if (::waitpid(*pid_, &status, WNOHANG) == 0) return false;
  pid_.reset();
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace overwinter::cli
