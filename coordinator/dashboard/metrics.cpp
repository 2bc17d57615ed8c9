#include "coordinator/dashboard/metrics.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "coordinator/runtime/resources.h"
#include "overwinter/v1/admin.pb.h"
#include "overwinter/v1/billing.pb.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::dashboard {
namespace {

constexpr std::size_t kJobLinesMax = 1000;  // the newest

class Text {
 public:
  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = "overwinter_" + std::string(name);
    out_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
            std::string(type) + "\n";
  }
  void line(const std::string& labels, const std::string& value) {
    out_ += name_ + (labels.empty() ? "" : "{" + labels + "}") + " " + value + "\n";
  }
  void one(std::string_view name, std::string_view type, std::string_view help,
           std::uint64_t value) {
    begin(name, type, help);
    line({}, std::to_string(value));
  }
  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string name_;
};

void add_states(const Sources& sources, const Principal& caller, Text& text) {
  std::array<std::uint64_t, v1::Job::State_ARRAYSIZE> jobs{};
  for (const auto& job : sources.views.jobs(caller.project))
    ++jobs.at(static_cast<std::size_t>(job->state));
  text.begin("jobs", "gauge", "Jobs that the coordinator holds, by state.");
  for (int state = v1::Job::QUEUED; state < v1::Job::State_ARRAYSIZE; ++state) {
    text.line("state=\"" + v1::Job::State_Name(state) + "\"",
              std::to_string(jobs.at(static_cast<std::size_t>(state))));
  }
  std::array<std::uint64_t, v1::Worker::State_ARRAYSIZE> workers{};
  for (const auto& worker : sources.views.workers()) {
    if (!runtime::sees_worker(caller, *worker)) continue;
    ++workers.at(static_cast<std::size_t>(worker->state));
  }
  text.begin("workers", "gauge", "Workers by state.");
  for (int state = v1::Worker::JOINED; state < v1::Worker::State_ARRAYSIZE; ++state) {
    text.line("state=\"" + v1::Worker::State_Name(state) + "\"",
              std::to_string(workers.at(static_cast<std::size_t>(state))));
  }
}

std::string labelled(std::string_view name, std::string_view value) {
  std::string out = std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

// The lines of the API's list, of the jobs that the coordinator holds: those that left it would
// only grow in number. The sum is of all.
void add_job_costs(const Sources& sources, const runtime::JobBill& bill, Text& text) {
  const std::string currency = labelled("currency", bill.currency);
  text.begin("job_cost", "gauge",
             "What a job that the coordinator holds has cost, in units of the currency.");
  std::size_t shown = 0;
  for (auto line = bill.lines.rbegin(); line != bill.lines.rend() && shown < kJobLinesMax; ++line) {
    if (!sources.views.job(line->job)) continue;
    text.line(labelled("job", "projects/" + line->project + "/jobs/" + line->name) + "," + currency,
              format_money(line->charged));
    ++shown;
  }
  text.begin("jobs_cost", "gauge", "What all jobs have cost, in units of the currency.");
  text.line(currency, format_money(bill.total));
}

void add_kinds(const v1::MachineCost& cost, const std::string& labels, Text& text) {
  const auto line = [&](const char* kind, const v1::Money& money) {
    text.line(labels + ",kind=\"" + kind + "\"", format_money(Money{money.amount_micros()}));
  };
  line("jobs", cost.jobs());
  line("idle", cost.idle());
  line("lost", cost.lost());
}

void add_costs(const Sources& sources, const Principal& caller, Time now, Text& text) {
  const auto bill = sources.costs.job_bill(caller.project, {}, {}, now);
  if (!bill) return;
  add_job_costs(sources, *bill, text);
  if (!caller.project.empty() || !may(caller, Permission::kReadAllMoney)) return;
  v1::ListMachineCostsResponse machines;
  if (!sources.costs.list_machines({}, now, machines).ok()) return;
  const std::string currency = labelled("currency", bill->currency);
  text.begin("machine_cost", "gauge",
             "What a machine has cost, in units of the currency; the kinds sum to its whole.");
  for (const auto& machine : machines.machines()) {
    add_kinds(machine, labelled("worker", machine.worker()) + "," + currency, text);
  }
  text.begin("machines_cost", "gauge",
             "What all machines have cost, in units of the currency; the kinds sum to the whole.");
  add_kinds(machines.total(), currency, text);
}

// By the names that an admin gave; addresses stand nowhere.
void add_notifications(const runtime::Notices& notices, Text& text) {
  const auto hooks = notices.counts();
  text.begin("notifications_total", "counter",
             "Messages of webhooks by what became of them; retried ones are counted again.");
  for (const auto& [hook, counts] : hooks) {
    const auto line = [&](std::string_view outcome, std::uint64_t value) {
      text.line(labelled("hook", hook) + "," + labelled("outcome", outcome), std::to_string(value));
    };
    line("delivered", counts.delivered);
    line("failed", counts.failed);
    line("dropped", counts.dropped);
    line("retried", counts.retried);
  }
  text.begin("notifications_waiting", "gauge", "Messages of webhooks that are not delivered yet.");
  for (const auto& [hook, counts] : hooks)
    text.line(labelled("hook", hook), std::to_string(counts.waiting));
}

void add_connections(const Sources& sources, Text& text) {
  std::array<std::pair<std::string, runtime::ConnectionCounts>, telemetry::kDoors> ports;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto door = static_cast<telemetry::Door>(i);
    ports.at(i) = {labelled("server", telemetry::door_name(door)), sources.connections(door)};
  }
  text.begin("connections", "gauge", "Open connections, by port.");
  for (const auto& [port, counts] : ports) text.line(port, std::to_string(counts.open));
  text.begin("connections_total", "counter", "Connections that a port took.");
  for (const auto& [port, counts] : ports) text.line(port, std::to_string(counts.accepted));
  text.begin("connections_refused_total", "counter",
             "Connections that a port closed: too many in all or of an address; one of an address "
             "with fewer came; silent for too long, or too much sent before anything was asked.");
  for (const auto& [port, counts] : ports) {
    const auto line = [&](const char* why, std::uint64_t count) {
      text.line(port + "," + labelled("why", why), std::to_string(count));
    };
    line("full", counts.full);
    line("address", counts.of_address);
    line("displaced", counts.displaced);
    line("late", counts.late);
    line("greedy", counts.greedy);
  }
}

// Calls that were refused: a line for each port and code that there was.
void add_refusals(const Sources& sources, Text& text) {
  text.begin("refusals_total", "counter", "Calls refused since the start, by port and code.");
  for (std::size_t door = 0; door < telemetry::kDoors; ++door) {
    const auto server = static_cast<telemetry::Door>(door);
    for (int code = 1; code <= static_cast<int>(Code::kUnauthenticated); ++code) {
      const auto count = sources.audit.refusals(server, static_cast<Code>(code));
      if (count == 0) continue;
      text.line(labelled("server", telemetry::door_name(server)) + "," +
                    labelled("code", code_name(static_cast<Code>(code))),
                std::to_string(count));
    }
  }
  text.one("audit_lines_lost_total", "counter", "Lines of the audit that there was no room for.",
           sources.audit.lost());
}

}  // namespace

std::string metrics_text(const Sources& sources, const Principal& caller, Time now) {
  Text text;
  add_states(sources, caller, text);
  add_costs(sources, caller, now, text);
  // The rest counts what all projects do.
  if (!caller.project.empty()) return text.take();
  text.one("workers_connected", "gauge", "Workers whose stream is open.",
           sources.workers_connected());
  add_connections(sources, text);
  const auto statistics = sources.store.statistics();
  text.one("commits_total", "counter", "Commits of the store since the start.", statistics.commits);
  text.one("log_turns", "gauge", "Turns in the log.", statistics.turns);
  text.one("log_bytes", "gauge", "Size of the log on disk.", statistics.log_bytes);
  const auto& counters = sources.loop.counters();
  text.one("events_total", "counter", "Events stepped by the core.", counters.events);
  text.one("turns_total", "counter", "Turns with facts.", counters.turns);
  text.one("facts_total", "counter", "Facts decided.", counters.facts);
  text.one("loop_stalls_total", "counter", "Times the loop stood still.", counters.stalls);
  text.begin("turn_seconds_total", "counter",
             "Time from a turn's first event to its effects, summed; by turns_total: the mean.");
  text.line({}, std::to_string(static_cast<double>(counters.turn_us.load()) / 1e6));
  text.one("events_waiting", "gauge", "Events in the core's queue.", sources.queue.size());
  add_notifications(sources.notices, text);
  add_refusals(sources, text);
  text.one("work_waiting", "gauge", "Tasks in the blocking pool's queues.", sources.pool.waiting());
  return text.take();
}

}  // namespace overwinter::dashboard
