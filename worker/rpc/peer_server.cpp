#include "worker/rpc/peer_server.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <chrono>
#include <deque>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/wire/status_grpc.h"
#include "overwinter/v1/peer.grpc.pb.h"

namespace overwinter::worker {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kMessageBytes = 2 << 20;
constexpr std::size_t kEchoBytesMax = std::size_t{1} << 20;
constexpr std::size_t kQuotaBytes = std::size_t{64} << 20;
constexpr int kStreamsMax = 64;
constexpr int kHandshakeMs = 10'000;
constexpr auto kDrain = std::chrono::seconds(2);

// Which worker is at the other end.
Result<WorkerId> calling_worker(const grpc::CallbackServerContext& context) {
  const auto peer = peer_identity(*context.auth_context());
  if (!peer) return fail(peer.error());
  const WorkerId worker(numeric_id(*peer));
  if (peer->kind != PeerKind::kWorker || !worker.valid()) {
    return fail(Code::kPermissionDenied, "only workers may call here");
  }
  return worker;
}

// One launch: its stream and, through the launcher, what runs because of it. Kept by itself until
// gRPC is done with it, and by whoever may still call it.
class LaunchStream final : public grpc::ServerBidiReactor<v1::LaunchRequest, v1::LaunchResponse>,
                           public std::enable_shared_from_this<LaunchStream> {
 public:
  LaunchStream(const PeerServerConfig& config, GangLauncher& launcher,
               grpc::CallbackServerContext& context)
      : config_(config),
        launcher_(launcher),
        context_(context),
        from_(calling_worker(context)),
        heard_(SteadyClock::now()) {}

  void begin() {
    self_ = shared_from_this();
    const MutexLock lock(mutex_);
    if (!from_) return finish(from_.error());
    StartRead(&incoming_);
    next_tick();
  }

  void OnReadDone(bool ok) override {
    if (!ok) return lose("the first host's daemon has closed its stream");
    {
      const MutexLock lock(mutex_);
      heard_ = SteadyClock::now();
    }
    if (incoming_.has_order()) {
      take_order(incoming_.order());
    } else if (incoming_.has_stop()) {
      bool here = false;
      {
        const MutexLock lock(mutex_);
        here = std::exchange(here_, false);
      }
      if (here) launcher_.end_remote(key_, "");
    }
    const MutexLock lock(mutex_);
    if (!finished_) StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(mutex_);
    writing_ = false;
    if (ok) write_more();
  }

  void OnCancel() override { lose("the first host's daemon is gone"); }

  void OnDone() override {
    alarm_.Cancel();
    const std::shared_ptr<LaunchStream> last = std::move(self_);
  }

 private:
  void take_order(const v1::LaunchOrder& order) {
    RemoteLaunchRequest request;
    request.key = {JobId(order.job()), order.attempt()};
    request.from = *from_;
    request.token = order.token();
    request.words = {order.words().begin(), order.words().end()};
    {
      const MutexLock lock(mutex_);
      if (std::exchange(ordered_, true)) {
        return finish(error(Code::kInvalidArgument, "a stream has one order"));
      }
      key_ = request.key;
      here_ = true;
    }
    // The gang's thread calls back, and takes mutex_ then: so it is not held here.
    const Status accepted = launcher_.begin_remote(
        request, [self = shared_from_this()](int exit_code, const std::string& message) {
          self->program_ended(exit_code, message);
        });
    const MutexLock lock(mutex_);
    if (!accepted.ok()) {
      here_ = false;
      log_warning("a launch was refused: {}", accepted.message);
      return finish(accepted);
    }
    v1::LaunchResponse response;
    response.mutable_accepted();
    outbox_.push_front(std::move(response));
    write_more();
  }

  void program_ended(int exit_code, const std::string& message) {
    const MutexLock lock(mutex_);
    here_ = false;
    v1::LaunchResponse response;
    response.mutable_ended()->set_exit_code(exit_code);
    response.mutable_ended()->set_message(message);
    outbox_.push_back(std::move(response));
    closing_ = true;
    write_more();
  }

  // The other side is not there any more: what it started ends here.
  void lose(const std::string& why) {
    bool here = false;
    {
      const MutexLock lock(mutex_);
      here = std::exchange(here_, false);
      finish(error(Code::kUnavailable, why));
    }
    if (here) launcher_.end_remote(key_, why);
  }

  void next_tick() OW_REQUIRES(mutex_) {
    alarm_.Set(std::chrono::system_clock::now() + config_.alive_every,
               [self = shared_from_this()](bool ok) {
                 if (ok) self->tick();
               });
  }

  void tick() {
    bool lost = false;
    {
      const MutexLock lock(mutex_);
      if (finished_) return;
      lost = SteadyClock::now() - heard_ > config_.lost_after;
      // Here, where the call cannot be over: once it is finished gRPC may free its context at any
      // moment, and without this a write that nobody reads would keep it from its end.
      if (lost) context_.TryCancel();
      if (!lost) {
        if (outbox_.empty() && ordered_) outbox_.emplace_back().mutable_alive();
        write_more();
        next_tick();
      }
    }
    if (!lost) return;
    lose("no sign of life from the first host's daemon for " + format_duration(config_.lost_after));
  }

  void write_more() OW_REQUIRES(mutex_) {
    if (writing_ || finished_) return;
    if (outbox_.empty()) {
      if (closing_) finish(Status::success());
      return;
    }
    outgoing_ = std::move(outbox_.front());
    outbox_.pop_front();
    writing_ = true;
    StartWrite(&outgoing_);
  }

  void finish(const Status& status) OW_REQUIRES(mutex_) {
    if (!std::exchange(finished_, true)) Finish(wire::to_grpc(status));
  }

  const PeerServerConfig& config_;
  GangLauncher& launcher_;
  grpc::CallbackServerContext& context_;
  const Result<WorkerId> from_;
  v1::LaunchRequest incoming_;
  v1::LaunchResponse outgoing_;
  grpc::Alarm alarm_;
  std::shared_ptr<LaunchStream> self_;

  Mutex mutex_;
  GangKey key_;
  SteadyClock::time_point heard_ OW_GUARDED_BY(mutex_);
  std::deque<v1::LaunchResponse> outbox_ OW_GUARDED_BY(mutex_);
  bool ordered_ OW_GUARDED_BY(mutex_) = false;
  bool here_ OW_GUARDED_BY(mutex_) = false;  // the launcher has something of it
  bool writing_ OW_GUARDED_BY(mutex_) = false;
  bool closing_ OW_GUARDED_BY(mutex_) = false;
  bool finished_ OW_GUARDED_BY(mutex_) = false;
};

class Service final : public v1::PeerService::CallbackService {
 public:
  Service(const PeerServerConfig& config, GangLauncher& launcher)
      : config_(config), launcher_(launcher) {}

  grpc::ServerBidiReactor<v1::LaunchRequest, v1::LaunchResponse>* Launch(
      grpc::CallbackServerContext* context) override {
    auto stream = std::make_shared<LaunchStream>(config_, launcher_, *context);
    stream->begin();
    return stream.get();
  }

  grpc::ServerUnaryReactor* Probe(grpc::CallbackServerContext* context,
                                  const v1::ProbeRequest* request,
                                  v1::ProbeResponse* response) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const auto from = calling_worker(*context);
    if (!from) {
      reactor->Finish(wire::to_grpc(from.error()));
      return reactor;
    }
    if (request->payload().size() > kEchoBytesMax) {
      reactor->Finish(wire::to_grpc(error(Code::kInvalidArgument, "a probe has at most 1 MiB")));
      return reactor;
    }
    response->set_cluster(config_.cluster);
    response->set_worker(config_.worker.value());
    if (request->echo()) response->set_payload(request->payload());
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const PeerServerConfig& config_;
  GangLauncher& launcher_;
};

}  // namespace

struct PeerServer::Impl {
  Impl(PeerServerConfig configuration, GangLauncher& launcher)
      : config(std::move(configuration)), service(config, launcher) {}

  std::unique_ptr<grpc::Server> listen(const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                       std::uint16_t at) {
    grpc::ServerBuilder builder;
    // Without it two daemons of one machine would share a port and get each other's calls.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsMax);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
    builder.SetMaxReceiveMessageSize(kMessageBytes);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetResourceQuota(grpc::ResourceQuota("peers").Resize(kQuotaBytes));
    builder.RegisterService(&service);
    int bound = 0;
    builder.AddListeningPort(config.address + ":" + std::to_string(at), credentials, &bound);
    auto made = builder.BuildAndStart();
    return bound == 0 ? nullptr : std::move(made);
  }

  const PeerServerConfig config;
  Service service;
  std::unique_ptr<grpc::Server> server;
  std::uint16_t port = 0;
};

PeerServer::PeerServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<PeerServer>> PeerServer::start(const PeerServerConfig& config,
                                                      GangLauncher& launcher) {
  auto credentials = worker_server_credentials({config.leaf_dir, config.deny, system_wall_time});
  if (!credentials) return fail(credentials.error());
  auto impl = std::make_unique<Impl>(config, launcher);
  for (std::uint32_t port = config.port_first; port <= config.port_last; ++port) {
    impl->server = impl->listen(*credentials, static_cast<std::uint16_t>(port));
    if (!impl->server) continue;
    impl->port = static_cast<std::uint16_t>(port);
    return std::unique_ptr<PeerServer>(new PeerServer(std::move(impl)));
  }
  return fail(Code::kResourceExhausted, "no port from " + std::to_string(config.port_first) +
                                            " to " + std::to_string(config.port_last) +
                                            " is free for other workers");
}

PeerServer::~PeerServer() {
  impl_->server->Shutdown(std::chrono::system_clock::now() + kDrain);
}

std::uint16_t PeerServer::port() const {
  return impl_->port;
}

}  // namespace overwinter::worker
