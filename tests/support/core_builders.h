// Builders for tests of the core: a_job().with_units(10), a_worker().with_device(...), and
// TestCluster, which drives a Scheduler by hand and applies every fact a second time, so that the
// state is checked against its replay.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/cluster_state.h"
#include "coordinator/core/scheduler.h"
#include "coordinator/core/soft_state.h"

namespace overwinter::core::test {

inline Principal admin() {
  return {PrincipalKind::kPerson, 1, Role::kAdmin, "", "root"};
}
inline Principal submitter(std::uint64_t id, std::string project = "") {
  return {PrincipalKind::kPerson, id, Role::kSubmitter, std::move(project), "ann"};
}

class JobBuilder {
 public:
  JobBuilder() {
    event_.by = admin();
    event_.project = "default";
    event_.display_name = event_.slug = "job";
    event_.spec = std::make_shared<const std::string>("spec");
    demand_.seats_max = 1;
    demand_.units = 1;
    demand_.units_per_range_max = 100;
    demand_.memory_bytes = 1 * kGiB;
    demand_.stop_time = Duration(1000);
  }
  JobBuilder& by(Principal principal) {
    event_.by = std::move(principal);
    return *this;
  }
  JobBuilder& named(std::string slug) {
    event_.slug = std::move(slug);
    return *this;
  }
  JobBuilder& in(std::string project) {
    event_.project = std::move(project);
    return *this;
  }
  JobBuilder& with_request_id(std::string id) {
    event_.request_id = std::move(id);
    return *this;
  }
  JobBuilder& with_units(std::uint64_t units) {
    demand_.units = units;
    return *this;
  }
  JobBuilder& with_range_max(std::uint64_t units) {
    demand_.units_per_range_max = units;
    return *this;
  }
  JobBuilder& with_seats(std::uint32_t min, std::uint32_t max) {
    demand_.seats_min = min;
    demand_.seats_max = max;
    return *this;
  }
  // A gang of min to max workers, one seat each.
  JobBuilder& as_gang(std::uint32_t min, std::uint32_t max) {
    demand_.transport = Transport::kGang;
    demand_.landing = Landing::kReport;
    demand_.units = 1;
    return with_seats(min, max);
  }
  JobBuilder& with_retries(std::uint32_t retries) {
    demand_.retries = retries;
    return *this;
  }
  JobBuilder& with_stall_timeout(Duration timeout) {
    demand_.stall_timeout = timeout;
    return *this;
  }
  JobBuilder& that_runs_user_code() {
    demand_.runs_user_code = true;
    return *this;
  }
  JobBuilder& with_memory(std::uint64_t bytes) {
    demand_.memory_bytes = bytes;
    return *this;
  }
  JobBuilder& with_threads(std::uint32_t threads) {
    demand_.threads = threads;
    return *this;
  }
  JobBuilder& with_cap(std::int64_t micros) {
    demand_.cap = Money{micros};
    return *this;
  }
  JobBuilder& with_time_limit(Duration limit) {
    demand_.time_limit = limit;
    return *this;
  }
  JobBuilder& with_priority(Priority priority) {
    demand_.priority = priority;
    return *this;
  }
  JobBuilder& with_spot(SpotUse spot) {
    demand_.spot = spot;
    return *this;
  }
  JobBuilder& with_landing(Landing landing) {
    demand_.landing = landing;
    return *this;
  }
  JobBuilder& with_stop_time(Duration time) {
    demand_.stop_time = time;
    return *this;
  }
  [[nodiscard]] const Demand& demand() const { return demand_; }
  [[nodiscard]] JobSubmitted build(ReplyId reply = ReplyId(1)) const {
    JobSubmitted event = event_;
    event.reply = reply;
    event.alternatives = {{demand_, std::make_shared<const std::string>("plan")}};
    return event;
  }

 private:
  JobSubmitted event_;
  Demand demand_;
};
inline JobBuilder a_job() {
  return {};
}

class WorkerBuilder {
 public:
  WorkerBuilder& named(std::string name) {
    name_ = std::move(name);
    return *this;
  }
  WorkerBuilder& with_device(std::uint64_t memory, std::uint32_t threads, std::string kind = "cpu",
                             double gflops = 10) {
    devices_.push_back({std::move(kind), "model", memory, threads, gflops, gflops / 2});
    return *this;
  }
  WorkerBuilder& with_price(std::int64_t micros) {
    price_ = Money{micros};
    return *this;
  }
  WorkerBuilder& for_projects(std::vector<std::string> projects) {
    projects_ = std::move(projects);
    return *this;
  }
  WorkerBuilder& on_spot() {
    spot_ = true;
    return *this;
  }
  WorkerBuilder& on_network(std::string network, bool shared = false) {
    network_ = std::move(network);
    shared_network_ = shared;
    return *this;
  }
  WorkerBuilder& on_host(std::string host) {
    host_ = std::move(host);
    return *this;
  }
  WorkerBuilder& without_exec(std::string why) {
    no_exec_ = std::move(why);
    return *this;
  }
  [[nodiscard]] MachineInfo machine() const {
    MachineInfo machine;
    machine.host_id = machine.host_name = host_.empty() ? name_ : host_;
    machine.network = network_;
    machine.shared_network = shared_network_;
    if (!network_.empty()) machine.peer_address = name_ + ":7610";
    machine.no_exec = no_exec_;
    machine.version = "0.1.0";
    machine.devices = devices_;
    if (devices_.empty()) machine.devices.push_back({"cpu", "model", 4 * kGiB, 4, 10, 5});
    return machine;
  }

  std::string name_ = "box";
  std::vector<DeviceInfo> devices_;
  std::optional<Money> price_;
  std::vector<std::string> projects_;
  bool spot_ = false;
  std::string network_;
  bool shared_network_ = false;
  std::string host_;
  std::string no_exec_;
};
inline WorkerBuilder a_worker() {
  return {};
}

// A book in which a device of the kind costs so much an hour.
inline ledger::PriceBook a_book(std::int64_t micros_per_hour, std::string kind = "cpu") {
  ledger::PriceBook book;
  book.entries.push_back({Time{}, std::move(kind), "any", false, Money{micros_per_hour}, {}});
  return book;
}

class TestCluster {
 public:
  explicit TestCluster(SchedulerConfig config = {}) : config_(config), scheduler_(config) {
    step(CoordinatorStarted{"test", 42});
    JoinFileCreateRequested join;
    join.by = admin();
    join.uses = 100'000;
    join.expires = now + std::chrono::hours(10'000);
    join.may_set_price = true;
    step(join);
  }

  const Outcome& step(const Event& event) {
    scheduler_.step(now, event, out);
    for (const Fact& fact : out.facts) {
      evolve(replayed_, now, fact);
      log.emplace_back(now, fact);
    }
    EXPECT_TRUE(replayed_ == scheduler_.state());
    for (const Effect& effect : out.effects) effects.push_back(effect);
    return out;
  }
  // Moves time to `to`, firing the timers on the way at their instants.
  void run_until(Time to) {
    while (out.next_wakeup && *out.next_wakeup <= to) {
      now = std::max(now, *out.next_wakeup);
      step(TimerFired{});
    }
    now = to;
  }
  void run_for(Duration duration) { run_until(now + duration); }

  // A new process: the facts are replayed, all else is forgotten.
  void restart() {
    scheduler_ = Scheduler(config_);
    for (const auto& [time, fact] : log) scheduler_.replay(time, fact);
    effects.clear();
    step(CoordinatorStarted{});
  }

  WorkerId join(const WorkerBuilder& builder) {
    WorkerJoinRequested event;
    event.by = {PrincipalKind::kJoin, 1, Role::kNone, "", ""};
    event.reply = ReplyId(9);
    event.name = builder.name_;
    event.projects = builder.projects_;
    event.spot = builder.spot_;
    event.price_per_hour = builder.price_;
    event.public_key.bytes[0] = static_cast<std::uint8_t>(++keys_);
    event.public_key.bytes[1] = static_cast<std::uint8_t>(keys_ >> 8);
    step(event);
    return last<Reply>().worker;
  }
  const Outcome& hello(WorkerId worker, const WorkerBuilder& builder, std::uint64_t incarnation = 1,
                       std::vector<SeatStatus> seats = {}, std::uint64_t last_report = 0) {
    return step(WorkerHello{worker, Incarnation(incarnation), builder.machine(), std::move(seats),
                            last_report});
  }
  WorkerId joined(const WorkerBuilder& builder) {
    const WorkerId id = join(builder);
    hello(id, builder);
    return id;
  }
  JobId submit(const JobBuilder& builder) {
    step(builder.build());
    return last<Reply>().job;
  }
  const Outcome& report(WorkerId worker, Report report) {
    const Worker& w = state().workers.at(worker);
    return step(WorkerReported{worker, w.incarnation, w.reports_processed + 1, std::move(report)});
  }
  const Outcome& began(SeatKey seat) {
    return report(state().find_seat(seat)->worker, SeatBegan{seat});
  }
  const Outcome& land(SeatKey seat, UnitRanges units) {
    return step(UnitsLanded{seat, state().find_seat(seat)->worker, std::move(units)});
  }
  const Outcome& end(SeatKey seat, Duration used, SeatEnd how = SeatEnd::kFinished,
                     std::string message = {}) {
    return report(state().find_seat(seat)->worker,
                  SeatEnded{seat, how, used, 0, std::move(message)});
  }
  const Outcome& act(JobId job, JobAction action, Principal by = admin()) {
    return step(JobActionRequested{std::move(by), ReplyId(5), job, action});
  }
  const Outcome& act(WorkerId worker, WorkerAction action) {
    return step(WorkerActionRequested{admin(), ReplyId(6), worker, action});
  }
  const Outcome& beat(WorkerId worker, std::vector<SeatStatus> seats = {}) {
    return step(WorkerHeartbeat{worker, state().workers.at(worker).incarnation, std::move(seats)});
  }
  void set_prices(ledger::PriceBook book) {
    step(PriceBookSetRequested{admin(), ReplyId(3), std::move(book), "text"});
  }

  [[nodiscard]] const ClusterState& state() const { return scheduler_.state(); }
  [[nodiscard]] const SoftState& soft() const { return scheduler_.soft(); }
  [[nodiscard]] const Scheduler& scheduler() const { return scheduler_; }
  [[nodiscard]] const Job& job(JobId id) const { return state().jobs.at(id); }
  [[nodiscard]] const Worker& worker(WorkerId id) const { return state().workers.at(id); }
  [[nodiscard]] SeatKey seat(JobId id, std::size_t index = 0) const {
    auto it = job(id).seats.begin();
    std::advance(it, index);
    return it->second.key;
  }
  // Of the last step.
  template <class E>
  [[nodiscard]] std::vector<E> all() const {
    std::vector<E> found;
    for (const Effect& effect : out.effects) {
      if (const E* e = std::get_if<E>(&effect)) found.push_back(*e);
    }
    return found;
  }
  template <class F>
  [[nodiscard]] std::vector<F> facts() const {
    std::vector<F> found;
    for (const Fact& fact : out.facts) {
      if (const F* f = std::get_if<F>(&fact)) found.push_back(*f);
    }
    return found;
  }
  template <class E>
  [[nodiscard]] E last() const {
    const std::vector<E> found = all<E>();
    return found.empty() ? E{} : found.back();
  }

  Time now = time_from_unix_ms(1'795'000'000'000);  // 2026-11-18
  Outcome out;
  std::vector<Effect> effects;  // since the last restart
  std::vector<std::pair<Time, Fact>> log;

 private:
  SchedulerConfig config_;
  Scheduler scheduler_;
  ClusterState replayed_;
  unsigned keys_ = 0;
};

[[nodiscard]] inline UnitRanges units(UnitNumber begin, UnitNumber end) {
  return UnitRanges(UnitRange{begin, end});
}

}  // namespace overwinter::core::test
