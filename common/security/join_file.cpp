#include "common/security/join_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/security/file_io.h"
#include "common/security/identity.h"

namespace overwinter {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kKind = "overwinter-join-1";

Status bad(std::string what, std::string field = {}) {
  return error(Code::kInvalidArgument, std::move(what), std::move(field));
}

// A text under `key`; `status` says what is wrong with it and stays at the first trouble.
std::string text_of(const Json& json, const char* key, Status& status) {
  const auto found = json.find(key);
  if (found != json.end() && found->is_string() && !found->get_ref<const std::string&>().empty())
    return found->get<std::string>();
  if (status.ok()) {
    const std::string_view trouble = found == json.end() ? "is missing" : "is not a text";
    status = bad(fmt::format("\"{}\" {}", key, trouble), key);
  }
  return {};
}

Result<std::vector<std::string>> addresses_of(const Json& json) {
  const auto found = json.find("addresses");
  if (found == json.end()) return fail(bad("\"addresses\" is missing", "addresses"));
  const Status wrong =
      bad(fmt::format("\"addresses\" is not a list of 1 to {} texts HOST:PORT", kJoinAddressesMax),
          "addresses");
  if (!found->is_array() || found->empty() || found->size() > kJoinAddressesMax) return fail(wrong);
  std::vector<std::string> addresses;
  for (const Json& entry : *found) {
    if (!entry.is_string()) return fail(wrong);
    addresses.push_back(entry.get<std::string>());
    const std::string& address = addresses.back();
    if (address.size() > 255 || address.find(':') == std::string::npos) return fail(wrong);
    for (const char c : address)
      if (c <= ' ' || c >= '\x7f') return fail(wrong);
  }
  return addresses;
}

// That the parts belong together.
Status check_parts(const JoinFile& file, Time now) {
  const Result<PeerIdentity> identity = identity_of_certificate(file.leaf.cert_chain_pem);
  if (!identity)
    return bad("\"certificatePem\" is not a join certificate: " + identity.error().message,
               "certificatePem");
  if (identity->kind != PeerKind::kJoin || identity->cluster != file.cluster ||
      identity->id != file.id)
    return bad("\"certificatePem\" does not belong to this cluster and id", "certificatePem");
  if (!key_belongs(file.leaf.key_pem, file.leaf.cert_chain_pem))
    return bad("\"keyPem\" is not the key of \"certificatePem\"", "keyPem");
  if (!file.root_pem.empty()) {
    const Result<CertificateInfo> root = read_certificate(file.root_pem);
    if (!root || root->fingerprint != file.root_fingerprint)
      return bad("\"rootPem\" does not have the fingerprint in \"rootSha256\"", "rootPem");
  }
  if (now >= file.expires || now >= identity->not_after)
    return error(
        Code::kFailedPrecondition,
        fmt::format("it ended at {}, and this machine says it is {}",
                    format_time(std::min(file.expires, identity->not_after)), format_time(now)),
        "expires", "make a new one: overwinter tokens create --role worker -o join.file");
  return Status::success();
}

Result<JoinFile> decode(const Json& json, Time now) {
  Status status;
  const std::string kind = text_of(json, "kind", status);
  if (status.ok() && kind != kKind)
    return fail(bad(
        fmt::format("it is of kind \"{}\", and this program reads {}", kind.substr(0, 40), kKind),
        "kind"));
  JoinFile file;
  file.cluster = text_of(json, "cluster", status);
  file.id = text_of(json, "id", status);
  const std::string fingerprint = text_of(json, "rootSha256", status);
  file.leaf.cert_chain_pem = text_of(json, "certificatePem", status);
  file.leaf.key_pem = text_of(json, "keyPem", status);
  const std::string expires = text_of(json, "expires", status);
  if (json.contains("rootPem")) file.root_pem = text_of(json, "rootPem", status);
  if (!status.ok()) return fail(std::move(status));
  Result<std::vector<std::string>> addresses = addresses_of(json);
  if (!addresses) return fail(addresses.error());
  file.addresses = std::move(*addresses);
  const Result<Digest> digest = parse_digest(fingerprint);
  if (!digest) return fail(bad("\"rootSha256\" is not 64 hexadecimal digits", "rootSha256"));
  file.root_fingerprint = *digest;
  const Result<Time> end = parse_time(expires);
  if (!end) return fail(bad("\"expires\" is not a time", "expires"));
  file.expires = *end;
  if (!valid_cluster_name(file.cluster))
    return fail(bad("\"cluster\" names no cluster", "cluster"));
  if (!valid_peer_id(file.id)) return fail(bad("\"id\" is no id", "id"));
  if (Status parts = check_parts(file, now); !parts.ok()) return fail(std::move(parts));
  return file;
}

}  // namespace

std::string encode_join_file(const JoinFile& file) {
  nlohmann::ordered_json json;
  json["kind"] = kKind;
  json["cluster"] = file.cluster;
  json["id"] = file.id;
  json["addresses"] = file.addresses;
  json["rootSha256"] = to_hex(file.root_fingerprint);
  if (!file.root_pem.empty()) json["rootPem"] = file.root_pem;
  json["certificatePem"] = file.leaf.cert_chain_pem;
  json["keyPem"] = file.leaf.key_pem;
  json["expires"] = format_time(file.expires);
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<JoinFile> decode_join_file(std::string_view text, Time now) {
  if (text.size() > kJoinFileBytesMax)
    return fail(bad(fmt::format("it is longer than {} bytes", kJoinFileBytesMax)));
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return fail(bad("it is not a JSON object"));
  return decode(json, now);
}

Status write_join_file(const std::filesystem::path& path, const JoinFile& file) {
  return write_file_atomically(path, encode_join_file(file));
}

Result<ReadJoinFile> read_join_file(const std::filesystem::path& path, Time now) {
  const Result<std::string> text = read_file(path, kJoinFileBytesMax);
  if (!text) return fail(text.error());
  Result<JoinFile> file = decode_join_file(*text, now);
  if (!file) {
    Status status = file.error();
    status.message =
        fmt::format("{} is not a join file that can be used: {}", path.string(), status.message);
    return fail(std::move(status));
  }
  ReadJoinFile read{std::move(*file), {}};
  if (others_can_access(path))
    read.warning =
        fmt::format("{} holds a key and other users of this machine can read it: chmod 600 {}",
                    path.string(), path.string());
  return read;
}

}  // namespace overwinter
