// notify test
#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"

namespace overwinter::cli {

int run_notify_test(const Globals& globals, const std::string& hook) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const auto answer = (*client)->test_notification(hook);
  if (!answer) return report(answer.error());
  bool all = true;
  Table table({"HOOK", "DELIVERED", "ANSWER"});
  for (const auto& one : answer->deliveries()) {
    all = all && one.delivered();
    table.add({printable(one.hook()), one.delivered() ? "yes" : "no", printable(one.message())});
  }
  if (is_machine(globals.output)) {
    print_message(globals.output, *answer);
  } else {
    table.print(globals.output);
  }
  return all ? kDone : kJobFailed;
}

}  // namespace overwinter::cli
