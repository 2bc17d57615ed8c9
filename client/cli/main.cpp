#include "client/cli/command_line.h"
#include "client/cli/exit_codes.h"
#include "client/cli/globals.h"
#include "client/cli/output.h"
#include "common/security/grpc_log.h"
#include "common/security/process.h"

int main(int argc, char** argv) {
  if (const overwinter::Status status = overwinter::harden_process(); !status.ok()) {
    return overwinter::cli::report(status);
  }
  if (const overwinter::Status status = overwinter::require_tls13(); !status.ok()) {
    return overwinter::cli::report(status);
  }
  overwinter::route_grpc_log(overwinter::GrpcLog::kQuiet);
  overwinter::cli::install_interrupt();
  return overwinter::cli::run_command_line(argc, argv);
}
