// doctor: asks everything that this person may ask, and judges it (doctor_findings.h).
#include <fmt/format.h>
#include <sys/utsname.h>

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>

#include "client/cli/commands.h"
#include "client/cli/doctor_bundle.h"
#include "client/cli/doctor_findings.h"
#include "client/cli/exit_codes.h"
#include "client/forward/rewrite.h"
#include "common/base/bytes.h"
#include "common/base/version.h"
#include "common/security/certificate.h"
#include "common/security/file_io.h"
#include "common/security/https_probe.h"
#include "common/security/tls_credentials.h"
#include "overwinter/v1/doctor.pb.h"

namespace overwinter::cli {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int kAuditLines = 200;
constexpr Duration kPageWithin{5'000};
constexpr Duration kMachinesWithin{10'000};
constexpr Duration kWaysWithin{120'000};
constexpr Duration kWithinLeast{1'000};
constexpr Duration kWithinMost = std::chrono::minutes(10);

void note_unanswered(v1::DoctorReport& report, const char* question, const Status& status) {
  v1::Unanswered& one = *report.add_unanswered();
  one.set_question(question);
  one.set_code(static_cast<std::int32_t>(status.code));
  one.set_message(status.message);
  one.set_hint(status.hint);
}

// The coordinator's clock against this one's, from one call on a connection that is open already.
// Asked twice: the first answer waits for a look at the store, which the second finds done, and of
// the two clocks the nearer one is taken.
void ask_diagnosis(client::Client& client, v1::DoctorReport& report) {
  std::optional<std::int64_t> nearest;
  for (int asked = 0; asked < 2; ++asked) {
    const Time before = system_wall_time();
    auto diagnosis = client.diagnose();
    const Time after = system_wall_time();
    if (!diagnosis) {
      if (!nearest) note_unanswered(report, "diagnosis", diagnosis.error());
      return;
    }
    const std::int64_t half = (after - before).count() / 2;
    const std::int64_t there = TimeUtil::TimestampToMilliseconds(diagnosis->wall_time());
    *report.mutable_diagnosis() = std::move(*diagnosis);
    if (nearest && half >= *nearest) continue;
    nearest = half;
    *report.mutable_clock_offset() =
        TimeUtil::MillisecondsToDuration(there - unix_ms(before) - half);
    *report.mutable_clock_uncertainty() = TimeUtil::MillisecondsToDuration(half + 1);
  }
}

// Whether its port can be reached from here; whose it is, is the forwarder's question.
void ask_page(const client::Credentials& credentials, v1::DoctorReport& report) {
  if (report.status().dashboard().empty()) return;
  const auto place = forward::place_of(report.status().dashboard(), credentials.address);
  if (!place) return note_unanswered(report, "page", place.error());
  const auto answer =
      https_probe(place->host, std::to_string(place->port), "/healthz", kPageWithin);
  if (!answer) note_unanswered(report, "page", answer.error());
}

// Whether machines could join from here.
void ask_workers_port(const client::Credentials& credentials, v1::DoctorReport& report) {
  const std::uint32_t port = report.diagnosis().workers_port();
  if (port == 0) return;
  const auto place =
      forward::place_of(fmt::format("https://localhost:{}", port), credentials.address);
  if (!place) return note_unanswered(report, "port", place.error());
  const Status status = takes_connections(place->host, std::to_string(port), kPageWithin);
  if (!status.ok()) note_unanswered(report, "port", status);
}

void ask_workers(const Globals& globals, client::Client& client, v1::DoctorReport& report) {
  auto workers = client.list_workers();
  if (workers) {
    *report.mutable_workers() = std::move(*workers->mutable_workers());
  } else {
    note_unanswered(report, "workers", workers.error());
  }
  v1::ProbeWorkersRequest request;
  request.set_pairs(report.pairs());
  const Duration within =
      std::clamp(globals.timeout.value_or(report.pairs() ? kWaysWithin : kMachinesWithin),
                 kWithinLeast, kWithinMost);
  *request.mutable_within() = TimeUtil::MillisecondsToDuration(within.count());
  if (report.pairs()) {
    say(globals.output,
        "every worker tries every other machine, at most for " + format_duration(within));
  }
  auto probes = client.probe_workers(request);
  if (probes) {
    *report.mutable_probes() = std::move(*probes);
  } else {
    note_unanswered(report, "probes", probes.error());
  }
}

// The variables that the command itself reads.
std::vector<std::string> variables_set() {
  std::vector<std::string> out;
  for (const char* name : {"OVERWINTER_ADDRESS", "OVERWINTER_CA", "OVERWINTER_TOKEN", "NO_COLOR",
                           "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
                           "http_proxy", "https_proxy", "no_proxy"}) {
    if (std::getenv(name) != nullptr) out.emplace_back(name);
  }
  return out;
}

CommandFacts command_facts(const Globals& globals) {
  CommandFacts out;
  utsname system{};
  if (::uname(&system) == 0) {
    out.system = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
  }
  out.config = client::config_path();
  if (const auto context = client::choose_context(out.config, globals.context)) {
    out.context = context->name;
    out.ca_file = context->ca_file;
    out.token_file = context->token_file;
  }
  out.environment = variables_set();
  return out;
}

Result<v1::ListAuditEntriesResponse> newest_audit(const Globals& globals) {
  auto client = globals.connect();
  if (!client) return fail(client.error());
  v1::ListAuditEntriesRequest request;
  request.set_page_size(kAuditLines);
  return (*client)->list_audit(request);
}

Status write_bundle(const Globals& globals, const v1::DoctorReport& report,
                    const std::string& path) {
  Bundle bundle;
  bundle.command = command_facts(globals);
  bundle.audit = newest_audit(globals);
  return write_file_atomically(path, bundle_text(report, bundle));
}

void gather(const Globals& globals, v1::DoctorReport& report) {
  *report.mutable_time() = TimeUtil::MillisecondsToTimestamp(unix_ms(system_wall_time()));
  report.set_version(kVersion);
  const auto credentials = globals.credentials();
  if (!credentials) return note_unanswered(report, "profile", credentials.error());
  report.set_address(credentials->address);
  if (const auto root = read_certificate(credentials->root_pem)) {
    *report.mutable_root_expire_time() =
        TimeUtil::MillisecondsToTimestamp(unix_ms(root->not_after));
  }
  auto client = globals.connect();
  if (!client) return note_unanswered(report, "profile", client.error());
  auto status = (*client)->status();
  if (!status) return note_unanswered(report, "status", status.error());
  *report.mutable_status() = std::move(*status);
  ask_page(*credentials, report);
  ask_diagnosis(**client, report);
  ask_workers_port(*credentials, report);
  ask_workers(globals, **client, report);
}

struct Mark {
  const char* word;
  const char* color;
};
Mark mark_of(v1::Finding::Severity severity) {
  switch (severity) {
    case v1::Finding::FAILURE:
      return {"failure", "\033[31m"};
    case v1::Finding::WARNING:
      return {"warning", "\033[33m"};
    default:
      return {"ok", "\033[32m"};
  }
}

void print_findings(const OutputOptions& options, const v1::DoctorReport& report) {
  for (const v1::Finding& one : report.findings()) {
    if (options.quiet && one.severity() == v1::Finding::OK) continue;
    const Mark mark = mark_of(one.severity());
    std::string word = fmt::format("{:<9}", mark.word);
    if (options.color) word = mark.color + word + "\033[0m";
    print_line(fmt::format("{}{:<14}{}", word, one.check(), printable(one.message())));
    if (!one.next().empty()) print_line(fmt::format("{:<23}next: {}", "", printable(one.next())));
  }
}

std::string ports_text(const v1::LinkFacts& link) {
  std::string out;
  for (const v1::PortFacts& port : link.ports()) {
    const char* answer = port.answer() == v1::PortFacts::SILENT     ? " silent"
                         : port.answer() == v1::PortFacts::REJECTED ? " refused"
                                                                    : nullptr;
    if (answer != nullptr)
      out += fmt::format("{}{}{}", out.empty() ? "" : ", ", port.port(), answer);
  }
  return out.empty() && link.ports_size() > 0 ? "open" : out;
}

void print_ways(const OutputOptions& options, const v1::ProbeWorkersResponse& probes) {
  Table table({"FROM", "TO", "PEER PORT", "ROUND TRIP", "RATE", "OTHER PORTS"});
  for (const v1::PairProbe& pair : probes.pairs()) {
    const v1::LinkFacts& link = pair.link();
    const auto micros = static_cast<double>(TimeUtil::DurationToMicroseconds(link.round_trip()));
    table.add({short_name(pair.from()), short_name(pair.to()),
               !pair.has_link()   ? "-"
               : link.reachable() ? "open"
                                  : "closed",
               link.reachable() ? fmt::format("{:.2f} ms", micros / 1e3) : "-",
               link.bytes_per_second() > 0 ? format_bytes(link.bytes_per_second()) + "/s" : "-",
               pair.has_link() ? ports_text(link) : printable(pair.message())});
  }
  if (!table.empty()) {
    print_line("");
    table.print(options);
  }
}

}  // namespace

int run_doctor(const Globals& globals, const DoctorOptions& options) {
  v1::DoctorReport made;
  made.set_pairs(options.pairs);
  gather(globals, made);
  judge(made);
  if (!options.output.empty()) {
    const Status written = write_bundle(globals, made, options.output);
    if (!written.ok()) return report(written);
  }
  if (is_machine(globals.output)) {
    print_message(globals.output, made);
  } else {
    print_findings(globals.output, made);
    if (options.pairs) print_ways(globals.output, made.probes());
  }
  if (!options.output.empty()) {
    say(globals.output,
        "the whole report, for whoever helps you: " + options.output +
            ": it holds names and addresses of this cluster, and nothing that lets anybody in");
  }
  return doctor_exit_code(made);
}

}  // namespace overwinter::cli
