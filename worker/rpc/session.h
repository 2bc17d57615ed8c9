// Session: the worker's connection to its coordinator. Dials, holds the one stream of commands,
// comes back with back-off and jitter, renews the certificate; and the artifact channel beside it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/domain/device.h"
#include "worker/core/input.h"
#include "worker/runtime/ports.h"

namespace overwinter {
class ArtifactClient;
class CheckpointClient;
}  // namespace overwinter
namespace overwinter::v1 {
class CoordinatorMessage;
class WorkerMessage;
}  // namespace overwinter::v1
namespace grpc {
class Channel;
}  // namespace grpc

namespace overwinter::worker {

struct SessionConfig {
  std::filesystem::path data_folder;
  std::vector<std::string> addresses;  // tried in turn
  MachineInfo machine;
  std::uint64_t seed = 1;  // of the jitter
  Duration first_pause{200};
  Duration longest_pause{10'000};
  Duration renewal_check{60'000};
  std::function<Time()> wall;  // when its certificate is due; empty: the system's clock
  // The coordinator will have no more of this worker (removed, its certificate revoked, a version
  // too far apart: the field is "version"): called once, from the session's thread, which dials no
  // more.
  std::function<void(const Status&)> dismissed = [](const Status&) {};
  // A question that is no order (DescribeHost, ProbePeer). From gRPC's threads; must not block.
  std::function<void(const v1::CoordinatorMessage&)> asked = [](const v1::CoordinatorMessage&) {};
};

class Session final : public CoordinatorLink {
 public:
  // Orders and changes of the stream go to `post` from gRPC's threads; it returns false when no
  // more should be read until have_room() is called.
  using PostOrders = std::function<bool(std::vector<Input>)>;

  Session(SessionConfig config, PostOrders post);
  ~Session() override;

  void start();
  // Lets what was sent leave (at most `within`), then ends the stream and the thread.
  void stop(Duration within);
  void have_room();

  // Thread-safe; any thread.
  void send(std::vector<Output> messages) override;

  // The answer to such a question. Dropped when there is no stream. Any thread.
  void tell(const v1::WorkerMessage& message);

  // For artifacts: a client of the address that is in use now.
  [[nodiscard]] std::shared_ptr<ArtifactClient> artifacts() const;
  [[nodiscard]] std::shared_ptr<CheckpointClient> checkpoints() const;
  // The connection of both, for other bulk calls; null: none yet.
  [[nodiscard]] std::shared_ptr<grpc::Channel> bulk() const;
  // A stream is there and has been welcomed.
  [[nodiscard]] bool connected() const;
  // From the last Welcome; empty: no descriptors.
  [[nodiscard]] std::string descriptor_socket() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace overwinter::worker
