#include "worker/rpc/session.h"

#include <grpcpp/grpcpp.h>

#include <stop_token>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/rpc/artifact_client.h"
#include "common/rpc/backoff.h"
#include "common/rpc/channel.h"
#include "common/rpc/checkpoint_client.h"
#include "common/security/certificate.h"
#include "common/security/leaf_store.h"
#include "common/security/tls_credentials.h"
#include "common/wire/status_grpc.h"
#include "worker/rpc/command_stream.h"
#include "worker/rpc/convert.h"
#include "worker/rpc/join.h"

namespace overwinter::worker {
namespace {

// Trying again would not help: a person has to act first.
bool is_final(const Status& status) {
  return status.code == Code::kUnauthenticated || status.code == Code::kPermissionDenied ||
         (status.code == Code::kFailedPrecondition && status.field == "version");
}

}  // namespace

struct Session::Impl {
  Impl(SessionConfig configuration, PostOrders post_orders)
      : config(std::move(configuration)), post(std::move(post_orders)) {}

  void run(const std::stop_token& stop);
  // One connection from dialing to its end. True when it was welcomed.
  bool connect(const std::string& address, const std::stop_token& stop);
  bool dismissed = false;  // the session's thread
  bool received(const v1::ConnectResponse& response);
  void renew_when_due(const std::shared_ptr<grpc::Channel>& channel);
  void pause(Duration time, const std::stop_token& stop);
  void say_once(const std::string& text);

  const SessionConfig config;
  const PostOrders post;
  std::string said;  // the last complaint; the session's thread

  mutable Mutex mutex;
  Condition changed;
  std::shared_ptr<CommandStream> stream OW_GUARDED_BY(mutex);
  std::shared_ptr<ArtifactClient> client OW_GUARDED_BY(mutex);
  std::shared_ptr<CheckpointClient> checkpoints OW_GUARDED_BY(mutex);
  std::shared_ptr<grpc::Channel> bulk_channel OW_GUARDED_BY(mutex);
  std::string socket OW_GUARDED_BY(mutex);
  bool welcomed OW_GUARDED_BY(mutex) = false;
  std::jthread thread;  // last: it uses the rest
};

Session::Session(SessionConfig config, PostOrders post)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(post))) {}

Session::~Session() {
  stop(Duration(0));
}

void Session::start() {
  impl_->thread =
      std::jthread([impl = impl_.get()](const std::stop_token& stop) { impl->run(stop); });
}

void Session::stop(Duration within) {
  std::shared_ptr<CommandStream> stream;
  {
    const MutexLock lock(impl_->mutex);
    stream = impl_->stream;
  }
  if (stream && within > Duration(0)) stream->flush(within);
  impl_->thread.request_stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

void Session::have_room() {
  std::shared_ptr<CommandStream> stream;
  {
    const MutexLock lock(impl_->mutex);
    stream = impl_->stream;
  }
  if (stream) stream->resume();
}

void Session::send(std::vector<Output> messages) {
  std::vector<v1::WorkerMessage> out;
  out.reserve(messages.size());
  for (const Output& message : messages) out.push_back(to_proto(message, impl_->config.machine));
  std::shared_ptr<CommandStream> stream;
  {
    const MutexLock lock(impl_->mutex);
    stream = impl_->stream;
  }
  if (stream) stream->send(std::move(out));
}

void Session::tell(const v1::WorkerMessage& message) {
  std::shared_ptr<CommandStream> stream;
  {
    const MutexLock lock(impl_->mutex);
    if (impl_->welcomed) stream = impl_->stream;
  }
  if (stream) stream->send({message});
}

std::shared_ptr<ArtifactClient> Session::artifacts() const {
  const MutexLock lock(impl_->mutex);
  return impl_->client;
}

std::shared_ptr<CheckpointClient> Session::checkpoints() const {
  const MutexLock lock(impl_->mutex);
  return impl_->checkpoints;
}

std::shared_ptr<grpc::Channel> Session::bulk() const {
  const MutexLock lock(impl_->mutex);
  return impl_->bulk_channel;
}

bool Session::connected() const {
  const MutexLock lock(impl_->mutex);
  return impl_->welcomed;
}

std::string Session::descriptor_socket() const {
  const MutexLock lock(impl_->mutex);
  return impl_->socket;
}

void Session::Impl::run(const std::stop_token& stop) {
  Backoff backoff(config.first_pause, config.longest_pause, config.seed);
  std::size_t next = 0;
  while (!stop.stop_requested() && !dismissed) {
    const std::string& address = config.addresses[next];
    if (connect(address, stop)) {
      backoff.reset();
    } else {
      next = (next + 1) % config.addresses.size();
    }
    if (!dismissed) pause(backoff.next(), stop);
  }
}

void Session::Impl::pause(Duration time, const std::stop_token& stop) {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
}

void Session::Impl::say_once(const std::string& text) {
  if (text == said) return;
  said = text;
  log_warning("{}", text);
}

bool Session::Impl::connect(const std::string& address, const std::stop_token& stop) {
  auto refusal = std::make_shared<PeerRefusal>();
  auto credentials = worker_client_credentials(leaf_folder(config.data_folder), refusal);
  if (!credentials) {
    say_once("this worker's certificate: " + credentials.error().message + "; not dialing with it");
    return false;
  }
  auto channel = make_channel(address, *credentials);
  auto bulk = make_channel(address, *credentials);
  auto stub = v1::WorkerService::NewStub(channel);
  auto commands = std::make_shared<CommandStream>(
      *stub, [this](const v1::ConnectResponse& response) { return received(response); });
  commands->start();
  {
    const MutexLock lock(mutex);
    stream = commands;
    client = std::make_shared<ArtifactClient>(bulk);
    checkpoints = std::make_shared<CheckpointClient>(bulk);
    bulk_channel = bulk;
    welcomed = false;
  }
  (void)post({StreamConnected{}});
  const std::stop_callback cancel(stop, [&commands] { commands->cancel(); });
  while (!commands->wait_for(config.renewal_check)) renew_when_due(channel);
  const grpc::Status status = commands->wait();
  bool was_welcomed = false;
  {
    const MutexLock lock(mutex);
    stream.reset();
    was_welcomed = std::exchange(welcomed, false);
  }
  (void)post({StreamLost{}});
  const Status ended = wire::from_grpc(status);
  if (is_final(ended)) {
    dismissed = true;
    config.dismissed(ended);
  } else if (!stop.stop_requested()) {
    if (was_welcomed) said.clear();
    const std::string why = refusal->reason().empty()
                                ? ended.message
                                : "it is not the cluster's coordinator: " + refusal->reason();
    say_once((was_welcomed ? "lost the coordinator at " : "cannot reach the coordinator at ") +
             address + ": " + why + "; funded work goes on, trying again");
  }
  return was_welcomed;
}

bool Session::Impl::received(const v1::ConnectResponse& response) {
  auto orders = from_proto(response);
  if (!orders) {
    log_error("an order of the coordinator makes no sense: {}", orders.error().message);
    const MutexLock lock(mutex);
    if (stream) stream->cancel();
    return true;
  }
  if (orders->welcome) {
    const MutexLock lock(mutex);
    socket = orders->descriptor_socket;
    if (!std::exchange(welcomed, true)) log_info("connected to the coordinator");
  }
  for (const v1::CoordinatorMessage& question : orders->questions) config.asked(question);
  if (orders->inputs.empty()) return true;
  return post(std::move(orders->inputs));
}

void Session::Impl::renew_when_due(const std::shared_ptr<grpc::Channel>& channel) {
  auto leaf = load_leaf(leaf_folder(config.data_folder));
  const Time now = config.wall ? config.wall() : system_wall_time();
  if (!leaf || !due_for_renewal(leaf->leaf.cert_chain_pem, now)) return;
  const Status done = renew(channel, config.data_folder, Duration(10'000));
  if (done.ok()) {
    log_info("the certificate was renewed");
  } else {
    log_warning("the certificate could not be renewed: {}", done.message);
  }
}

}  // namespace overwinter::worker
