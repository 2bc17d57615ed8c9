#include "tests/simulation/world.h"

#include <fmt/format.h>

#include <algorithm>

namespace overwinter::simulation {
namespace {

constexpr Ms kRequestTimeout = 5000;
constexpr Ms kNudgeEvery = 20'000;
// After the faults: far more than any job here needs.
constexpr Ms kPatience = 6 * 3'600'000;
constexpr std::uint64_t kEventsMax = 200'000;

Principal admin() {
  Principal p;
  p.kind = PrincipalKind::kPerson;
  p.id = 1;
  p.role = Role::kAdmin;
  p.name = "admin";
  return p;
}

}  // namespace

World::World(Scenario scenario)
    : scenario_(std::move(scenario)),
      random_(scenario_.seed),
      gangs_(
          time_, random_, scenario_,
          [this](std::size_t worker, Incarnation to, const worker::Input& what) {
            workers_[worker]->tell(to, what);
          },
          [this](JobId job, AttemptNumber attempt, std::uint64_t step) {
            if (!coordinator_.up()) return false;
            time_.after(0, [=, this] {
              coordinator_.post(core::CheckpointStored{job, attempt, step});
            });
            return true;
          },
          [this](std::size_t worker) { return workers_[worker]->frozen(); }),
      artifacts_(gangs_),
      coordinator_(time_, random_, scenario_, artifacts_,
                   [this](const core::Effect& e) { leave(e); }),
      links_(scenario_.workers.size()),
      submissions_(scenario_.jobs.size()) {
  for (std::size_t i = 0; i < scenario_.workers.size(); ++i) {
    workers_.push_back(
        std::make_unique<WorkerModel>(time_, random_, scenario_.workers[i], i, *this));
  }
  for (std::size_t i = 0; i < submissions_.size(); ++i)
    submissions_[i].request_id = fmt::format("request-{}", i);
  coordinator_.on_crash = [this] { coordinator_crashed(); };
}

RunResult World::run() {
  begin();
  schedule_faults();
  time_.at(scenario_.faults_until, [this] { end_faults(); });
  const Ms deadline = scenario_.faults_until + kPatience;
  std::uint64_t events_max = 0;
  while (time_.step()) {
    if (time_.now() < scenario_.faults_until) continue;
    if (all_ended()) break;
    if (events_max == 0) events_max = coordinator_.events() + kEventsMax;
    if (time_.now() > deadline || coordinator_.events() > events_max) {
      if (coordinator_.up()) coordinator_.check_all();  // a rule that says more
      std::string what = fmt::format("{} events so far;", coordinator_.events());
      for (const auto& [id, job] : coordinator_.state().jobs) {
        if (!job.terminal()) {
          what += fmt::format(" job {} state {} ({}) {} of {} units, {} seats, {} to {};",
                              id.value(), static_cast<int>(job.state), job.reason, job.done.count(),
                              job.demand.units, job.seats.size(), job.demand.seats_min,
                              job.demand.seats_max);
        }
      }
      for (const auto& [id, worker] : coordinator_.state().workers) {
        what += fmt::format(" worker {} of {} on {} state {} ({}) seats {};", id.value(),
                            worker.machine.host_id, worker.machine.network,
                            static_cast<int>(worker.state), worker.reason, worker.seats.size());
      }
      for (const Submission& s : submissions_) {
        if (!s.job && !s.refused) what += " a submission was never answered;";
      }
      throw Violation(rule::kEnds, what);
    }
  }
  coordinator_.check_all();
  check_acknowledged();
  check_finished();
  return {coordinator_.events(), coordinator_.restarts(), coordinator_.trace(),
          submissions_.size()};
}

// ---- people
// ---------------------------------------------------------------------------------------------

template <class E>
void World::request(E event, OnReply on_reply, std::function<void()> lost) {
  const core::ReplyId reply(next_reply_++);
  event.by = event.by.kind == PrincipalKind::kSystem ? admin() : event.by;
  event.reply = reply;
  waiting_[reply] = std::move(on_reply);
  time_.after(delay(), [this, event = std::move(event)] { coordinator_.post(event); });
  time_.after(kRequestTimeout, [this, reply, lost = std::move(lost)] {
    if (waiting_.erase(reply) > 0 && lost) lost();
  });
}

void World::begin() {
  coordinator_.start();
  set_prices(0);
  for (std::size_t i = 1; i < scenario_.books.size(); ++i) {
    time_.at(random_.between(0, scenario_.faults_until), [this, i] { set_prices(i); });
  }
  create_project();
  core::JoinFileCreateRequested file;
  file.uses = 1000;
  file.expires = coordinator_.now() + Duration(365LL * 86'400'000);
  const auto ask = [this, file](const auto& self) -> void {
    request(
        file,
        [this](const core::Reply& reply) {
          for (std::size_t i = 0; i < workers_.size(); ++i) {
            time_.at(scenario_.workers[i].join_at,
                     [this, i, id = reply.join_file] { join(i, id); });
          }
        },
        [self] { self(self); });
  };
  ask(ask);
  for (std::size_t i = 0; i < scenario_.jobs.size(); ++i) {
    time_.at(std::max<Ms>(scenario_.jobs[i].submit_at, 1000), [this, i] { submit(i); });
  }
}

void World::join(std::size_t worker, JoinFileId file) {
  core::WorkerJoinRequested event;
  event.by.kind = PrincipalKind::kJoin;
  event.by.id = file.value();
  event.name = "box";
  event.spot = scenario_.workers[worker].spot;
  event.public_key.bytes[0] = static_cast<std::uint8_t>(worker + 1);
  request(
      event,
      [this, worker](const core::Reply& reply) {
        if (!reply.status.ok())
          throw Violation(rule::kEnds, "a join was refused: " + reply.status.message);
        workers_[worker]->set_id(reply.worker);
        workers_[worker]->start();
      },
      [this, worker, file] { join(worker, file); });
}

void World::submit(std::size_t index) {
  const JobPlan& plan = scenario_.jobs[index];
  core::JobSubmitted event;
  event.request_id = submissions_[index].request_id;
  event.project = plan.project;
  event.display_name = event.slug = fmt::format("job-{}", index);
  event.spec = std::make_shared<const std::string>("spec");
  event.alternatives.push_back({plan.demand, std::make_shared<const std::string>("plan")});
  const auto on_reply = [this, index](const core::Reply& reply) {
    Submission& s = submissions_[index];
    if (!reply.status.ok()) {
      if (reply.status.code == Code::kNotFound) {  // its project's creation is still under way
        time_.after(1000, [this, index] { submit(index); });
      } else {
        s.refused = true;
      }
      return;
    }
    if (s.job && *s.job != reply.job)
      throw Violation(rule::kRequestOnce, "another job for the same request id");
    s.job = reply.job;
    for (auto& worker : workers_) {
      worker->set_unit_ms(reply.job, scenario_.jobs[index].unit_ms);
    }
    gangs_.set_plan(reply.job, scenario_.jobs[index].gang);
  };
  request(event, on_reply, [this, index] {
    if (!submissions_[index].job) submit(index);
  });
  if (faulty() && random_.chance(scenario_.duplicate)) request(event, on_reply, {});
}

void World::create_project() {
  core::ProjectCreateRequested project;
  project.project = "other";
  request(
      project, [](const core::Reply&) {}, [this] { create_project(); });
}

void World::set_prices(std::size_t index) {
  core::PriceBookSetRequested event;
  event.book = scenario_.books[index];
  event.source = "drawn";
  request(
      event, [](const core::Reply&) {}, [this, index] { set_prices(index); });
}

void World::person_acts() {
  if (submissions_.empty()) return;
  const Submission& s = submissions_[static_cast<std::size_t>(
      random_.between(0, static_cast<std::int64_t>(submissions_.size()) - 1))];
  if (!s.job) return;
  const std::int64_t what = random_.between(0, 9);
  if (what < 7) {
    core::JobActionRequested event;
    event.job = *s.job;
    event.action = what < 3   ? core::JobAction::kPause
                   : what < 6 ? core::JobAction::kResume
                              : core::JobAction::kCancel;
    request(event, [](const core::Reply&) {}, {});
  } else {
    core::JobUpdateRequested event;
    event.job = *s.job;
    if (what == 7) event.priority = static_cast<Priority>(random_.between(1, 3));
    if (what > 7) event.cap = Money{random_.between(1'000, 100'000)};
    request(event, [](const core::Reply&) {}, {});
  }
}

void World::operator_acts() {
  const auto index =
      static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(workers_.size()) - 1));
  if (!workers_[index]->id().valid()) return;
  core::WorkerActionRequested event;
  event.worker = workers_[index]->id();
  const std::int64_t what = random_.between(0, 9);
  event.action = what < 5   ? core::WorkerAction::kDrain
                 : what < 9 ? core::WorkerAction::kResume
                            : core::WorkerAction::kRemove;
  if (event.action == core::WorkerAction::kRemove && index <= 1)
    return;  // those that fit every job
  request(event, [](const core::Reply&) {}, {});
}

// After the faults: drained workers work again, paused jobs get more money and go on.
void World::nudge() {
  time_.after(kNudgeEvery, [this] { nudge(); });
  if (!coordinator_.up()) return;
  for (const auto& [id, worker] : coordinator_.state().workers) {
    if (worker.draining && !worker.removing) {
      core::WorkerActionRequested event;
      event.worker = id;
      event.action = core::WorkerAction::kResume;
      request(event, [](const core::Reply&) {}, {});
    }
  }
  for (const auto& [id, job] : coordinator_.state().jobs) {
    if (job.state != core::JobState::kPaused) continue;
    core::JobUpdateRequested more;
    more.job = id;
    more.cap = Money{1'000'000'000'000};
    request(more, [](const core::Reply&) {}, {});
    core::JobActionRequested go;
    go.job = id;
    go.action = core::JobAction::kResume;
    request(go, [](const core::Reply&) {}, {});
  }
}

bool World::all_ended() const {
  if (!coordinator_.up()) return false;
  for (const Submission& s : submissions_) {
    if (s.refused) continue;
    if (!s.job) return false;
    const core::Job* job = coordinator_.state().find_job(*s.job);
    if (job != nullptr && !job->terminal()) return false;
  }
  return true;
}

void World::check_acknowledged() const {
  for (const Submission& s : submissions_) {
    require(!s.job || coordinator_.remembers(*s.job, s.request_id), rule::kAcknowledged,
            [&] { return fmt::format("job {} is gone", s.job->value()); });
  }
}

void World::check_finished() const {
  for (const Submission& s : submissions_) {
    if (!s.job) continue;
    const core::Job* job = coordinator_.state().find_job(*s.job);
    if (job == nullptr || job->state != core::JobState::kSucceeded) continue;
    require(!job->gang() || gangs_.completed(*s.job), rule::kGangDone, [&] {
      return fmt::format("gang {} succeeded and never came to its end", s.job->value());
    });
    require(job->demand.landing != Landing::kArtifact || results_finished_.count(*s.job) > 0,
            rule::kDerivedAgain,
            [&] { return fmt::format("the result of job {} was never finished", s.job->value()); });
  }
}

}  // namespace overwinter::simulation
