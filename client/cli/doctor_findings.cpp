#include "client/cli/doctor_findings.h"

#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "client/cli/doctor_findings_machines.h"
#include "client/cli/doctor_findings_service.h"
#include "client/cli/exit_codes.h"
#include "client/cli/output.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

using google::protobuf::Timestamp;
using google::protobuf::util::TimeUtil;

// The coordinator renews its certificate when 60 of 90 days are left, the CA's when 60 of 365 are:
// with less, renewing has failed.
constexpr std::int64_t kCertificateDays = 30;
constexpr std::int64_t kPageCertificateDays =
    14;  // public CAs' are renewed a month before their end
constexpr std::int64_t kIssuerDays = 45;
constexpr std::int64_t kRootDays = 180;  // nothing renews it, and everybody has to learn a new one
constexpr std::int64_t kTokenDays = 14;
constexpr std::int64_t kDaySeconds = 86'400;

const v1::Unanswered* unanswered(const v1::DoctorReport& report, std::string_view question) {
  for (const v1::Unanswered& one : report.unanswered()) {
    if (one.question() == question) return &one;
  }
  return nullptr;
}

std::string or_else(const std::string& text, const char* otherwise) {
  return text.empty() ? otherwise : text;
}

bool check_coordinator(const v1::DoctorReport& report, FindingList& out) {
  if (const auto* none = unanswered(report, "profile")) {
    out.failure("coordinator", none->message(),
                or_else(none->hint(), "`overwinter login` adds a cluster"));
    return false;
  }
  if (const auto* none = unanswered(report, "status")) {
    if (static_cast<Code>(none->code()) == Code::kDataLoss) {
      found_damage(none->message(), out);
      return false;
    }
    const bool refused = static_cast<Code>(none->code()) == Code::kUnauthenticated ||
                         static_cast<Code>(none->code()) == Code::kPermissionDenied;
    out.failure(
        refused ? "token" : "coordinator", none->message(),
        or_else(none->hint(), refused ? "ask an admin for another: `overwinter tokens create`"
                                      : "look at the coordinator's log"));
    return false;
  }
  out.ok("coordinator", fmt::format("{} at {} answers, up since {}", report.status().cluster(),
                                    report.address(), time_text(report.status().started())));
  return true;
}

void check_page(const v1::DoctorReport& report, FindingList& out) {
  const std::string& page = report.status().dashboard();
  if (const auto* none = unanswered(report, "page")) {
    out.warning("page", "the page at " + page + " cannot be reached from here: " + none->message(),
                or_else(none->hint(),
                        "where others than its own machine are to open it, the coordinator listens "
                        "for them: --listen-dashboard 0.0.0.0:7601, and no firewall between"));
  } else if (!page.empty()) {
    out.ok("page", page + " answers");
  }
}

void check_workers_port(const v1::DoctorReport& report, FindingList& out) {
  const std::uint32_t port = report.diagnosis().workers_port();
  if (port == 0) return;
  if (unanswered(report, "port") != nullptr) {
    out.warning(
        "ports", fmt::format("port {}, by which workers join, cannot be reached from here", port),
        fmt::format("where workers run on other machines, the coordinator listens for them: "
                    "--listen-workers 0.0.0.0:{}, and no firewall between",
                    port));
  } else {
    out.ok("ports", fmt::format("workers can join by port {} from here", port));
  }
}

// One end date. True when it is well.
bool check_end(FindingList& out, const char* check, const std::string& what, const Timestamp& end,
               const Timestamp& now, std::int64_t days, const std::string& next) {
  const std::int64_t left = end.seconds() - now.seconds();
  if (left > days * kDaySeconds) return true;
  if (left <= 0) {
    out.failure(check, fmt::format("{} ended at {}", what, time_text(end)), next);
  } else {
    out.warning(check, fmt::format("{} ends at {}", what, time_text(end)), next);
  }
  return false;
}

void check_certificates(const v1::DoctorReport& report, FindingList& out) {
  const v1::ClusterDiagnosis& known = report.diagnosis();
  std::string good;
  const auto look = [&](const char* what, const Timestamp& end, const Timestamp& now,
                        std::int64_t days, const char* next) {
    if (!check_end(out, "certificates", std::string("the certificate of ") + what, end, now, days,
                   next)) {
      return;
    }
    good += fmt::format("{}{} until {}", good.empty() ? "" : ", ", what, time_text(end));
  };
  if (known.has_certificate_expire_time()) {
    look("the coordinator", known.certificate_expire_time(), known.wall_time(), kCertificateDays,
         "it renews itself after a third of its life: the coordinator's log says why it could not");
  }
  if (known.has_page_certificate_expire_time()) {
    look("the page (--dashboard-cert)", known.page_certificate_expire_time(), known.wall_time(),
         kPageCertificateDays,
         "renew it and replace both files: they are read again every hour and on SIGHUP");
  }
  if (known.has_issuer_expire_time()) {
    look("the CA that signs workers", known.issuer_expire_time(), known.wall_time(), kIssuerDays,
         "it needs the root's key: put root.key back into ca/ of the coordinator's data folder");
  }
  if (report.has_root_expire_time()) {
    look("the root", report.root_expire_time(), report.time(), kRootDays,
         "a cluster with a new root takes its place: every worker joins, everybody logs in again");
  }
  if (!good.empty()) out.ok("certificates", good);
}

void check_clocks(const v1::DoctorReport& report, FindingList& out) {
  if (report.has_clock_offset()) {
    check_clock(out, "clock", "", "the coordinator's clock", "this machine's",
                report.clock_offset(), report.clock_uncertainty());
  }
  const v1::ClusterDiagnosis& known = report.diagnosis();
  if (!known.has_now() || !known.has_wall_time()) return;
  const std::int64_t ahead = TimeUtil::DurationToMilliseconds(known.now() - known.wall_time());
  if (std::abs(ahead) <= kClockWarningMs) return;
  out.warning(
      "clock",
      fmt::format("cluster time is {} {} the coordinator's clock: that clock has jumped",
                  format_duration(Duration(std::abs(ahead))), ahead > 0 ? "ahead of" : "behind"),
      "let NTP keep it; bills and deadlines stay with cluster time, which comes nearer by "
      "itself");
}

void check_token(const v1::DoctorReport& report, FindingList& out) {
  const v1::ClusterDiagnosis& known = report.diagnosis();
  if (known.role().empty()) return;
  if (known.has_token_expire_time() &&
      !check_end(out, "token", "this token", known.token_expire_time(), known.now(), kTokenDays,
                 "ask an admin for another: `overwinter tokens create`")) {
    return;
  }
  out.ok(
      "token",
      fmt::format("{} of {}{}", known.role(),
                  known.project().empty() ? "all projects" : "project " + known.project(),
                  known.has_token_expire_time() ? ", until " + time_text(known.token_expire_time())
                                                : ", without end"));
}

// How many minor versions lie between; nothing when one of them cannot be read, or the major ones
// differ.
std::optional<int> apart(std::string_view a, std::string_view b) {
  const auto minor = [](std::string_view text, std::string_view& major) -> std::optional<int> {
    const std::size_t point = text.find('.');
    if (point == std::string_view::npos) return std::nullopt;
    major = text.substr(0, point);
    int out = 0;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data() + point + 1, end, out).ec != std::errc()) return std::nullopt;
    return out;
  };
  std::string_view major_a;
  std::string_view major_b;
  const auto minor_a = minor(a, major_a);
  const auto minor_b = minor(b, major_b);
  if (!minor_a || !minor_b || major_a != major_b) return std::nullopt;
  return std::abs(*minor_a - *minor_b);
}

void check_versions(const v1::DoctorReport& report, FindingList& out) {
  const std::string& coordinator = report.status().version();
  if (coordinator.empty()) return;
  bool same = true;
  const auto compare = [&](const std::string& what, const std::string& version,
                           const std::string& subject) {
    if (version.empty() || version == coordinator) return;
    same = false;
    const std::string text =
        fmt::format("{} is of version {}, the coordinator of {}", what, version, coordinator);
    const auto distance = apart(version, coordinator);
    if (distance && *distance <= 1) {
      out.warning("versions", text, "upgrade the older one before the next release", subject);
    } else {
      out.failure("versions", text, "upgrade the older one: they do not work together", subject);
    }
  };
  compare("this command", report.version(), "");
  for (const v1::Worker& worker : report.workers()) {
    if (worker.state() == v1::Worker::REMOVED) continue;
    compare(short_name(worker.name()), worker.version(), worker.name());
  }
  if (same) out.ok("versions", coordinator + " everywhere");
}

void check_workers(const v1::DoctorReport& report, FindingList& out) {
  if (unanswered(report, "workers") != nullptr) return;
  std::size_t ready = 0;
  std::size_t there = 0;
  for (const v1::Worker& worker : report.workers()) {
    const std::string name = short_name(worker.name());
    const auto silent =
        format_duration(Duration(TimeUtil::DurationToMilliseconds(worker.silent())));
    if (worker.state() != v1::Worker::REMOVED) ++there;
    switch (worker.state()) {
      case v1::Worker::READY:
        ++ready;
        break;
      case v1::Worker::LOST:
        out.failure("workers", fmt::format("{} is lost, silent for {}", name, silent),
                    "look at its machine and the worker's log; `overwinter workers remove " + name +
                        "` ends its price",
                    worker.name());
        break;
      case v1::Worker::DRAINING:
        out.warning("workers", name + " is drained: it gets no new work",
                    "`overwinter workers resume " + name + "`", worker.name());
        break;
      case v1::Worker::JOINED:
        out.warning("workers", name + " has joined and never connected",
                    "start overwinter-worker there; its log says why it cannot connect",
                    worker.name());
        break;
      default:
        break;
    }
  }
  if (there == 0) {
    out.warning("workers", "there are none",
                "`overwinter tokens create --role worker -o join.file` lets a machine join");
  } else if (ready > 0) {
    out.ok("workers", fmt::format("{} of {} ready", ready, there));
  }
}

// Whether that had to be answered: an older coordinator does not know every question, and machines
// are asked only on the side.
bool had_to(const v1::DoctorReport& report, const v1::Unanswered& one) {
  if (one.question() == "page" || one.question() == "port") return false;
  if (one.question() == "probes") return report.pairs();
  return one.question() != "diagnosis" || static_cast<Code>(one.code()) != Code::kUnimplemented;
}

void note_refusals(const v1::DoctorReport& report, FindingList& out) {
  for (const v1::Unanswered& one : report.unanswered()) {
    if (one.question() == "profile" || one.question() == "status") continue;
    if (one.question() == "page" || one.question() == "port") continue;  // they have their own
    const auto code = static_cast<Code>(one.code());
    const std::string what = one.question() == "probes"    ? "the workers were not asked: "
                             : one.question() == "workers" ? "workers could not be listed: "
                                                           : "the coordinator does not say more: ";
    const char* next = code == Code::kPermissionDenied ? "an operator's token may"
                       : code == Code::kUnimplemented  ? "upgrade the coordinator"
                                                       : "ask again; then look at its log";
    const char* check = one.question() == "probes"    ? (report.pairs() ? "pairs" : "machines")
                        : one.question() == "workers" ? "workers"
                                                      : "coordinator";
    if (had_to(report, one)) {
      out.failure(check, what + one.message(), or_else(one.hint(), next));
    } else {
      out.warning(check, what + one.message(), or_else(one.hint(), next));
    }
  }
}

}  // namespace

void judge(v1::DoctorReport& report) {
  report.clear_findings();
  FindingList out(report);
  const bool answered = check_coordinator(report, out);
  check_certificates(report, out);
  if (!answered) return;
  check_page(report, out);
  check_workers_port(report, out);
  check_clocks(report, out);
  check_token(report, out);
  check_versions(report, out);
  check_restore(report, out);
  check_disk(report, out);
  check_store(report, out);
  check_descriptors(report, out);
  check_hooks(report, out);
  check_workers(report, out);
  check_programs(report, out);
  check_networks(report, out);
  check_machines(report, out);
  check_pairs(report, out);
  note_refusals(report, out);
}

int doctor_exit_code(const v1::DoctorReport& report) {
  const auto code_of = [](const v1::Unanswered& one) {
    return exit_code_of(error(static_cast<Code>(one.code()), one.message()));
  };
  for (const v1::Unanswered& one : report.unanswered()) {
    if (had_to(report, one)) return code_of(one);
  }
  for (const v1::Finding& one : report.findings()) {
    if (one.severity() == v1::Finding::FAILURE) return kJobFailed;
  }
  return kDone;
}

}  // namespace overwinter::cli
