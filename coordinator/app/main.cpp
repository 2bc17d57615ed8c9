// overwinter-coordinator: the service. Hardens itself, parses its command line, serves until
// SIGTERM or SIGINT; looks at its settings again on SIGHUP.
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <thread>

#include "common/base/log.h"
#include "common/security/grpc_log.h"
#include "common/security/process.h"
#include "coordinator/app/admin_token.h"
#include "coordinator/app/config.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/app/health.h"
#include "coordinator/app/restore_command.h"
#include "coordinator/app/verify_command.h"

namespace {

using namespace overwinter;

constexpr int kExitUnhealthy = 1;
constexpr int kExitRefused = 4;
constexpr int kLookAfterSeconds = 60;
constexpr int kLooksPerPageCertificate = 60;   // an hour
constexpr int kLooksPerCertificates = 6 * 60;  // six hours
constexpr auto kStopLimit = std::chrono::milliseconds(4500);

int tell(const Status& status) {
  std::fprintf(stderr, "error: %s\n", status.message.c_str());
  if (!status.hint.empty()) std::fprintf(stderr, "hint: %s\n", status.hint.c_str());
  return kExitRefused;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// SIGHUP: settings are looked at again; the others: it stops.
sigset_t taken_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return set;
}

// Everything that was acknowledged is durable at any moment: should a call hang in stop(), the
// process ends all the same, and a restart replays.
void end_in_time() {
  std::thread([] {
    timespec left{kStopLimit.count() / 1000, (kStopLimit.count() % 1000) * 1'000'000};
    while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    ::_exit(0);
  }).detach();
}

int serve(const app::Config& config) {
  const sigset_t signals = taken_signals();
  // Blocked before the first thread, so that this one alone takes them.
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  auto coordinator = app::Coordinator::start(config);
  if (!coordinator) return tell(coordinator.error());
  for (int looks = 1;; ++looks) {
    const timespec wait{kLookAfterSeconds, 0};
    const int signal = ::sigtimedwait(&signals, nullptr, &wait);
    if (signal == SIGHUP) (*coordinator)->reload();
    if (signal > 0 && signal != SIGHUP) break;
    if (errno != EAGAIN) continue;
    (*coordinator)->end_idle_uploads();
    if (looks % kLooksPerPageCertificate == 0) (*coordinator)->look_at_page_certificate();
    if (looks % kLooksPerCertificates != 0) continue;
    (*coordinator)->look_after_certificates();
    (*coordinator)->forget_old_logs();
  }
  log_info("stopping");
  end_in_time();
  (*coordinator)->stop();
  log_info("stopped");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (const Status status = harden_process(); !status.ok()) return tell(status);
  if (const Status status = require_tls13(); !status.ok()) return tell(status);
  route_grpc_log(GrpcLog::kToOurLog);
  raise_descriptor_limit();
  app::CommandLine command;
  int exit_code = 0;
  if (!app::parse_command_line(argc, argv, command, exit_code)) return exit_code;
  LogConfig log;
  log.program = "overwinter-coordinator";
  log.json = command.config.log_json;
  if (const Status status = configure_log(log); !status.ok()) return tell(status);
  if (command.mode == app::Mode::kNewAdminToken) {
    const auto file = app::make_admin_token(command.config);
    if (!file) return tell(file.error());
    std::printf("the new admin token is in %s\n", file->c_str());
    return 0;
  }
  if (command.mode == app::Mode::kHealthy) {
    const Status status = app::healthy(command.config);
    if (!status.ok()) (void)tell(status);
    return status.ok() ? 0 : kExitUnhealthy;
  }
  if (command.mode == app::Mode::kVerify) {
    const Status status = app::verify(command.config);
    return status.ok() ? 0 : tell(status);
  }
  if (command.mode == app::Mode::kRestore) {
    const Status status = app::restore(command.config);
    return status.ok() ? 0 : tell(status);
  }
  return serve(command.config);
}
