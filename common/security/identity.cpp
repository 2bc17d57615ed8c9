#include "common/security/identity.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/security/certificate.h"

namespace overwinter {
namespace {

constexpr std::string_view kScheme = "spiffe://";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_mark(char c) {
  return c == '.' || c == '_' || c == '-';
}

}  // namespace

std::string_view peer_kind_name(PeerKind kind) {
  switch (kind) {
    case PeerKind::kNone:
      return "none";
    case PeerKind::kWorker:
      return "worker";
    case PeerKind::kJoin:
      return "join";
    case PeerKind::kCoordinator:
      return "coordinator";
  }
  return "none";
}

std::uint64_t numeric_id(const PeerIdentity& identity) {
  const std::string& id = identity.id;
  std::uint64_t value = 0;
  const auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), value);
  if (failed != std::errc{} || end != id.data() + id.size() || id.front() == '0') return 0;
  return value;
}

bool valid_cluster_name(std::string_view name) {
  const auto plain = [](char c) { return is_lower(c) || is_digit(c); };
  return !name.empty() && name.size() <= 63 && plain(name.front()) && plain(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || is_mark(c); });
}

bool valid_peer_id(std::string_view id) {
  const auto plain = [](char c) { return is_lower(c) || is_upper(c) || is_digit(c); };
  return !id.empty() && id.size() <= 64 && plain(id.front()) &&
         std::all_of(id.begin(), id.end(), [&](char c) { return plain(c) || is_mark(c); });
}

std::string coordinator_uri(std::string_view cluster) {
  return fmt::format("{}{}/coordinator", kScheme, cluster);
}
std::string worker_uri(std::string_view cluster, std::string_view id) {
  return fmt::format("{}{}/worker/{}", kScheme, cluster, id);
}
std::string join_uri(std::string_view cluster, std::string_view id) {
  return fmt::format("{}{}/join/{}", kScheme, cluster, id);
}

Result<PeerIdentity> parse_identity_uri(std::string_view uri) {
  const auto foreign = [] {
    return fail(Code::kUnauthenticated,
                "the certificate names no worker, join file or coordinator");
  };
  if (!uri.starts_with(kScheme)) return foreign();
  const std::string_view rest = uri.substr(kScheme.size());
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return foreign();
  PeerIdentity identity;
  identity.cluster = rest.substr(0, slash);
  if (!valid_cluster_name(identity.cluster)) return foreign();
  const std::string_view path = rest.substr(slash);
  if (path == "/coordinator") {
    identity.kind = PeerKind::kCoordinator;
    return identity;
  }
  for (const auto& [prefix, kind] :
       {std::pair<std::string_view, PeerKind>{"/worker/", PeerKind::kWorker},
        {"/join/", PeerKind::kJoin}}) {
    if (!path.starts_with(prefix)) continue;
    identity.kind = kind;
    identity.id = path.substr(prefix.size());
    if (!valid_peer_id(identity.id)) return foreign();
    return identity;
  }
  return foreign();
}

Result<PeerIdentity> identity_of_certificate(std::string_view pem) {
  const Result<CertificateInfo> info = read_certificate(pem);
  if (!info) return fail(Code::kUnauthenticated, info.error().message);
  if (info->uris.size() != 1)
    return fail(Code::kUnauthenticated, "the certificate does not name exactly one URI");
  Result<PeerIdentity> identity = parse_identity_uri(info->uris.front());
  if (!identity) return identity;
  if (identity->kind != PeerKind::kCoordinator && info->other_names != 0)
    return fail(Code::kUnauthenticated, "the certificate carries more than one alternative name");
  identity->not_after = info->not_after;
  return identity;
}

}  // namespace overwinter
