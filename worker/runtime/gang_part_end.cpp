// The last moments of a gang's part: what is still heard, and which of all faults is the cause.
#include <fmt/core.h>
#include <poll.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "worker/runtime/gang_part.h"

namespace overwinter::worker {
namespace {

constexpr int kOutputEndTries = 20;
constexpr int kOutputEndMs = 50;

}  // namespace

void GangPart::finish() {
  if (program_) hear_output(false);
  for (int i = 0; output_open_ && i < kOutputEndTries; ++i) {
    pollfd wait{program_->output(), POLLIN, 0};
    ::poll(&wait, 1, kOutputEndMs);
    hear_output(false);
  }
  if (program_) hear_output(true);
  server_->process();  // last words that were still in the sockets
  server_->process();
  GangFault fault = verdict();
  agents_.clear();
  if (remote_ended_) {
    const bool known = program_status_ && WIFEXITED(*program_status_);
    remote_ended_(known ? WEXITSTATUS(*program_status_) : 255, fault.message);
  }
  program_.reset();
  server_.reset();
  folder_.reset();
  emit(GangEnded{std::move(fault), ranks_.all_clean()});
  finished_ = true;
}

std::optional<GangFault> GangPart::noticed() const {
  if (!notice_.first() || ending_) return std::nullopt;
  const NoticeReader::First& first = *notice_.first();
  std::size_t host = 0;
  while (host + 1 < order_.hosts.size() && order_.first_rank(host + 1) <= first.rank) ++host;
  std::string how = "is gone";
  if (first.signal) how = "was ended by " + describe_wait_status(*first.signal & 0x7f);
  if (first.exit_code) how = fmt::format("ended with exit code {}", *first.exit_code);
  GangFault fault =
      make_fault(GangFaultKind::kRankKilled, first.rank, host,
                 fmt::format("rank {} on {} {}", first.rank, order_.hosts[host].mpi_address, how));
  fault.signal = first.signal;
  fault.exit_code = first.exit_code;
  return fault;
}

GangFault GangPart::verdict() const {
  std::vector<GangFault> all = faults_;
  if (auto fault = noticed()) all.push_back(std::move(*fault));
  // Of equally sure ones the first.
  const auto surest = std::min_element(
      all.begin(), all.end(), [](const auto& a, const auto& b) { return a.kind < b.kind; });
  if (surest == all.end()) return {};
  GangFault fault = *surest;
  if (fault.host) fault.worker = order_.hosts[*fault.host].worker;
  if (fault.kind == GangFaultKind::kLauncherFailed && !notice_.said().empty()) {
    fault.message += "; it said: " + notice_.said();
  }
  if (fault.kind != GangFaultKind::kRankLost) return fault;
  const pid_t pid = ranks_.all().at(*fault.rank).pid;
  const auto found = reaped_.find(pid);
  fault.message = fmt::format(
      "rank {} (pid {}) on {} {}", *fault.rank, pid, order_.hosts[order_.self].mpi_address,
      found == reaped_.end() ? "is gone" : "ended with " + describe_wait_status(found->second));
  if (found != reaped_.end() && WIFSIGNALED(found->second)) fault.signal = WTERMSIG(found->second);
  return fault;
}

}  // namespace overwinter::worker
