// secrets set|list|delete
#include <fmt/format.h>
#include <unistd.h>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/secret_input.h"

namespace overwinter::cli {

int run_secrets_set(const Globals& globals, const SecretOptions& options) {
  auto value = read_secret(STDIN_FILENO, STDERR_FILENO, options.name);
  if (!value && value.error().code == Code::kCancelled) return kInterrupted;
  if (!value) return report(value.error());
  auto client = globals.connect();
  if (!client) return report(client.error());
  v1::SetSecretRequest request;
  request.set_project(options.project);
  request.set_name(options.name);
  request.set_value(std::move(*value));
  const auto secret = (*client)->set_secret(request);
  if (!secret) return report(secret.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *secret);
  } else {
    print_line(secret->name());
  }
  return kDone;
}

int run_secrets_list(const Globals& globals, const SecretOptions& options) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const auto list = (*client)->list_secrets(options.project);
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  if (list->secrets().empty()) {
    say(globals.output, "no secrets; `overwinter secrets set NAME` reads one from standard input");
    return kDone;
  }
  Table table({"NAME", "SET", "PROBLEM"});
  for (const v1::Secret& secret : list->secrets()) {
    table.add({short_name(secret.name()),
               secret.has_set_time() ? time_text(secret.set_time()) : "-",
               printable(secret.problem())});
  }
  table.print(globals.output);
  return kDone;
}

int run_secrets_delete(const Globals& globals, const SecretOptions& options) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const Status status = (*client)->delete_secret(options.project, options.name);
  if (!status.ok()) return report(status);
  say(globals.output, fmt::format("secret {} is deleted", printable(options.name)));
  return kDone;
}

}  // namespace overwinter::cli
