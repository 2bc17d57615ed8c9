#include "coordinator/core/scheduler.h"

#include <algorithm>

#include "coordinator/core/engine.h"

namespace overwinter::core {
namespace {

template <class T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

void Outcome::clear() {
  facts.clear();
  effects.clear();
  next_wakeup.reset();
  jobs_touched.clear();
  workers_touched.clear();
}

struct Scheduler::Impl : Engine {
  using Engine::Engine;
};

Scheduler::Scheduler(SchedulerConfig config) : Scheduler(config, ClusterState{}) {}
Scheduler::Scheduler(SchedulerConfig config, ClusterState state)
    : impl_(std::make_unique<Impl>(config, std::move(state))) {}
Scheduler::~Scheduler() = default;
Scheduler::Scheduler(Scheduler&&) noexcept = default;
Scheduler& Scheduler::operator=(Scheduler&&) noexcept = default;

void Scheduler::step(Time now, const Event& event, Outcome& out) {
  impl_->step(now, event, out);
}
void Scheduler::replay(Time time, const Fact& fact) {
  impl_->replay(time, fact);
}
const ClusterState& Scheduler::state() const {
  return impl_->state();
}
const SoftState& Scheduler::soft() const {
  return impl_->soft();
}
const SchedulerConfig& Scheduler::config() const {
  return impl_->config();
}

Engine::Engine(SchedulerConfig config, ClusterState state)
    : config_(config), state_(std::move(state)) {}

void Engine::step(Time now, const Event& event, Outcome& out) {
  out.clear();
  out_ = &out;
  now_ = std::max(now, std::max(now_, state_.last_time));  // cluster time never goes back
  std::visit([this](const auto& e) { on(e); }, event);
  place();
  sort_unique(out.jobs_touched);
  sort_unique(out.workers_touched);
  out.next_wakeup = timers_.next();
  out_ = nullptr;
}

void Engine::emit(Fact fact) {
  evolve(state_, now_, fact);
  out_->facts.push_back(std::move(fact));
}

void Engine::effect(Effect effect) {
  const Reply* reply = std::get_if<Reply>(&effect);
  if (reply != nullptr && !reply->reply.valid()) return;  // nobody waits for it
  out_->effects.push_back(std::move(effect));
}

void Engine::reply(ReplyId to, Status status) {
  Reply reply;
  reply.reply = to;
  reply.status = std::move(status);
  effect(std::move(reply));
}

}  // namespace overwinter::core
