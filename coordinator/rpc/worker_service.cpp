#include "coordinator/rpc/worker_service.h"

#include <algorithm>
#include <utility>

#include "common/wire/convert.h"
#include "coordinator/rpc/csr_key.h"
#include "coordinator/rpc/worker_messages.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kWorkerNameBytesMax = 63;
constexpr int kLabelsMax = 64;
constexpr std::size_t kLabelBytesMax = 63;

bool is_worker_name(const std::string& name) {
  return name.size() <= kWorkerNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

bool is_label(const std::string& text) {
  return text.size() <= kLabelBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
         });
}

Result<core::WorkerJoinRequested> read_join(const v1::JoinRequest& request) {
  if (Status status = check_version(request.version()); !status.ok()) {
    return fail(std::move(status));
  }
  core::WorkerJoinRequested event;
  if (!is_worker_name(request.name())) {
    return fail(Code::kInvalidArgument,
                "a worker's name has at most 63 lower case letters, digits, dashes and points",
                "name");
  }
  event.name = request.name();
  if (request.labels_size() > kLabelsMax) {
    return fail(Code::kInvalidArgument, "a worker has at most 64 labels", "labels");
  }
  for (const auto& [key, value] : request.labels()) {
    if (key.empty() || !is_label(key) || !is_label(value)) {
      return fail(Code::kInvalidArgument,
                  "a label's key and value have at most 63 characters and no control characters",
                  "labels");
    }
    event.labels[key] = value;
  }
  event.projects = {request.projects().begin(), request.projects().end()};
  event.spot = request.spot();
  if (request.has_price_per_hour()) {
    const auto price = wire::from_proto(request.price_per_hour());
    if (!price) return fail(price.error());
    event.price_per_hour = *price;
  }
  const auto key = public_key_digest(request.csr_pem());
  if (!key) return fail(key.error());
  event.public_key = *key;
  return event;
}

class RefusedConnection final : public WorkerSessions::Reactor {
 public:
  explicit RefusedConnection(const Status& status) { Finish(to_grpc(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

void WorkerService::sign(grpc::ServerUnaryReactor* reactor, const std::string& csr, WorkerId worker,
                         std::function<void(std::string)> done) {
  const Status taken =
      context_.pool.run(runtime::Work::kPlan, [this, reactor, csr, worker, done = std::move(done)] {
        auto chain =
            context_.authority.sign_worker(csr, std::to_string(worker.value()), context_.now());
        if (chain) done(std::move(*chain));
        finish(reactor, chain ? Status::success() : chain.error());
      });
  if (!taken.ok()) finish(reactor, taken);
}

grpc::ServerUnaryReactor* WorkerService::Join(grpc::CallbackServerContext* call,
                                              const v1::JoinRequest* request,
                                              v1::JoinResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kJoin);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  auto event = read_join(*request);
  if (!event) {
    finish(reactor, event.error());
    return reactor;
  }
  event->by = *caller;
  context_.requests.ask(
      std::move(*event), [this, reactor, request, response](const core::Reply& reply) {
        if (!reply.status.ok()) return finish(reactor, reply.status);
        const auto worker = context_.views.worker(reply.worker);
        response->set_worker(reply.worker.value());
        if (worker) response->set_name(worker->name);
        response->set_cluster(context_.authority.cluster());
        response->set_root_pem(context_.authority.root_pem());
        sign(reactor, request->csr_pem(), reply.worker, [response](std::string chain) {
          response->set_certificate_chain_pem(std::move(chain));
        });
      });
  return reactor;
}

grpc::ServerUnaryReactor* WorkerService::Renew(grpc::CallbackServerContext* call,
                                               const v1::RenewRequest* request,
                                               v1::RenewResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kWorkerStream);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  sign(reactor, request->csr_pem(), WorkerId(caller->id),
       [response](std::string chain) { response->set_certificate_chain_pem(std::move(chain)); });
  return reactor;
}

WorkerSessions::Reactor* WorkerService::Connect(grpc::CallbackServerContext* call) {
  const auto caller = context_.authorizer->peer_caller(*call, Permission::kWorkerStream);
  if (!caller) return new RefusedConnection(caller.error());
  return sessions_.connect(WorkerId(caller->id));
}

}  // namespace overwinter::rpc
