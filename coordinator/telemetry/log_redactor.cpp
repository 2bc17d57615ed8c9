#include "coordinator/telemetry/log_redactor.h"

#include <string_view>

#include "common/security/redact.h"

namespace overwinter::telemetry {
namespace {

constexpr int kKeyLinesMax = 200;  // an RSA key of 8192 bits has about 100

// Whether redact() could find anything: most lines have none of these, and it walks byte by byte.
bool may_hold_a_secret(std::string_view line) {
  for (std::string_view sign :
       {"ow_", "ow1_", "owc1_", "earer ", "EARER ", "-----BEGIN", "MIGHAgEA", "MC4CAQAw"})
    if (line.find(sign) != std::string_view::npos) return true;
  return false;
}

}  // namespace

void LogRedactor::clean(std::string& line) {
  if (inside_key_ > 0) {
    const bool ends = line.find("-----END ") != std::string::npos;
    inside_key_ = ends ? 0 : inside_key_ - 1;
    line = kRedacted;
    return;
  }
  if (!may_hold_a_secret(line)) return;
  const std::size_t begins = line.rfind("-----BEGIN ");
  if (begins != std::string::npos && line.find("PRIVATE KEY-----", begins) != std::string::npos &&
      line.find("-----END ", begins) == std::string::npos)
    inside_key_ = kKeyLinesMax;
  line = redact(line);
}

}  // namespace overwinter::telemetry
