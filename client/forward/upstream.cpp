#include "client/forward/upstream.h"

#include <fmt/format.h>
#include <openssl/pem.h>

#include "common/security/certificate.h"
#include "common/security/coordinator_peer.h"

namespace overwinter::forward {
namespace {

constexpr auto kDialTime = std::chrono::seconds(10);

std::string pem_of(X509* certificate) {
  std::string pem;
  BIO* const bio = BIO_new(BIO_s_mem());
  if (bio != nullptr && PEM_write_bio_X509(bio, certificate) == 1) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    pem.assign(data, static_cast<std::size_t>(size));
  }
  BIO_free(bio);
  return pem;
}

// OpenSSL asks for each certificate of the chain, the server's own last.
bool is_coordinator(bool chain_good, X509_STORE_CTX* seen, Shared& shared) {
  if (!chain_good) {
    shared.refusal = X509_verify_cert_error_string(X509_STORE_CTX_get_error(seen));
    return false;
  }
  if (X509_STORE_CTX_get_error_depth(seen) != 0) return true;
  const Status status =
      check_coordinator(pem_of(X509_STORE_CTX_get_current_cert(seen)), shared.cluster);
  if (!status.ok()) shared.refusal = status.message;
  return status.ok();
}

tl::unexpected<Status> unreachable(const Place& place, std::string_view why) {
  return fail(Code::kUnavailable,
              fmt::format("the dashboard at {} cannot be reached: {}", text_of(place), why), {},
              "it listens where `overwinter-coordinator --listen-dashboard` says");
}

}  // namespace

Awaitable<Result<UpstreamPtr>> dial(asio::io_context& io, ssl::context& tls, const Place& place,
                                    std::string_view server_name) {
  tcp::resolver resolver(io);
  const auto [unknown, found] =
      co_await resolver.async_resolve(place.host, std::to_string(place.port), kAwait);
  if (unknown) co_return unreachable(place, unknown.message());
  auto upstream = std::make_shared<Upstream>(io, tls);
  Error away = asio::error::host_not_found;
  for (const auto& entry : found) {
    if (!away) break;
    Error ignored;
    upstream->line.socket().close(ignored);
    upstream->line.allow(kDialTime);
    const auto [failed] = co_await upstream->line.socket().async_connect(entry.endpoint(), kAwait);
    away = failed;
  }
  if (away) co_return unreachable(place, away.message());
  Error ignored;
  upstream->line.socket().set_option(tcp::no_delay(true), ignored);
  upstream->line.allow(kDialTime);
  if (!server_name.empty()) {
    SSL_set_tlsext_host_name(upstream->stream.native_handle(), std::string(server_name).c_str());
  }
  const auto [refused] =
      co_await upstream->stream.async_handshake(ssl::stream_base::client, kAwait);
  if (refused) co_return unreachable(place, refused.message());
  co_return upstream;
}

Awaitable<Result<UpstreamPtr>> dial_coordinator(Shared& shared) {
  shared.refusal.clear();
  auto upstream =
      co_await dial(shared.io, shared.tls, shared.config.dashboard, kCoordinatorServerName);
  if (upstream || shared.refusal.empty()) co_return upstream;
  co_return fail(Code::kUnavailable,
                 fmt::format("the server at {} is not the cluster's coordinator: {}",
                             text_of(shared.config.dashboard), shared.refusal),
                 {},
                 "something else answers there, or ends TLS before it: give the page's certificate "
                 "to the coordinator (--dashboard-cert), or open the page's address as `overwinter "
                 "status` shows it");
}

Error trust_coordinator(Shared& shared) {
  Error failed;
  shared.tls.set_options(
      ssl::context::no_tlsv1_2 | ssl::context::no_tlsv1_1 | ssl::context::no_tlsv1, failed);
  if (!failed) shared.tls.add_certificate_authority(asio::buffer(shared.config.root_pem), failed);
  if (!failed) shared.tls.set_verify_mode(ssl::verify_peer, failed);
  if (!failed) {
    shared.tls.set_verify_callback(
        [&shared](bool good, ssl::verify_context& seen) {
          return is_coordinator(good, seen.native_handle(), shared);
        },
        failed);
  }
  return failed;
}

}  // namespace overwinter::forward
