#include <grpcpp/grpcpp.h>

#include <filesystem>

#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"
#include "common/security/file_io.h"
#include "common/security/tls_credentials.h"
#include "common/security/token.h"

namespace overwinter::client {

Result<Context> login(const std::string& text, const std::string& folder,
                      const std::string& context_name, Duration timeout) {
  auto line = decode_login_line(text);
  if (!line) return fail(line.error());
  auto refusal = std::make_shared<PeerRefusal>();
  auto root = std::make_shared<std::string>();
  auto root_mutex = std::make_shared<Mutex>();
  PinnedClientOptions options;
  options.root_fingerprint = line->root_fingerprint;
  options.refusal = refusal;
  options.learned_root = [root, root_mutex](const std::string& pem) {
    MutexLock lock(*root_mutex);
    *root = pem;
  };
  auto credentials = pinned_client_credentials(options);
  if (!credentials) return fail(credentials.error());
  const auto channel = grpc::CreateChannel(line->address, *credentials);
  const auto stub = v1::AdminService::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::ExchangeLoginCodeRequest request;
  request.set_code(line->code);
  v1::ExchangeLoginCodeResponse response;
  const grpc::Status status = stub->ExchangeLoginCode(&context, request, &response);
  if (!status.ok()) {
    Status out = wire::from_grpc(status);
    if (out.code == Code::kUnavailable) {
      out.message = "cannot reach the coordinator at " + line->address;
      if (!refusal->reason().empty()) out.message += ": " + refusal->reason();
    }
    return fail(std::move(out));
  }
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(folder).parent_path(), made);
  if (const Status s = ensure_private_folder(folder); !s.ok()) return fail(s);
  std::string root_pem;
  {
    MutexLock lock(*root_mutex);
    root_pem = *root;
  }
  Context out;
  out.name = context_name;
  out.address = line->address;
  out.ca_file = folder + "/ca.pem";
  out.token_file = folder + "/token";
  if (const Status s = write_file_atomically(out.ca_file, root_pem); !s.ok()) return fail(s);
  if (const Status s = write_file_atomically(out.token_file, response.token() + "\n"); !s.ok()) {
    return fail(s);
  }
  return out;
}

}  // namespace overwinter::client
