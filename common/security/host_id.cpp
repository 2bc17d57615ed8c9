#include "common/security/host_id.h"

#include <filesystem>
#include <fstream>

#include "common/base/bytes.h"
#include "common/security/encoding.h"

namespace overwinter {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "net:[4026531840]"; empty where it cannot be told.
std::string name_of_namespace(const char* path) {
  std::error_code failed;
  return std::filesystem::read_symlink(path, failed).string();
}

}  // namespace

std::string host_id(std::string_view cluster) {
  std::string text(cluster);
  text += '\n';
  text += first_line("/etc/machine-id");
  text += '\n';
  text += first_line("/proc/sys/kernel/random/boot_id");
  for (const char* path : {"/proc/self/ns/net", "/proc/self/ns/pid"})
    text += '\n' + name_of_namespace(path);
  return to_hex(sha256(text)).substr(0, 16);
}

}  // namespace overwinter
