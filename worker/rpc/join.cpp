#include "worker/rpc/join.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/rpc/channel.h"
#include "common/security/certificate.h"
#include "common/security/file_io.h"
#include "common/security/leaf_store.h"
#include "common/security/tls_credentials.h"
#include "common/wire/convert.h"
#include "common/wire/status_grpc.h"
#include "overwinter/v1/worker.grpc.pb.h"

namespace overwinter::worker {
namespace {

constexpr Duration kTryFor{5000};

// The key of a join that is under way: the same one until it has succeeded.
Result<std::string> join_key(const std::filesystem::path& path) {
  auto kept = read_file(path, kPemBytesMax);
  if (kept) return kept;
  auto key = generate_key();
  if (!key) return key;
  if (Status written = write_file_atomically(path, *key); !written.ok()) return fail(written);
  return key;
}

v1::JoinRequest request_of(const JoinWish& wish, const std::string& csr) {
  v1::JoinRequest request;
  request.set_csr_pem(csr);
  request.set_name(wish.name);
  for (const auto& [key, value] : wish.labels) (*request.mutable_labels())[key] = value;
  for (const std::string& project : wish.projects) request.add_projects(project);
  request.set_spot(wish.spot);
  if (wish.price_per_hour) {
    request.mutable_price_per_hour()->set_amount_micros(wish.price_per_hour->micros);
  }
  request.set_version(wish.version);
  return request;
}

// One call to one address.
Result<v1::JoinResponse> ask(const JoinFile& file, const std::string& address,
                             const v1::JoinRequest& request) {
  PinnedClientOptions options;
  options.root_fingerprint = file.root_fingerprint;
  options.cluster = file.cluster;
  options.leaf = file.leaf;
  options.refusal = std::make_shared<PeerRefusal>();
  auto credentials = pinned_client_credentials(options);
  if (!credentials) return fail(credentials.error());
  auto stub = v1::WorkerService::NewStub(make_channel(address, *credentials));
  grpc::ClientContext context;
  set_deadline(context, kTryFor);
  v1::JoinResponse response;
  const grpc::Status status = stub->Join(&context, request, &response);
  if (status.ok()) return response;
  const std::string refused = options.refusal->reason();
  if (!refused.empty()) {
    return fail(Code::kUnauthenticated,
                "the server at " + address + " is not the cluster's coordinator: " + refused,
                "join", "ask its operator for a new join file");
  }
  Status failed = wire::from_grpc(status);
  if (failed.code == Code::kDeadlineExceeded) failed.code = Code::kUnavailable;
  return fail(failed);
}

std::string all_of(const std::vector<std::string>& addresses) {
  std::string out;
  for (const std::string& address : addresses) out += (out.empty() ? "" : ", ") + address;
  return out;
}

}  // namespace

std::filesystem::path leaf_folder(const std::filesystem::path& data_folder) {
  return data_folder / "identity";
}

Result<Joined> join(const JoinFile& file, const JoinWish& wish, const std::filesystem::path& folder,
                    Duration within) {
  const std::filesystem::path key_path = folder / "join.key";
  auto key = join_key(key_path);
  if (!key) return fail(key.error());
  auto csr = make_csr(*key, "worker");
  if (!csr) return fail(csr.error());
  const v1::JoinRequest request = request_of(wish, *csr);
  const auto until = std::chrono::steady_clock::now() + within;
  Status last = error(Code::kUnavailable, "the join file names no address");
  do {
    for (const std::string& address : file.addresses) {
      auto response = ask(file, address, request);
      if (!response) {
        last = response.error();
        if (last.code != Code::kUnavailable) return fail(last);
        continue;
      }
      const CertifiedKey leaf{*key, response->certificate_chain_pem()};
      Status installed =
          install_leaf(leaf_folder(folder), leaf, response->root_pem(), system_wall_time());
      if (!installed.ok()) return fail(installed);
      std::error_code ignored;
      std::filesystem::remove(key_path, ignored);
      return Joined{response->worker(), response->name(), response->cluster()};
    }
    std::this_thread::sleep_for(Duration(200));
  } while (std::chrono::steady_clock::now() < until);
  return fail(Code::kUnavailable,
              "cannot reach the coordinator at " + all_of(file.addresses) + ": " + last.message,
              "join", "is it running, and is its workers' port open to this machine?");
}

Status renew(const std::shared_ptr<grpc::Channel>& channel, const std::filesystem::path& folder,
             Duration within) {
  auto key = generate_key();
  if (!key) return key.error();
  auto csr = make_csr(*key, "worker");
  if (!csr) return csr.error();
  auto kept = load_leaf(leaf_folder(folder));
  if (!kept) return kept.error();
  auto stub = v1::WorkerService::NewStub(channel);
  grpc::ClientContext context;
  set_deadline(context, within);
  v1::RenewRequest request;
  request.set_csr_pem(*csr);
  v1::RenewResponse response;
  const grpc::Status status = stub->Renew(&context, request, &response);
  if (!status.ok()) return wire::from_grpc(status);
  return install_leaf(leaf_folder(folder), CertifiedKey{*key, response.certificate_chain_pem()},
                      kept->root_pem, system_wall_time());
}

}  // namespace overwinter::worker
