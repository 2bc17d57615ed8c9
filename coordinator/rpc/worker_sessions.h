// WorkerSessions: the workers' open streams, and the link over which the loop's orders reach them.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/security/capability.h"
#include "coordinator/rpc/stream_registry.h"
#include "coordinator/runtime/event_queue.h"
#include "coordinator/runtime/ports.h"
#include "coordinator/runtime/views.h"
#include "overwinter/v1/worker.grpc.pb.h"

namespace overwinter::rpc {

class WorkerSession;

struct WorkerSessionsConfig {
  std::string host_id;  // of this machine
  std::string descriptor_socket;
  std::uint64_t generation = 1;
  Duration heartbeat_every{1000};
  // What a worker answers to questions that say() asked: HostDescribed, PeerProbed. From gRPC's
  // threads; must not block.
  std::function<void(WorkerId, const v1::WorkerMessage&)> answered =
      [](WorkerId, const v1::WorkerMessage&) {};
};

// Thread-safe.
class WorkerSessions final : public runtime::WorkerLink {
 public:
  // All references outlive this; it outlives the workers' server.
  WorkerSessions(runtime::EventQueue& queue, const runtime::Views& views, StreamRegistry& people,
                 CapabilitySigner signer, std::function<Time()> now, WorkerSessionsConfig config);

  void order(const core::Effect& effect) override;
  void launch(const core::LaunchGang& effect) override;
  void flush() override;
  void end_principal(const core::EndPrincipal& effect) override;

  // Puts a message beside the loop's orders. False: this incarnation is not connected.
  bool say(WorkerId worker, Incarnation incarnation, v1::CoordinatorMessage message);

  using Reactor = grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>;
  // The reactor of a new stream of this worker; it owns itself.
  [[nodiscard]] Reactor* connect(WorkerId worker);
  // Ends every stream: the coordinator stops.
  void end_all(const Status& status);
  [[nodiscard]] std::size_t connected() const;

 private:
  friend class WorkerSession;
  using Key = std::pair<WorkerId, Incarnation>;

  // Called by sessions. A later stream of the same incarnation takes the place of an earlier one.
  void said_hello(const Key& key, const std::shared_ptr<WorkerSession>& session);
  void gone(const Key& key, const WorkerSession* session);
  [[nodiscard]] std::shared_ptr<WorkerSession> find(WorkerId worker, Incarnation incarnation) const;
  [[nodiscard]] bool put_message(const core::Effect& effect, const WorkerSession& session,
                                 v1::CoordinatorMessage& out) const;
  void put_welcome(const core::Welcome& effect, const WorkerSession& session,
                   v1::Welcome& out) const;
  [[nodiscard]] std::string capability(WorkerId worker, SeatKey seat, const std::string& project,
                                       const core::SharedBytes& spec, const core::SharedBytes& plan,
                                       Duration funded_for) const;
  [[nodiscard]] v1::FundSeat fund_message(const core::FundSeat& effect) const;

  runtime::EventQueue& queue_;
  const runtime::Views& views_;
  StreamRegistry& people_;
  const CapabilitySigner signer_;
  const std::function<Time()> now_;
  const WorkerSessionsConfig config_;

  mutable Mutex mutex_;
  std::map<Key, std::shared_ptr<WorkerSession>> sessions_ OW_GUARDED_BY(mutex_);
  std::set<std::shared_ptr<WorkerSession>> open_ OW_GUARDED_BY(mutex_);  // those before Hello too
  std::set<std::shared_ptr<WorkerSession>> to_flush_;                    // the loop's thread alone
};

}  // namespace overwinter::rpc
