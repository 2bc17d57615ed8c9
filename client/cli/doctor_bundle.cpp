#include "client/cli/doctor_bundle.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/cli/output.h"
#include "common/base/version.h"
#include "common/security/redact.h"

namespace overwinter::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kBundleFormat = 1;

// Everything below is ASCII: what a text holds beside it is part of an address, too.
bool ends_address(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' ||
         c == '`';
}

std::size_t scheme_at(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (text.size() < scheme.size()) continue;
    bool same = true;
    for (std::size_t i = 0; i < scheme.size(); ++i) {
      const char c = text[i];
      same = same && (c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) == scheme[i];
    }
    if (same) return scheme.size();
  }
  return 0;
}

// "https://user:word@host:1/path?query" as "https://[redacted]@host:1/[redacted]".
std::string shortened(std::string_view scheme, std::string_view address) {
  std::string out(scheme);
  const std::size_t end = std::min(address.find_first_of("/?#\\"), address.size());
  std::string_view host = address.substr(0, end);
  if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
    out += std::string(kRedacted) + '@';
    host.remove_prefix(at + 1);
  }
  out += host;
  const std::string_view rest = address.substr(end);
  if (rest.empty() || rest == "/") return out.append(rest);
  return out + rest.front() + std::string(kRedacted);
}

void redact_all(Json& value) {
  if (value.is_string()) {
    value = redact_for_strangers(value.get_ref<const std::string&>());
  } else if (value.is_array()) {
    for (Json& one : value) redact_all(one);
  } else if (value.is_object()) {
    Json clean = Json::object();
    for (auto& [key, one] : value.items()) {
      redact_all(one);
      clean[redact_for_strangers(key)] = std::move(one);
    }
    value = std::move(clean);
  }
}

Json audit_json(const Result<v1::ListAuditEntriesResponse>& audit) {
  if (!audit) return {{"message", audit.error().message}, {"hint", audit.error().hint}};
  return Json::parse(to_json(*audit), nullptr, false);
}

}  // namespace

std::string redact_for_strangers(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t scheme = scheme_at(text.substr(at));
    if (scheme == 0) {
      out += text[at++];
      continue;
    }
    std::size_t end = at + scheme;
    while (end < text.size() && !ends_address(text[end])) ++end;
    out += shortened(text.substr(at, scheme), text.substr(at + scheme, end - at - scheme));
    at = end;
  }
  return redact(out);
}

std::string bundle_text(const v1::DoctorReport& report, const Bundle& bundle) {
  Json out = Json::parse(to_json(report), nullptr, false);
  const CommandFacts& command = bundle.command;
  out["bundle"] = {{"format", kBundleFormat},
                   {"command",
                    {{"version", kVersion},
                     {"system", command.system},
                     {"context", command.context},
                     {"config", command.config},
                     {"caFile", command.ca_file},
                     {"tokenFile", command.token_file},
                     {"environment", command.environment}}},
                   {"audit", audit_json(bundle.audit)}};
  redact_all(out);
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace overwinter::cli
