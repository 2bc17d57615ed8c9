// HttpsServer: HTTP/1.1 over TLS 1.3 on one thread. Bounded in connections (in all and of an
// address), header and body; impatient with who says nothing, more so when it is crowded. All of
// Boost.Beast and Asio is in its .cpp.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/security/certificate.h"
#include "coordinator/dashboard/http.h"
#include "coordinator/runtime/admission.h"

namespace overwinter::dashboard {

struct HttpsCertificates {
  CertifiedKey own;  // of the cluster's CA: for who asks for kCoordinatorServerName, and by default
  std::optional<CertifiedKey> shown;  // to everybody else
};

struct HttpsConfig {
  std::string address = "127.0.0.1:7601";
  HttpsCertificates certificates;
  // Outlives a server, so that its counts do.
  std::shared_ptr<runtime::Admission> admission =
      std::make_shared<runtime::Admission>(runtime::AdmissionLimits{});
};

class HttpsServer {
 public:
  using Done = std::function<void(Response)>;
  // Called on the server's thread; calls Done once, on any thread.
  using Handler = std::function<void(const Request&, Done)>;

  // FAILED_PRECONDITION with the address when it is taken, or when a certificate cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<HttpsServer>> start(const HttpsConfig& config,
                                                                  Handler handler);
  // Cuts what is open.
  ~HttpsServer();
  [[nodiscard]] int port() const;
  // For connections that come from now on; what is open goes on. FAILED_PRECONDITION: one cannot be
  // used, and all is as it was. Thread-safe.
  Status use(const HttpsCertificates& certificates);

 private:
  struct Impl;
  explicit HttpsServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with answers that come after the end
};

}  // namespace overwinter::dashboard
