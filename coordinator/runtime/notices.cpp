#include "coordinator/runtime/notices.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "coordinator/runtime/explain.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {
namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);
constexpr auto kLookWithoutHooksEvery = std::chrono::seconds(10);
constexpr Duration kWorkersEvery{2'000};
constexpr std::size_t kEventsAtOnce = 256;

notify::JobSeen::Phase phase_of(core::JobState state) {
  using Phase = notify::JobSeen::Phase;
  switch (state) {
    case core::JobState::kQueued:
      return Phase::kQueued;
    case core::JobState::kPaused:
      return Phase::kPaused;
    case core::JobState::kFailed:
      return Phase::kFailed;
    case core::JobState::kSucceeded:
    case core::JobState::kCancelled:
      return Phase::kEnded;
    default:
      return Phase::kActive;
  }
}

notify::JobSeen seen(const JobView& job) {
  notify::JobSeen out;
  out.id = job.id;
  out.project = job.project;
  out.name = job.name;
  out.phase = phase_of(job.state);
  out.state = v1::Job::State_Name(static_cast<int>(job.state));
  out.by_person = job.cause == core::Cause::kPerson;
  out.reason = job.reason;
  out.since = job.state_at;
  out.charged = ledger::rounded(job.charged);
  out.held = ledger::rounded(job.charged + job.reserved);
  out.cap = job.demand.cap;
  return out;
}

notify::WorkerSeen seen(const WorkerView& worker) {
  using Phase = notify::WorkerSeen::Phase;
  notify::WorkerSeen out;
  out.id = worker.id;
  out.name = worker.name;
  out.projects = worker.projects;
  out.phase = worker.state == core::WorkerState::kLost      ? Phase::kLost
              : worker.state == core::WorkerState::kRemoved ? Phase::kGone
                                                            : Phase::kHere;
  out.state = v1::Worker::State_Name(static_cast<int>(worker.state));
  out.reason = worker.reason;
  out.since = worker.lost_since;
  out.price_per_hour = worker.price_per_hour;
  for (const DeviceUseView& use : worker.uses) out.seats += use.seats;
  return out;
}

// As a reader of its project alone is told: a hook may be read by people of that project.
std::string why_it_waits(const Views& views, const JobView& job) {
  Principal reader;
  reader.kind = PrincipalKind::kPerson;
  reader.role = Role::kViewer;
  reader.project = job.project;
  const v1::ExplainJobResponse why = explain_job(views, reader, job);
  return why.smallest_change().empty() ? why.summary()
                                       : why.summary() + "; " + why.smallest_change();
}

}  // namespace

Notices::Notices(NoticesNeed need)
    : need_(std::move(need)),
      file_(need_.settings),
      told_(need_.told),
      releases_(need_.views, need_.requests, told_) {}

void Notices::start() {
  told_.load();
  thread_ = std::thread([this] { work(); });
}

void Notices::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  test_.stop();
  releases_.stop();
  std::map<std::string, std::unique_ptr<notify::Courier>> ended;
  {
    const MutexLock lock(mutex_);
    ended.swap(couriers_);
  }
  ended.clear();
  told_.save();
}

void Notices::reload() {
  {
    const MutexLock lock(mutex_);
    reload_ = true;
  }
  changed_.notify_all();
}

// The views are asked, nobody is woken by them: a second more or less is nothing to who is told,
// and the loop has nothing to do with it.
void Notices::work() {
  for (;;) {
    const Time now = need_.now();
    take_settings(now);
    if (!settings_->empty()) {
      look_at_jobs(now);
      if (now - workers_at_ >= kWorkersEvery) look_at_workers(now);
      for (const std::string& owner : watch_.take_over()) told_.forget(owner);
    }
    told_.save();
    const auto until = std::chrono::steady_clock::now() +
                       (settings_->empty() ? kLookWithoutHooksEvery : kLookEvery);
    const MutexLock lock(mutex_);
    while (!stopping_ && !reload_ && std::chrono::steady_clock::now() < until)
      changed_.wait_until(mutex_, until);
    if (stopping_) return;
    reload_ = false;
  }
}

void Notices::take_settings(Time now) {
  file_.look();
  auto wanted = file_.settings();
  if (wanted == settings_) return;
  if (settings_->empty()) {  // nothing was looked at until now
    watch_ = {};
    next_event_ = 0;
    workers_at_ = {};
  }
  settings_ = std::move(wanted);
  watch_.set_idle({settings_->on_idle.after, settings_->on_idle.workers});
  std::vector<std::string> names;
  std::map<std::string, std::unique_ptr<notify::Courier>> ended;
  {
    const MutexLock lock(mutex_);
    ended.swap(couriers_);
    for (const notify::Hook& hook : settings_->hooks) {
      names.push_back(hook.name);
      auto& courier = couriers_[hook.name];
      if (const auto known = ended.find(hook.name); known != ended.end()) {
        courier = std::move(known->second);
        ended.erase(known);
        courier->set_url(hook.url);
        continue;
      }
      courier = std::make_unique<notify::Courier>(
          hook.name, hook.url, [this, name = hook.name](const notify::Parcel& parcel, bool) {
            told_.add(name, parcel.owner, parcel.key);
          });
    }
  }
  ended.clear();  // outside the lock: it waits for their threads
  told_.set_hooks(names, now);
}

void Notices::look_at_jobs(Time now) {
  if (next_event_ != 0) {
    for (;;) {
      const auto events = need_.views.events({}, next_event_, kEventsAtOnce);
      if (!events) {
        next_event_ = 0;  // more happened than is kept: what has become of it is seen below
        break;
      }
      if (events->empty()) return;
      next_event_ = events->back().number + 1;
      for (const JobEvent& event : *events) {
        for (const SeatView& seat : event.job->seats) worked_.insert(seat.worker);
        tell(watch_.see_job(seen(*event.job), now));
      }
    }
  }
  next_event_ = need_.views.next_event({});
  for (const auto& job : need_.views.jobs({})) tell(watch_.see_job(seen(*job), now));
}

void Notices::look_at_workers(Time now) {
  workers_at_ = now;
  std::vector<notify::WorkerSeen> workers;
  for (const auto& worker : need_.views.workers()) {
    workers.push_back(seen(*worker));
    // Work that began and ended between two looks ends the idle time too.
    if (worked_.contains(worker->id)) workers.back().seats = std::max(workers.back().seats, 1U);
  }
  worked_.clear();
  tell(watch_.see_workers(workers, now));
  tell(watch_.see_time(now));
  for (const JobId id : watch_.jobs()) {
    if (!need_.views.job(id)) watch_.forget_job(id);
  }
}

notify::MessageContext Notices::context() const {
  const auto cluster = need_.views.cluster();
  const auto settings = file_.settings();
  return {cluster->cluster, cluster->prices.currency,
          settings->page.empty() ? need_.serving.dashboard : settings->page};
}

void Notices::tell(std::vector<notify::Notice> notices) {
  for (notify::Notice& notice : notices) {
    if (notice.event == notify::Event::kWaiting) {
      if (const auto job = need_.views.job(notice.job))
        notice.sentence = why_it_waits(need_.views, *job);
    }
    if (notice.event == notify::Event::kIdle && !settings_->on_idle.command.empty()) {
      releases_.put({notice.worker, notice.name, notice.owner, notice.key, notice.sentence,
                     settings_->on_idle.command});
    }
    for (const notify::Hook& hook : settings_->hooks) {
      if (!notify::wants(hook, notice) ||
          !told_.open(hook.name, notice.owner, notice.key, notice.at)) {
        continue;
      }
      notify::Parcel parcel{notice.owner, notice.key, std::string(notify::event_name(notice.event)),
                            notify::message_of(notice, context())};
      const MutexLock lock(mutex_);
      couriers_.at(hook.name)->send(std::move(parcel));
    }
  }
}

Result<std::vector<notify::HookTest::Letter>> Notices::test_letters(const std::string& hook) {
  file_.look();
  if (Status status = file_.status(); !status.ok()) return fail(std::move(status));
  std::vector<notify::HookTest::Letter> out;
  std::string names;
  for (const notify::Hook& one : file_.settings()->hooks) {
    names += (names.empty() ? "" : ", ") + one.name;
    if (hook.empty() || hook == one.name)
      out.push_back({one.name, one.url, notify::test_message(one.name, context(), need_.now())});
  }
  if (!out.empty()) return out;
  if (names.empty()) {
    return fail(Code::kNotFound, "no hook is configured", "hook",
                "write notify.yaml in the coordinator's data folder: hooks: [{name, url, on}]");
  }
  return fail(Code::kNotFound, "there is no such hook", "hook", "hooks are " + names);
}

void Notices::test(const std::string& hook, notify::HookTest::Done done) {
  const Status begun = test_.begin([this, hook] { return test_letters(hook); }, done);
  if (!begun.ok()) done(fail(begun));
}

std::string Notices::problem() {
  file_.look();
  const Status status = file_.status();
  if (status.ok()) return {};
  return status.hint.empty() ? status.message : status.message + " (" + status.hint + ")";
}

std::vector<HookCounts> Notices::counts() const {
  const MutexLock lock(mutex_);
  std::vector<HookCounts> out;
  for (const auto& [name, courier] : couriers_) out.push_back({name, courier->counts()});
  return out;
}

}  // namespace overwinter::runtime
