// AdminService: what `overwinter doctor` asks.
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/descriptors.h"
#include "common/base/log.h"
#include "common/security/file_io.h"
#include "common/security/leaf_store.h"
#include "common/security/tls_credentials.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/unary.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kCertificateBytesMax = std::size_t{256} * 1024;
constexpr Duration kProbeWithinMin{1'000};
constexpr Duration kProbeWithinMax = std::chrono::minutes(10);
constexpr Duration kHostsWithin{10'000};
constexpr Duration kPairsWithin = std::chrono::minutes(2);

Result<Duration> time_for(const v1::ProbeWorkersRequest& request) {
  if (!request.has_within()) return request.pairs() ? kPairsWithin : kHostsWithin;
  auto within = wire::from_proto(request.within());
  if (!within || *within < kProbeWithinMin || *within > kProbeWithinMax) {
    return fail(Code::kInvalidArgument, "a probe takes from 1 s to 10 minutes", "within");
  }
  return *within;
}

ProbedWorker probed(const runtime::WorkerView& view) {
  ProbedWorker out;
  out.id = view.id;
  out.incarnation = view.incarnation;
  out.name = view.name;
  out.host_id = view.machine.host_id;
  out.host_name = view.machine.host_name;
  out.version = view.machine.version;
  out.peer_address = view.machine.peer_address;
  out.network = view.machine.network;
  return out;
}

// Those that say they are there. A probe costs a machine's network for a moment: who is bound to a
// project may ask the machines of that project alone, as for everything that is done to a machine.
Result<std::vector<ProbedWorker>> probed_workers(const runtime::Views& views,
                                                 const Principal& caller) {
  std::vector<ProbedWorker> out;
  bool others = false;
  for (const auto& view : views.workers()) {
    const bool there =
        view->state == core::WorkerState::kReady || view->state == core::WorkerState::kDraining;
    if (!there || !runtime::sees_worker(caller, *view)) continue;
    if (!caller.project.empty() && view->projects != std::vector{caller.project}) {
      others = true;
      continue;
    }
    out.push_back(probed(*view));
  }
  if (out.empty() && others) {
    return fail(Code::kPermissionDenied,
                "every machine that project " + caller.project + " sees serves more than it", {},
                "a token of all projects may probe them");
  }
  return out;
}

// Of the file as it is now: it is read again every hour.
void describe_page_certificate(const std::filesystem::path& file, v1::ClusterDiagnosis& out) {
  if (file.empty()) return;
  const auto pem = read_file(file, kCertificateBytesMax);
  if (!pem) return;
  if (const auto info = read_certificate(*pem)) {
    *out.mutable_page_certificate_expire_time() = wire::to_proto(info->not_after);
  }
}

}  // namespace

Unary* AdminService::DiagnoseCluster(Call* call, const v1::DiagnoseClusterRequest*,
                                     v1::ClusterDiagnosis* response) {
  return answer_on_pool(
      context_, call, Permission::kReadWorkers, runtime::Work::kRead,
      [this, response](const Principal& caller) -> Status {
        response->set_role(std::string(role_name(caller.role)));
        response->set_project(caller.project);
        if (const auto token = context_.views.token(TokenId(caller.id)); token && token->expires) {
          *response->mutable_token_expire_time() = wire::to_proto(*token->expires);
        }
        *response->mutable_now() = wire::to_proto(context_.now());
        *response->mutable_wall_time() = wire::to_proto(system_wall_time());
        *response->mutable_issuer_expire_time() =
            wire::to_proto(context_.authority.issuing_not_after());
        if (const auto leaf = load_leaf(context_.serving.leaf_dir)) {
          if (const auto info = read_certificate(leaf->leaf.cert_chain_pem)) {
            *response->mutable_certificate_expire_time() = wire::to_proto(info->not_after);
          }
        }
        describe_page_certificate(context_.serving.page_certificate, *response);
        response->set_workers_port(static_cast<std::uint32_t>(context_.serving.workers_port));
        if (caller.project.empty()) describe_cluster(caller, *response);
        std::error_code failed;
        const auto space = std::filesystem::space(context_.serving.data_dir, failed);
        if (!failed) {
          response->set_disk_free_bytes(space.available);
          response->set_disk_total_bytes(space.capacity);
        }
        return Status::success();
      });
}

// What is of all projects alone: how many turns and connections there are tells of others' work.
void AdminService::describe_cluster(const Principal& caller, v1::ClusterDiagnosis& out) {
  const Descriptors descriptors = descriptors_of_process();
  out.set_descriptors_open(descriptors.open);
  out.set_descriptors_limit(descriptors.limit);
  const std::uint64_t durable = context_.store.statistics().turns;
  if (const auto log = log_checks_.look(durable)) {
    out.set_store_turns(log->turns);
    out.set_store_checked_turns(log->checked);
    out.set_store_problem(log->problem);
    if (!log->problem.empty()) log_error("the store: {}", log->problem);
  } else {
    out.set_store_turns(durable);
    log_warning("the log could not be checked: {}", log.error().message);
  }
  // Who may test hooks may know of their settings.
  if (may(caller, Permission::kManageProjects)) out.set_notify_problem(notices_.problem());
}

Unary* AdminService::ProbeWorkers(Call* call, const v1::ProbeWorkersRequest* request,
                                  v1::ProbeWorkersResponse* response) {
  return answer_later(context_, call, Permission::kActOnWorkers,
                      [&](const Principal& caller, Unary* reactor) -> Status {
                        const auto within = time_for(*request);
                        if (!within) return within.error();
                        auto workers = probed_workers(context_.views, caller);
                        if (!workers) return workers.error();
                        ProbeWish wish;
                        wish.workers = std::move(*workers);
                        wish.pairs = request->pairs();
                        wish.within = *within;
                        wish.wanted = [call] { return !call->IsCancelled(); };
                        return probes_.begin(
                            std::move(wish),
                            [reactor, response](Result<v1::ProbeWorkersResponse> answer) {
                              if (answer) *response = std::move(*answer);
                              finish(reactor, answer ? Status::success() : answer.error());
                            });
                      });
}

}  // namespace overwinter::rpc
