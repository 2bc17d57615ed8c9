#include "client/cli/doctor_findings_service.h"

#include <fmt/format.h>

#include <google/protobuf/util/time_util.h>

#include "client/cli/output.h"
#include "common/base/bytes.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

constexpr std::uint64_t kDiskLow = 2 * kGiB;
// Of a process of which nobody said more; the coordinator has a connection of every page, client
// and worker, and a file for each transfer.
constexpr std::uint64_t kCoordinatorDescriptorsLow = 4096;
constexpr std::uint64_t kWorkerDescriptorsLow = 1024;
constexpr std::int64_t kRestoreNews_s = std::int64_t{7} * 86'400;

const char* limit_advice() {
  return "raise it: LimitNOFILE=65536 in its unit of systemd, `ulimits: { nofile: 65536 }` in "
         "docker-compose.yml, or `ulimit -n 65536` in the shell that starts it; then restart it";
}

}  // namespace

void check_disk(const v1::DoctorReport& report, FindingList& out) {
  const char* next =
      "make room on the file system of its --data-dir; `checkpoint: { keep: N }` keeps fewer";
  const v1::ClusterDiagnosis& known = report.diagnosis();
  const std::string free = known.disk_total_bytes() == 0
                               ? std::string()
                               : fmt::format("{} of {} free", format_bytes(known.disk_free_bytes()),
                                             format_bytes(known.disk_total_bytes()));
  if (report.status().disk_full()) {
    out.failure("disk",
                "the coordinator's disk is nearly full: submits and uploads are refused" +
                    (free.empty() ? free : " (" + free + ")"),
                next);
  } else if (!free.empty() && known.disk_free_bytes() < kDiskLow) {
    out.warning("disk", "the coordinator's disk is filling: " + free, next);
  } else if (!free.empty()) {
    out.ok("disk", "the coordinator has " + free);
  }
}

void found_damage(const std::string& problem, FindingList& out) {
  out.failure("store", "what the coordinator keeps is damaged: " + problem,
              "stop the coordinator and run `overwinter-coordinator --verify --data-dir D`; if "
              "that finds it too, restore the newest backup into a new folder "
              "(deploy/backup.md). Do not restart it before: it would not start");
}

void check_store(const v1::DoctorReport& report, FindingList& out) {
  const v1::ClusterDiagnosis& known = report.diagnosis();
  if (!known.store_problem().empty()) {
    found_damage(known.store_problem(), out);
  } else if (known.store_turns() > 0 && known.store_checked_turns() == 0) {
    out.warning("store",
                fmt::format("{} turns, whose chain was not compared now", known.store_turns()),
                "ask again; if it stays so, the coordinator's log says why");
  } else if (known.store_turns() > 0) {
    out.ok("store", fmt::format("the newest {} of {} turns are as they were written",
                                known.store_checked_turns(), known.store_turns()));
  }
}

void check_hooks(const v1::DoctorReport& report, FindingList& out) {
  const std::string& problem = report.diagnosis().notify_problem();
  if (problem.empty()) return;
  out.warning("hooks", problem + "; what was set before stays in force",
              "mend it: the coordinator reads it again by itself");
}

void check_restore(const v1::DoctorReport& report, FindingList& out) {
  const v1::ClusterStatus& status = report.status();
  if (!status.has_restored_time()) return;
  const std::string text = fmt::format(
      "generation {}, restored at {} from a backup of {}: what was done, spent, granted and "
      "revoked between the two is not known",
      status.generation(), time_text(status.restored_time()), time_text(status.backup_time()));
  if (report.time().seconds() - status.restored_time().seconds() > kRestoreNews_s) {
    out.ok("restore", text);
  } else {
    out.warning("restore", text,
                "revoke and remove again what was (`overwinter tokens list`, `overwinter workers "
                "list`), and take that time's bill from who rents you the machines");
  }
}

bool check_limit(FindingList& out, const std::string& subject, const std::string& who,
                 std::uint64_t open, std::uint64_t limit) {
  if (limit == 0) return true;
  const std::uint64_t low = subject.empty() ? kCoordinatorDescriptorsLow : kWorkerDescriptorsLow;
  if (open >= limit - limit / 5) {
    out.warning("descriptors",
                fmt::format("{} has {} of {} file descriptors open: without one it takes no more "
                            "connections and opens no file",
                            who, open, limit),
                limit_advice(), subject);
    return false;
  }
  if (limit < low) {
    out.warning("descriptors", fmt::format("{} may have only {} file descriptors open", who, limit),
                limit_advice(), subject);
    return false;
  }
  return true;
}

void check_descriptors(const v1::DoctorReport& report, FindingList& out) {
  const v1::ClusterDiagnosis& known = report.diagnosis();
  if (known.descriptors_limit() == 0) return;
  if (check_limit(out, "", "the coordinator", known.descriptors_open(),
                  known.descriptors_limit())) {
    out.ok("descriptors", fmt::format("the coordinator has {} of {} open", known.descriptors_open(),
                                      known.descriptors_limit()));
  }
}

}  // namespace overwinter::cli
