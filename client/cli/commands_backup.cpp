// backup
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/progress.h"
#include "client/cli/secret_input.h"
#include "common/security/passphrase_seal.h"

namespace overwinter::cli {
namespace {

void print_backup(const Globals& globals, const std::string& file, const client::BackupInfo& info) {
  if (is_machine(globals.output)) {
    // Numbers of 64 bits as texts, as in the JSON of every resource.
    const nlohmann::ordered_json json = {{"file", file},
                                         {"cluster", info.cluster},
                                         {"generation", std::to_string(info.generation)},
                                         {"turn", std::to_string(info.turn)},
                                         {"turnTime", format_time(info.turn_time)},
                                         {"files", std::to_string(info.files)},
                                         {"sizeBytes", std::to_string(info.size_bytes)},
                                         {"keys", info.keys}};
    print_line(json.dump(2));
    return;
  }
  say(globals.output, fmt::format("{}: cluster {} as of {} (turn {}), {} files, {}, {} keys", file,
                                  info.cluster, format_time(info.turn_time), info.turn, info.files,
                                  format_bytes(info.size_bytes), info.keys ? "with" : "without"));
  say(globals.output,
      "restore it with: overwinter-coordinator --restore " + file + " --data-dir NEW");
}

}  // namespace

int run_backup(const Globals& globals, const BackupOptions& options) {
  std::string passphrase;
  if (options.with_keys) {
    auto typed = read_new_passphrase(STDIN_FILENO, STDERR_FILENO, ::isatty(STDIN_FILENO) == 1);
    if (!typed && typed.error().code == Code::kCancelled) return kInterrupted;
    if (!typed) return report(typed.error());
    passphrase = std::move(*typed);
  }
  auto client = globals.connect();
  if (!client) return report(client.error());
  Result<client::BackupInfo> info;
  {
    Progress progress("backup", globals.output.quiet);
    info = (*client)->backup(
        passphrase, options.output,
        [&progress](std::uint64_t done, std::uint64_t total) { progress.bytes(done, total); },
        [&globals] { return interrupted() || timed_out(globals); });
  }
  wipe(passphrase);
  if (!info && info.error().code == Code::kCancelled && !interrupted()) {
    return report(error(Code::kDeadlineExceeded,
                        "the backup took longer than --timeout; no file is "
                        "left"));
  }
  if (!info) return report(info.error());
  print_backup(globals, options.output, *info);
  return kDone;
}

}  // namespace overwinter::cli
