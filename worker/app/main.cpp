#include <signal.h>

#include <iostream>

#include "common/base/log.h"
#include "common/security/grpc_log.h"
#include "common/security/process.h"
#include "worker/app/daemon.h"

int main(int argc, char** argv) {
  using namespace overwinter;
  ::signal(SIGPIPE, SIG_IGN);
  const auto parsed = worker::parse_options(argc, argv);
  if (parsed.exit) return *parsed.exit;
  for (const Status& ready : {require_tls13(), harden_process()}) {
    if (!ready.ok()) {
      std::cerr << "overwinter-worker: " << ready.message << "\n";
      return 2;
    }
  }
  route_grpc_log(GrpcLog::kToOurLog);
  LogConfig log;
  log.program = "overwinter-worker";
  log.json = parsed.options.log_json;
  if (Status configured = configure_log(log); !configured.ok()) {
    std::cerr << "overwinter-worker: " << configured.message << "\n";
    return 2;
  }
  return worker::run_worker(parsed.options);
}
