// Secrets of a seat's job, over TLS by capability. Values are handed on and not kept.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "worker/rpc/keep_trying.h"
#include "worker/runtime/ports.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace overwinter::worker {

class SecretReader final : public JobSecrets {
 public:
  // `channel`: the one to use now, of a connection that carries no heartbeats; null: none yet.
  explicit SecretReader(std::function<std::shared_ptr<grpc::Channel>()> channel,
                        Retrying retrying = {})
      : channel_(std::move(channel)), retrying_(retrying) {}

  // ABORTED: the seat has ended. FAILED_PRECONDITION: one cannot be read, or they are too large.
  Result<std::map<std::string, std::string>> read(const SeatKey& seat,
                                                  const std::function<std::string()>& capability,
                                                  std::stop_token stop) override;

 private:
  const std::function<std::shared_ptr<grpc::Channel>()> channel_;
  const Retrying retrying_;
};

}  // namespace overwinter::worker
