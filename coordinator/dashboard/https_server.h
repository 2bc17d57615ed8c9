// HttpsServer: HTTP/1.1 over TLS 1.3 on one thread. Bounded in connections, header and body, and
// impatient with who says nothing. All of Boost.Beast and Asio is in its .cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "coordinator/dashboard/router.h"

namespace overwinter::dashboard {

struct HttpsConfig {
  std::string address = "127.0.0.1:7601";
  std::filesystem::path key;                // PEM
  std::filesystem::path certificate_chain;  // PEM
  std::size_t connections_max = 256;
};

class HttpsServer {
 public:
  using Done = std::function<void(Response)>;
  // Called on the server's thread; calls Done once, on any thread.
  using Handler = std::function<void(const Request&, Done)>;

  // FAILED_PRECONDITION with the address when it is taken.
  [[nodiscard]] static Result<std::unique_ptr<HttpsServer>> start(const HttpsConfig& config,
                                                                  Handler handler);
  // Cuts what is open.
  ~HttpsServer();
  [[nodiscard]] int port() const;

 private:
  struct Impl;
  explicit HttpsServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with answers that come after the end
};

}  // namespace overwinter::dashboard
