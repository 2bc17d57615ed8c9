// A TLS peer of its own, straight on OpenSSL, that can do what gRPC's clients do not: resume
// sessions.
#pragma once

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "common/security/certificate.h"

namespace overwinter::test {

using Session = std::shared_ptr<SSL_SESSION>;

struct ProbeResult {
  bool handshake = false;
  bool answered = false;  // the server sent its HTTP/2 preface: it took us
  bool resumed = false;
  std::string certificate;  // the server's, PEM
  Session session;          // to resume with; empty when the server gave none
};

// Connects to 127.0.0.1:port, shows `leaf` when it is given, and reads what the server says first.
// Waits at most 5 s for it.
inline ProbeResult probe(int port, const CertifiedKey* leaf = nullptr,
                         const Session& resume = nullptr) {
  ProbeResult result;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  constexpr std::array<unsigned char, 3> kH2 = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(context.get(), kH2.data(), kH2.size());
  if (leaf != nullptr) {
    BIO* key = BIO_new_mem_buf(leaf->key_pem.data(), static_cast<int>(leaf->key_pem.size()));
    EVP_PKEY* pkey = PEM_read_bio_PrivateKey(key, nullptr, nullptr, nullptr);
    BIO* chain =
        BIO_new_mem_buf(leaf->cert_chain_pem.data(), static_cast<int>(leaf->cert_chain_pem.size()));
    X509* first = PEM_read_bio_X509(chain, nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(context.get(), first);
    SSL_CTX_use_PrivateKey(context.get(), pkey);
    while (X509* next = PEM_read_bio_X509(chain, nullptr, nullptr, nullptr))
      SSL_CTX_add_extra_chain_cert(context.get(), next);
    X509_free(first);
    EVP_PKEY_free(pkey);
    BIO_free(chain);
    BIO_free(key);
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  if (resume) SSL_set_session(ssl.get(), resume.get());
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    SSL_set_fd(ssl.get(), fd);
    result.handshake = SSL_connect(ssl.get()) == 1;
    std::array<char, 256> buffer{};
    if (result.handshake) {
      // Tickets come before the first data, so that the session is whole after this read.
      result.answered = SSL_read(ssl.get(), buffer.data(), buffer.size()) > 0;
      result.resumed = SSL_session_reused(ssl.get()) == 1;
      SSL_SESSION* session = SSL_get1_session(ssl.get());
      if (session != nullptr) {
        if (SSL_SESSION_is_resumable(session) == 1)
          result.session = Session(session, SSL_SESSION_free);
        else
          SSL_SESSION_free(session);
      }
      if (X509* peer = SSL_get1_peer_certificate(ssl.get()); peer != nullptr) {
        BIO* bio = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(bio, peer);
        char* data = nullptr;
        const long size = BIO_get_mem_data(bio, &data);
        result.certificate.assign(data, static_cast<std::size_t>(size));
        BIO_free(bio);
        X509_free(peer);
      }
    }
    SSL_set_shutdown(ssl.get(),
                     SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // or the session is dropped
  }
  ::close(fd);
  return result;
}

}  // namespace overwinter::test
