#include "common/rpc/channel.h"

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "common/wire/status_grpc.h"

namespace overwinter {

std::shared_ptr<grpc::Channel> make_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetMaxSendMessageSize(kMessageBytesMax);
  arguments.SetCompressionAlgorithm(GRPC_COMPRESS_NONE);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // A peer that is cut off without a word is noticed in 15 s; the coordinator allows pings each 5
  // s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Of a single attempt, not between two: a handshake with a busy coordinator takes its time.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

void set_deadline(grpc::ClientContext& context, Duration within) {
  context.set_deadline(std::chrono::system_clock::now() + within);
}

Status finished_transfer(const grpc::Status& status, const std::stop_token& stop) {
  if (status.ok()) return Status::success();
  if (stop.stop_requested()) return error(Code::kCancelled, "the transfer was given up");
  return wire::from_grpc(status);
}

}  // namespace overwinter
