#include "common/security/process.h"

#include <fmt/core.h>
#include <openssl/conf.h>
#include <openssl/ssl.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "common/security/openssl.h"

namespace overwinter {
namespace {

// "Protocol" and not "MinProtocol": gRPC sets a minimum itself, which would win.
constexpr std::string_view kTls13Only = R"(
openssl_conf = overwinter
[overwinter]
ssl_conf = overwinter_ssl
[overwinter_ssl]
system_default = overwinter_tls
[overwinter_tls]
Protocol = ALL,-TLSv1.2,-TLSv1.1,-TLSv1,-SSLv3
)";

using Configuration = std::unique_ptr<CONF, openssl::Deleter<NCONF_free>>;
using Context = std::unique_ptr<SSL_CTX, openssl::Deleter<SSL_CTX_free>>;

}  // namespace

Status require_tls13() {
  // First the machine's own configuration (it loads once), so that it cannot come later and undo
  // ours.
  if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr) != 1)
    return openssl::failure("start OpenSSL");
  const Configuration configuration(NCONF_new(nullptr));
  const openssl::Bio bio = openssl::reader(kTls13Only);
  long line = 0;
  if (!configuration || !bio || NCONF_load_bio(configuration.get(), bio.get(), &line) <= 0 ||
      CONF_modules_load(configuration.get(), nullptr, 0) <= 0)
    return openssl::failure("configure OpenSSL");
  const Context context(SSL_CTX_new(TLS_method()));
  constexpr std::uint64_t kOld = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2;
  if (!context || (SSL_CTX_get_options(context.get()) & kOld) != kOld)
    return error(Code::kInternal, "OpenSSL did not take the setting for TLS 1.3 alone");
  return Status::success();
}

Status harden_process() {
  if (const char* trace = std::getenv("GRPC_TRACE"); trace != nullptr && *trace != '\0')
    return error(Code::kFailedPrecondition, "GRPC_TRACE is set: its output would hold tokens",
                 "GRPC_TRACE", "unset GRPC_TRACE");
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
    return error(Code::kInternal,
                 fmt::format("cannot turn core dumps off: {}", std::strerror(errno)));
  return Status::success();
}

}  // namespace overwinter
