#include "coordinator/rpc/worker_sessions.h"

#include <chrono>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/log.h"
#include "common/security/random.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/worker_messages.h"
#include "coordinator/rpc/worker_session.h"
#include "coordinator/runtime/effect_dispatcher.h"
#include "coordinator/runtime/job_inputs.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kLaunchTokenCharacters = 43;  // more than 256 bits
// Beyond the seat's funding: time for the last tiles on a slow link.
constexpr Duration kCapabilityMargin = std::chrono::minutes(10);

}  // namespace

WorkerSessions::WorkerSessions(runtime::EventQueue& queue, const runtime::Views& views,
                               StreamRegistry& people, CapabilitySigner signer,
                               std::function<Time()> now, WorkerSessionsConfig config)
    : queue_(queue),
      views_(views),
      people_(people),
      signer_(std::move(signer)),
      now_(std::move(now)),
      config_(std::move(config)) {}

WorkerSessions::Reactor* WorkerSessions::connect(WorkerId worker) {
  auto session = std::make_shared<WorkerSession>(*this, worker);
  {
    MutexLock lock(mutex_);
    open_.insert(session);
  }
  return session->start();
}

void WorkerSessions::said_hello(const Key& key, const std::shared_ptr<WorkerSession>& session) {
  std::shared_ptr<WorkerSession> before;
  {
    MutexLock lock(mutex_);
    before = std::exchange(sessions_[key], session);
  }
  if (before) before->end(error(Code::kAborted, "the same worker has connected again"));
}

void WorkerSessions::gone(const Key& key, const WorkerSession* session) {
  bool disconnected = false;
  {
    MutexLock lock(mutex_);
    const auto it = sessions_.find(key);
    if (it != sessions_.end() && it->second.get() == session) {
      sessions_.erase(it);
      disconnected = true;
    }
    std::erase_if(open_, [session](const auto& open) { return open.get() == session; });
  }
  if (disconnected) queue_.post_vital(core::WorkerDisconnected{key.first, key.second});
}

std::shared_ptr<WorkerSession> WorkerSessions::find(WorkerId worker,
                                                    Incarnation incarnation) const {
  MutexLock lock(mutex_);
  const auto it = sessions_.find({worker, incarnation});
  return it == sessions_.end() ? nullptr : it->second;
}

std::size_t WorkerSessions::connected() const {
  MutexLock lock(mutex_);
  return sessions_.size();
}

std::string WorkerSessions::capability(WorkerId worker, SeatKey seat, const std::string& project,
                                       const core::SharedBytes& spec, const core::SharedBytes& plan,
                                       Duration funded_for) const {
  Capability capability;
  capability.holder = std::to_string(worker.value());
  capability.project = project;
  capability.job = std::to_string(seat.job.value());
  capability.attempt = seat.attempt;
  capability.write_tiles = true;
  capability.end = now_() + funded_for + kCapabilityMargin;
  v1::Plan message;
  if (!plan || !message.ParseFromString(*plan) || message.has_noop()) return {};
  v1::JobSpec asked;
  if (message.has_exec() && (!spec || !asked.ParseFromString(*spec))) return {};
  for (const std::string& text : runtime::input_digests(asked, message)) {
    if (const auto digest = parse_digest(text)) capability.read.push_back(*digest);
  }
  auto signed_text = signer_.sign(capability);
  if (!signed_text) {
    log_error("a capability could not be signed: {}", signed_text.error().message);
    return {};
  }
  return std::move(*signed_text);
}

v1::FundSeat WorkerSessions::fund_message(const core::FundSeat& effect) const {
  std::string text;
  if (const auto job = views_.job(effect.seat.job)) {
    text = capability(effect.worker, effect.seat, job->project, job->spec, job->plan,
                      effect.funded_for);
  }
  return to_message(effect, std::move(text));
}

void WorkerSessions::put_welcome(const core::Welcome& effect, const WorkerSession& session,
                                 v1::Welcome& out) const {
  out.set_acknowledged(effect.acknowledged);
  for (const auto& keep : effect.keep) *out.add_keep() = fund_message(keep);
  for (const auto& seat : effect.drop) *out.add_drop() = wire::to_proto(seat);
  for (const auto& offer : effect.start) {
    *out.add_start() = to_message(offer, capability(offer.worker, offer.seat, offer.project,
                                                    offer.spec, offer.plan, offer.funded_for));
  }
  out.set_generation(config_.generation);
  *out.mutable_heartbeat_every() = wire::to_proto(config_.heartbeat_every);
  if (session.same_host()) out.set_descriptor_socket(config_.descriptor_socket);
}

bool WorkerSessions::put_message(const core::Effect& effect, const WorkerSession& session,
                                 v1::CoordinatorMessage& out) const {
  return std::visit(
      [&](const auto& e) {
        using E = std::decay_t<decltype(e)>;
        if constexpr (std::is_same_v<E, core::OfferSeat>) {
          *out.mutable_offer_seat() =
              to_message(e, capability(e.worker, e.seat, e.project, e.spec, e.plan, e.funded_for));
        } else if constexpr (std::is_same_v<E, core::FundSeat>) {
          *out.mutable_fund_seat() = fund_message(e);
        } else if constexpr (std::is_same_v<E, core::HandOutUnits>) {
          *out.mutable_hand_out_units() = to_message(e);
        } else if constexpr (std::is_same_v<E, core::ReclaimUnits>) {
          *out.mutable_reclaim_units() = to_message(e);
        } else if constexpr (std::is_same_v<E, core::StopSeat>) {
          *out.mutable_stop_seat() = to_message(e);
        } else if constexpr (std::is_same_v<E, core::Welcome>) {
          put_welcome(e, session, *out.mutable_welcome());
        } else if constexpr (std::is_same_v<E, core::AcknowledgeReports>) {
          out.mutable_acknowledge()->set_report(e.number);
        } else {
          return false;
        }
        return true;
      },
      effect);
}

void WorkerSessions::order(const core::Effect& effect) {
  const auto incarnation = std::visit(
      [](const auto& e) {
        if constexpr (requires { e.incarnation; }) {
          return e.incarnation;
        } else {
          return Incarnation();
        }
      },
      effect);
  const auto session = find(runtime::worker_of(effect), incarnation);
  if (!session) return;
  if (const auto* refuse = std::get_if<core::RefuseWorker>(&effect)) {
    session->end(refuse->status);
    return;
  }
  v1::CoordinatorMessage message;
  if (!put_message(effect, *session, message)) return;
  session->put(std::move(message));
  to_flush_.insert(session);
}

// A worker that is away says in its next Hello how far it is; the launch then fails in its time.
void WorkerSessions::launch(const core::LaunchGang& effect) {
  const std::string token = random_id(kLaunchTokenCharacters);
  for (std::size_t i = 0; i < effect.members.size(); ++i) {
    const auto session = find(effect.members[i].worker, effect.incarnations[i]);
    if (!session) continue;
    v1::CoordinatorMessage message;
    *message.mutable_launch_gang() = to_message(effect, i, token);
    session->put(std::move(message));
    to_flush_.insert(session);
  }
}

bool WorkerSessions::say(WorkerId worker, Incarnation incarnation, v1::CoordinatorMessage message) {
  const auto session = find(worker, incarnation);
  if (!session) return false;
  session->put(std::move(message));
  session->write_if_idle();
  return true;
}

void WorkerSessions::flush() {
  for (const auto& session : to_flush_) session->write_if_idle();
  to_flush_.clear();
}

void WorkerSessions::end_principal(const core::EndPrincipal& effect) {
  const Status status = error(Code::kUnauthenticated, "this credential was revoked");
  if (effect.kind != PrincipalKind::kWorker) {
    people_.end_all(effect.kind, effect.id, status);
    return;
  }
  std::vector<std::shared_ptr<WorkerSession>> ended;
  {
    MutexLock lock(mutex_);
    for (const auto& session : open_) {
      if (session->worker().value() == effect.id) ended.push_back(session);
    }
  }
  for (const auto& session : ended) session->end(status);
}

void WorkerSessions::end_all(const Status& status) {
  std::vector<std::shared_ptr<WorkerSession>> ended;
  {
    MutexLock lock(mutex_);
    ended.assign(open_.begin(), open_.end());
  }
  for (const auto& session : ended) session->end(status);
}

}  // namespace overwinter::rpc
