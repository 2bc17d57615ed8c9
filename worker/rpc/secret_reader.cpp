#include "worker/rpc/secret_reader.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "common/rpc/channel.h"
#include "common/wire/convert.h"
#include "overwinter/v1/secret.grpc.pb.h"

namespace overwinter::worker {
namespace {

constexpr Duration kReadSecretsTime{30'000};  // of one try

}  // namespace

Result<std::map<std::string, std::string>> SecretReader::read(
    const SeatKey& seat, const std::function<std::string()>& capability, std::stop_token stop) {
  v1::ReadSecretsResponse response;
  Status status = keep_trying(retrying_, stop, [&] {
    const auto channel = channel_();
    if (!channel) return error(Code::kUnavailable, "not connected");
    v1::ReadSecretsRequest request;
    request.set_capability(capability());
    *request.mutable_seat() = wire::to_proto(seat);
    grpc::ClientContext context;
    set_deadline(context, kReadSecretsTime);
    const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    response.Clear();
    return finished_transfer(
        v1::SecretService::NewStub(channel)->ReadSecrets(&context, request, &response), stop);
  });
  if (!status.ok()) return fail(std::move(status));
  std::map<std::string, std::string> values;
  for (auto& [name, value] : *response.mutable_values()) values[name] = std::move(value);
  return values;
}

}  // namespace overwinter::worker
