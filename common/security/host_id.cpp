#include "common/security/host_id.h"

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

}  // namespace

std::string host_id(std::string_view cluster) {
  std::string text(cluster);
  text += '\n';
  text += first_line("/etc/machine-id");
  text += '\n';
  text += first_line("/proc/sys/kernel/random/boot_id");
  return to_hex(sha256(text)).substr(0, 16);
}

}  // namespace overwinter
