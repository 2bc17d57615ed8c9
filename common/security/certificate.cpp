#include "common/security/certificate.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>

#include "common/security/identity.h"
#include "common/security/openssl.h"

namespace overwinter {
namespace {

std::string common_name_of(const X509* certificate) {
  const X509_NAME* name = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
          static_cast<std::size_t>(ASN1_STRING_length(value))};
}

// A host name or address as text; empty for other kinds of names.
std::string host_of(const GENERAL_NAME* name) {
  if (name->type != GEN_DNS && name->type != GEN_IPADD) return {};
  const ASN1_STRING* value = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
  const unsigned char* data = ASN1_STRING_get0_data(value);
  const auto length = static_cast<std::size_t>(ASN1_STRING_length(value));
  if (name->type == GEN_DNS) return {reinterpret_cast<const char*>(data), length};
  char text[INET6_ADDRSTRLEN] = {};
  const int family = length == 4 ? AF_INET : AF_INET6;
  if ((length != 4 && length != 16) || ::inet_ntop(family, data, text, sizeof text) == nullptr)
    return {};
  return text;
}

void read_alternative_names(const X509* certificate, CertificateInfo& info) {
  const openssl::Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) {
      ++info.other_names;
      if (std::string host = host_of(name); !host.empty()) info.hosts.push_back(std::move(host));
      continue;
    }
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    info.uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                           static_cast<std::size_t>(ASN1_STRING_length(uri)));
  }
}

int purpose_of(TlsSide side) {
  return side == TlsSide::kServer ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
}

}  // namespace

Result<CertificateInfo> read_certificate(std::string_view pem) {
  const Result<openssl::Certificate> read = openssl::read_certificate(pem);
  if (!read) return fail(read.error());
  X509* certificate = read->get();
  CertificateInfo info;
  info.common_name = common_name_of(certificate);
  read_alternative_names(certificate, info);
  info.not_before = openssl::to_time(X509_get0_notBefore(certificate));
  info.not_after = openssl::to_time(X509_get0_notAfter(certificate));
  info.is_ca = X509_check_ca(certificate) == 1;
  info.fingerprint = openssl::fingerprint(certificate);
  ERR_clear_error();  // of extensions that cannot be read: gRPC must not take them for its own
  return info;
}

Result<std::string> certificate_fingerprint_hex(std::string_view pem) {
  const Result<CertificateInfo> info = read_certificate(pem);
  if (!info) return fail(info.error());
  return to_hex(info->fingerprint);
}

Result<std::string> cluster_of_root(std::string_view root_pem) {
  const Result<CertificateInfo> info = read_certificate(root_pem);
  if (!info) return fail(info.error());
  constexpr std::string_view kScheme = "spiffe://";
  if (info->is_ca && info->uris.size() == 1 && info->uris.front().starts_with(kScheme)) {
    std::string cluster = info->uris.front().substr(kScheme.size());
    if (valid_cluster_name(cluster)) return cluster;
  }
  return fail(Code::kInvalidArgument, "this is not the root certificate of a cluster");
}

Result<std::string> find_in_chain(std::string_view chain_pem, const Digest& pin) {
  const Result<std::vector<openssl::Certificate>> chain = openssl::read_chain(chain_pem);
  if (!chain) return fail(chain.error());
  for (const openssl::Certificate& certificate : *chain) {
    if (openssl::fingerprint(certificate.get()) == pin)
      return openssl::certificate_to_pem(certificate.get());
  }
  return fail(Code::kNotFound, "the chain does not hold the pinned root certificate");
}

Status check_chain(std::string_view chain_pem, std::string_view root_pem, TlsSide side, Time now) {
  const Result<std::vector<openssl::Certificate>> chain = openssl::read_chain(chain_pem);
  if (!chain) return error(Code::kUnauthenticated, chain.error().message);
  const Result<openssl::Certificate> root = openssl::read_certificate(root_pem);
  if (!root) return root.error();
  return openssl::verify(*chain, root->get(), purpose_of(side), now);
}

bool key_belongs(std::string_view key_pem, std::string_view cert_chain_pem) {
  const Result<openssl::Key> key = openssl::read_key(key_pem);
  const Result<openssl::Certificate> leaf = openssl::read_certificate(cert_chain_pem);
  const bool fits = key && leaf && EVP_PKEY_eq(X509_get0_pubkey(leaf->get()), key->get()) == 1;
  ERR_clear_error();
  return fits;
}

Status check_certified_key(const CertifiedKey& leaf, std::string_view root_pem, Time now) {
  const auto wrong = [](std::string what, std::string hint = {}) {
    return error(Code::kFailedPrecondition, std::move(what), {}, std::move(hint));
  };
  const Result<openssl::Key> key = openssl::read_key(leaf.key_pem);
  if (!key) return wrong(key.error().message);
  const Result<std::vector<openssl::Certificate>> chain = openssl::read_chain(leaf.cert_chain_pem);
  if (!chain) return wrong(chain.error().message);
  const Result<openssl::Certificate> root = openssl::read_certificate(root_pem);
  if (!root) return wrong("the root certificate cannot be read: " + root.error().message);
  X509* certificate = chain->front().get();
  if (!key_belongs(leaf.key_pem, leaf.cert_chain_pem))
    return wrong("the key does not belong to the certificate");
  const Time from = openssl::to_time(X509_get0_notBefore(certificate));
  const Time to = openssl::to_time(X509_get0_notAfter(certificate));
  if (now < from)
    return wrong(fmt::format("the certificate is good from {} on, and this machine says it is {}",
                             format_time(from), format_time(now)),
                 "set this machine's clock");
  if (now > to)
    return wrong(fmt::format("the certificate ended at {}, and this machine says it is {}",
                             format_time(to), format_time(now)),
                 "join again with a new join file, or set this machine's clock");
  const Result<PeerIdentity> identity = identity_of_certificate(leaf.cert_chain_pem);
  const bool serves = identity && identity->kind == PeerKind::kCoordinator;
  const Status status = openssl::verify(
      *chain, root->get(), purpose_of(serves ? TlsSide::kServer : TlsSide::kClient), now);
  return status.ok() ? status : wrong(status.message);
}

bool due_for_renewal(std::string_view cert_chain_pem, Time now) {
  const Result<CertificateInfo> info = read_certificate(cert_chain_pem);
  return !info || now >= info->not_before + (info->not_after - info->not_before) / 3;
}

Result<std::string> generate_key() {
  const openssl::Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl::failure("make a key"));
  return openssl::key_to_pem(key.get());
}

Result<std::string> make_csr(std::string_view key_pem, std::string_view common_name) {
  const Result<openssl::Key> key = openssl::read_key(key_pem);
  if (!key) return fail(key.error());
  const openssl::Request request(X509_REQ_new());
  const openssl::Bio bio(BIO_new(BIO_s_mem()));
  if (!request || !bio ||
      X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(request.get()), NID_commonName,
                                 MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1 ||
      X509_REQ_set_pubkey(request.get(), key->get()) != 1 ||
      X509_REQ_sign(request.get(), key->get(), EVP_sha256()) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return fail(openssl::failure("make a certificate request"));
  return openssl::text_of(bio.get());
}

}  // namespace overwinter
