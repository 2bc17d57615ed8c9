#include "coordinator/app/restore_command.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "common/base/clock.h"
#include "common/security/hidden_input.h"
#include "common/security/passphrase_seal.h"
#include "coordinator/backup/restore.h"

namespace overwinter::app {
namespace {

Result<std::string> ask_passphrase() {
  HiddenInput from;
  from.input = STDIN_FILENO;
  from.ask = STDERR_FILENO;
  from.prompt = "passphrase of the backup (not shown): ";
  from.one_line = true;
  from.bytes_max = kPassphraseMax;
  from.otherwise = "give it by a pipe: overwinter-coordinator --restore FILE --data-dir D < FILE";
  return read_hidden(from);
}

void warn(const std::string& text) {
  std::fprintf(stderr, "warning: %s\n", text.c_str());
}

void print_what_is_unknown(const backup::Restored& restored) {
  const std::string since = format_time(restored.manifest.turn_time);
  warn("nothing after " + since +
       " is in the backup. Tokens and join files that were made after it are "
       "gone; those that were revoked after it, and workers that were removed, are good again: "
       "look at `overwinter tokens list` and `overwinter workers list`");
  warn("what jobs used after " + since +
       " is in no bill; their machines count as lost from then until they come back");
  if (restored.manifest.keys) return;
  warn(
      "the backup holds no keys: this cluster has a new certificate authority. Each worker joins "
      "anew, with a new join file and an empty --data-dir");
  warn(
      "people keep their tokens but need the new ca/root.pem: `overwinter tokens create` makes the "
      "line for `overwinter login`; the first one comes from overwinter-coordinator "
      "--new-admin-token");
  warn("secrets of jobs are to be set anew: `overwinter secrets set`");
}

}  // namespace

Status restore(const Config& config) {
  backup::RestoreOptions options;
  options.file = config.restore_from;
  options.data_dir = config.data_dir;
  options.passphrase = ask_passphrase;
  options.now = Time(system_clock().wall());
  const auto restored = backup::restore_backup(options);
  if (!restored) return restored.error();
  std::printf(
      "restored cluster %s as of %s (turn %llu) into %s, generation %llu: %llu unfinished jobs, "
      "%llu "
      "of them waiting for a worker again; %llu workers, %llu tokens\n"
      "start it as before: overwinter-coordinator --data-dir %s\n",
      restored->manifest.cluster.c_str(), format_time(restored->manifest.turn_time).c_str(),
      static_cast<unsigned long long>(restored->manifest.turn), config.data_dir.c_str(),
      static_cast<unsigned long long>(restored->generation.number),
      static_cast<unsigned long long>(restored->jobs_unfinished),
      static_cast<unsigned long long>(restored->jobs_requeued),
      static_cast<unsigned long long>(restored->workers),
      static_cast<unsigned long long>(restored->tokens), config.data_dir.c_str());
  print_what_is_unknown(*restored);
  return Status::success();
}

}  // namespace overwinter::app
