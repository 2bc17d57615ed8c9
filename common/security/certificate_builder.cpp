#include "common/security/certificate_builder.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/security/random.h"

namespace overwinter {
namespace {

bool valid_host_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  };
  return !name.empty() && name.size() <= 253 && name.front() != '-' && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), allowed);
}

// Appends one name; `names` owns it afterwards.
bool add_name(GENERAL_NAMES* names, int type, int string_type,
              std::span<const unsigned char> value) {
  ASN1_STRING* text = ASN1_STRING_type_new(string_type);
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (text == nullptr || name == nullptr ||
      ASN1_STRING_set(text, value.data(), static_cast<int>(value.size())) != 1) {
    ASN1_STRING_free(text);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, text);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

std::span<const unsigned char> bytes_of(std::string_view text) {
  return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

Status add_host(GENERAL_NAMES* names, const std::string& host) {
  std::array<unsigned char, 16> address{};
  bool added = false;
  if (::inet_pton(AF_INET, host.c_str(), address.data()) == 1) {
    added = add_name(names, GEN_IPADD, V_ASN1_OCTET_STRING, std::span(address).first(4));
  } else if (::inet_pton(AF_INET6, host.c_str(), address.data()) == 1) {
    added = add_name(names, GEN_IPADD, V_ASN1_OCTET_STRING, address);
  } else if (valid_host_name(host)) {
    added = add_name(names, GEN_DNS, V_ASN1_IA5STRING, bytes_of(host));
  } else {
    return error(Code::kInvalidArgument,
                 fmt::format("\"{}\" is neither a host name nor an IP address", host), "name");
  }
  return added ? Status::success() : openssl::failure("name a host in a certificate");
}

Status add_alternative_names(X509* certificate, const Subject& subject) {
  const openssl::Names names(sk_GENERAL_NAME_new_null());
  if (!names || !add_name(names.get(), GEN_URI, V_ASN1_IA5STRING, bytes_of(subject.uri)))
    return openssl::failure("name the subject of a certificate");
  for (const std::string& host : subject.hosts) {
    if (Status status = add_host(names.get(), host); !status.ok()) return status;
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1)
    return openssl::failure("name the subject of a certificate");
  return Status::success();
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const openssl::Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// 127 random bits: unique without a counter that would have to be durable.
bool set_random_serial(X509* certificate) {
  std::array<std::uint8_t, 16> bytes{};
  fill_random(bytes);
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7FU) | 0x40U);
  const std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_common_name(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

struct Extensions {
  std::string basic;
  const char* usage;
  const char* extended;  // nullptr: none
};

Result<openssl::Certificate> build(const Subject& subject, EVP_PKEY* subject_key,
                                   const Signer& signer, const Extensions& extensions, Time from,
                                   Time to) {
  openssl::Certificate made(X509_new());
  X509* certificate = made.get();
  X509* issuer = signer.certificate != nullptr ? signer.certificate : certificate;
  EVP_PKEY* key = signer.key != nullptr ? signer.key : subject_key;
  if (certificate == nullptr || X509_set_version(certificate, X509_VERSION_3) != 1 ||
      !set_random_serial(certificate) ||
      !set_common_name(X509_get_subject_name(certificate), subject.common_name) ||
      X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(certificate), openssl::to_time_t(from)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), openssl::to_time_t(to)) == nullptr ||
      X509_set_pubkey(certificate, subject_key) != 1)
    return fail(openssl::failure("make a certificate"));
  if (Status status = add_alternative_names(certificate, subject); !status.ok())
    return fail(std::move(status));
  const bool complete =
      add_extension(certificate, issuer, NID_basic_constraints, extensions.basic.c_str()) &&
      add_extension(certificate, issuer, NID_key_usage, extensions.usage) &&
      (extensions.extended == nullptr ||
       add_extension(certificate, issuer, NID_ext_key_usage, extensions.extended)) &&
      add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
      add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
      X509_sign(certificate, key, EVP_sha256()) > 0;
  if (!complete) return fail(openssl::failure("sign a certificate"));
  return made;
}

}  // namespace

Result<openssl::Certificate> build_ca(const Subject& subject, EVP_PKEY* subject_key,
                                      const Signer& signer, int path_length, Time from, Time to) {
  return build(subject, subject_key, signer,
               {fmt::format("critical,CA:TRUE,pathlen:{}", path_length),
                "critical,keyCertSign,cRLSign", nullptr},
               from, to);
}

Result<openssl::Certificate> build_leaf(const Subject& subject, EVP_PKEY* subject_key,
                                        const Signer& signer, LeafUse use, Time from, Time to) {
  const char* extended = "serverAuth,clientAuth";
  if (use == LeafUse::kServer) extended = "serverAuth";
  if (use == LeafUse::kClient) extended = "clientAuth";
  return build(subject, subject_key, signer,
               {"critical,CA:FALSE", "critical,digitalSignature", extended}, from, to);
}

}  // namespace overwinter
