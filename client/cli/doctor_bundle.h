// The file of `overwinter doctor -o FILE`: the report and what else helps whoever is asked for
// help, with nothing in it that lets anybody in. One JSON object: the report's own fields, and
// beside them `bundle`. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "overwinter/v1/audit.pb.h"
#include "overwinter/v1/doctor.pb.h"

namespace overwinter::cli {

// Of the machine that the command runs on.
struct CommandFacts {
  std::string system;   // "Linux 6.1.0-18-amd64 x86_64"
  std::string context;  // name; empty: the environment alone says where the coordinator is
  std::string config;   // the file of contexts
  std::string ca_file;
  std::string token_file;
  std::vector<std::string> environment;  // names of variables that are set; never their values
};

struct Bundle {
  CommandFacts command;
  // The newest lines, or why there are none (who may not read the audit has none).
  Result<v1::ListAuditEntriesResponse> audit = v1::ListAuditEntriesResponse();
};

// Every text in it has passed redact_for_strangers().
[[nodiscard]] std::string bundle_text(const v1::DoctorReport& report, const Bundle& bundle);

// redact() (common/security), and of addresses of the web the host alone: what follows it may be a
// secret, as it is in those of webhooks.
[[nodiscard]] std::string redact_for_strangers(std::string_view text);

}  // namespace overwinter::cli
