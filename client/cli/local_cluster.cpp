#include "client/cli/local_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "client/sdk/context.h"
#include "common/security/file_io.h"

namespace overwinter::cli {
namespace {

constexpr std::size_t kSettingsBytesMax = std::size_t{64} * 1024;
constexpr std::size_t kLogTailBytes = 1500;

bool bindable(std::uint16_t port, std::uint16_t* chosen) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t length = sizeof address;
  const bool ok = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                  listen(fd, 1) == 0 &&
                  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(fd);
  if (ok) *chosen = ntohs(address.sin_port);
  return ok;
}

// In the child, between fork and exec: only calls that are safe there.
[[noreturn]] void become(const std::vector<char*>& arguments, int log, int null) {
  setsid();
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

ClusterFolder cluster_folder(const std::string& dir) {
  std::string path = dir;
  if (path.empty()) {
    std::string base = client::environment_variable("XDG_STATE_HOME");
    if (base.empty()) base = client::environment_variable("HOME") + "/.local/state";
    path = base + "/overwinter";
  }
  return {std::filesystem::absolute(path).lexically_normal().string()};
}

Result<std::optional<ClusterSettings>> load_settings(const ClusterFolder& folder) {
  auto text = read_file(folder.settings(), kSettingsBytesMax);
  if (!text) {
    if (text.error().code == Code::kNotFound) return std::optional<ClusterSettings>();
    return fail(text.error());
  }
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) {
    return fail(Code::kInvalidArgument, folder.settings() + " is not the settings of a cluster",
                "dir", "name another folder with --dir");
  }
  ClusterSettings settings;
  settings.workers = json.value("workers", 0U);
  settings.people_port = json.value("people_port", std::uint16_t{0});
  settings.workers_port = json.value("workers_port", std::uint16_t{0});
  settings.dashboard_port = json.value("dashboard_port", std::uint16_t{0});
  for (const auto& device : json.value("devices", nlohmann::json::array())) {
    if (device.is_string()) settings.devices.push_back(device.get<std::string>());
  }
  return std::optional<ClusterSettings>(settings);
}

Status save_settings(const ClusterFolder& folder, const ClusterSettings& settings) {
  const nlohmann::json json = {{"workers", settings.workers},
                               {"devices", settings.devices},
                               {"people_port", settings.people_port},
                               {"workers_port", settings.workers_port},
                               {"dashboard_port", settings.dashboard_port}};
  return write_file_atomically(folder.settings(), json.dump(2) + "\n");
}

std::uint16_t free_port(std::uint16_t wanted) {
  std::uint16_t port = 0;
  if (bindable(wanted, &port)) return port;
  return bindable(0, &port) ? port : 0;
}

Result<std::string> program_path(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string path = (self.parent_path() / name).string();
  if (error || access(path.c_str(), X_OK) != 0) {
    return fail(Code::kNotFound, "the program " + path + " is missing", "",
                "it is built and installed beside `overwinter`");
  }
  return path;
}

std::optional<pid_t> running(const ClusterFolder& folder, const std::string& name,
                             const std::string& program) {
  auto text = read_file(folder.pid_file(name), 64);
  if (!text) return std::nullopt;
  const long pid = std::strtol(text->c_str(), nullptr, 10);
  if (pid <= 1 || kill(static_cast<pid_t>(pid), 0) != 0) return std::nullopt;
  // The number may have gone to another process since. Our daemons close /proc/PID/exe to others;
  // the command line stays readable.
  const std::string path = "/proc/" + std::to_string(pid) + "/cmdline";
  std::string command(4096, '\0');
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const ssize_t n = read(fd, command.data(), command.size());
  close(fd);
  command.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  command = command.substr(0, command.find('\0'));
  if (command.substr(command.rfind('/') + 1).rfind(program, 0) != 0) return std::nullopt;
  return static_cast<pid_t>(pid);
}

Result<pid_t> start_process(const ClusterFolder& folder, const std::string& name,
                            const std::vector<std::string>& command) {
  const int log =
      open(folder.log_file(name).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::vector<std::string> owned = command;
  std::vector<char*> arguments;
  arguments.reserve(owned.size() + 1);
  for (std::string& argument : owned) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (log >= 0 && null >= 0) {
    pid = fork();
    if (pid == 0) become(arguments, log, null);
  }
  const int failed = errno;
  if (log >= 0) close(log);
  if (null >= 0) close(null);
  if (pid < 0) {
    return fail(Code::kInternal, "cannot start " + command[0] + ": " + std::strerror(failed));
  }
  if (const Status s = write_file_atomically(folder.pid_file(name), std::to_string(pid) + "\n");
      !s.ok()) {
    kill(pid, SIGTERM);
    return fail(s);
  }
  return pid;
}

std::string log_tail(const ClusterFolder& folder, const std::string& name) {
  const int fd = open(folder.log_file(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const off_t size = lseek(fd, 0, SEEK_END);
  const off_t from =
      size > static_cast<off_t>(kLogTailBytes) ? size - static_cast<off_t>(kLogTailBytes) : 0;
  std::string text(kLogTailBytes, '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), from);
  close(fd);
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  if (from > 0) text = text.substr(text.find('\n') + 1);
  return text;
}

}  // namespace overwinter::cli
