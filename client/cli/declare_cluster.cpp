// Commands about a cluster and its machines: what they take.
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/declare.h"
#include "client/cli/exit_codes.h"

namespace overwinter::cli {

void declare_cluster(CLI::App& root, Parsed& p) {
  CLI::App* up = command(root, p, "up", "Start a cluster on this machine, on loopback");
  auto u = std::make_shared<UpOptions>();
  up->add_option("--workers", u->workers, "How many workers (default 2)")->check(CLI::Range(1, 64));
  up->add_option("--dir", u->dir, "Its folder (default ~/.local/state/overwinter)");
  up->add_option("--device", u->devices,
                 "Of each worker: cpu:memory=4GiB,threads=1, or gpu; may be repeated");
  examples(up, "  overwinter up\n  overwinter up --workers 4 --device cpu:memory=4GiB,threads=1\n");
  up->callback([&p, u] { p.run = [&p, u] { return run_up(p.globals, *u); }; });

  CLI::App* down = command(root, p, "down", "Stop the cluster of `up`; its data stay");
  auto d = std::make_shared<DownOptions>();
  down->add_option("--dir", d->dir, "Its folder");
  down->add_flag("--purge", d->purge, "Remove its data too, and say what was removed");
  examples(down, "  overwinter down\n  overwinter down --purge\n");
  down->callback([&p, d] { p.run = [&p, d] { return run_down(p.globals, *d); }; });

  CLI::App* status = command(root, p, "status", "Coordinator, workers, jobs and money at a glance");
  examples(status, "  overwinter status\n  overwinter status -o json\n");
  status->callback([&p] { p.run = [&p] { return run_status(p.globals); }; });

  CLI::App* login = command(root, p, "login", "Add a cluster that runs elsewhere");
  auto l = std::make_shared<LoginOptions>();
  login->add_option("--name", l->name, "Name of the new context");
  examples(login,
           "  overwinter login              asks for the ow1_… line of `overwinter tokens create`\n"
           "  overwinter login < line.txt\n");
  login->callback([&p, l] { p.run = [&p, l] { return run_login(p.globals, *l); }; });

  CLI::App* version = command(root, p, "version", "The release of this command");
  examples(version, "  overwinter version\n");
  version->callback([&p] { p.run = [&p] { return run_version(p.globals); }; });
}

void declare_dashboard(CLI::App& root, Parsed& p) {
  CLI::App* dashboard = command(root, p, "dashboard", "Open the cluster's page in a browser");
  auto d = std::make_shared<DashboardOptions>();
  auto* invite = dashboard->add_option(
      "--invite", d->invite, "Make a token for this person and print what lets them in, once");
  invite->check([](const std::string& name) { return std::string(name.empty() ? "a name" : ""); });
  dashboard->add_option("--role", d->role, "Of the invited (default viewer)")->needs(invite);
  dashboard->add_option("--project", d->project, "Of the invited: one project")->needs(invite);
  dashboard->add_option("--port", d->port, "Of 127.0.0.1 (default: a free one)")
      ->check(CLI::Range(1024, 65535))
      ->excludes(invite);
  dashboard->add_flag("--no-browser", d->no_browser, "Print the address and open nothing")
      ->excludes(invite);
  examples(dashboard,
           "  overwinter dashboard                   until Ctrl-C; remote clusters too\n"
           "  overwinter dashboard --no-browser --port 7680\n"
           "  overwinter dashboard --invite ann --role viewer --project demo\n");
  dashboard->callback([&p, d] { p.run = [&p, d] { return run_dashboard(p.globals, *d); }; });
}

void declare_workers(CLI::App& root, Parsed& p) {
  CLI::App* workers = command(root, p, "workers", "List workers and act on one");
  examples(workers, "  overwinter workers\n  overwinter workers drain worker-2\n");
  workers->require_subcommand(0, 1);
  workers->callback([&p, workers] {
    if (workers->get_subcommands().empty()) p.run = [&p] { return run_workers_list(p.globals); };
  });
  CLI::App* list = command(*workers, p, "list", "State, seats, price, devices");
  examples(list, "  overwinter workers list -o wide\n");
  list->callback([&p] { p.run = [&p] { return run_workers_list(p.globals); }; });
  one_word(*workers, p, "get", "All that is known of a worker", kWorker,
           "overwinter workers get worker-1",
           [&p](const std::string& w) { return run_workers_get(p.globals, w); });
  one_word(*workers, p, "drain", "Give it no new work; what it does moves on", kWorker,
           "overwinter workers drain worker-1", [&p](const std::string& w) {
             return run_workers_act(p.globals, w, WorkerVerb::kDrain);
           });
  one_word(*workers, p, "resume", "Let a drained worker work again", kWorker,
           "overwinter workers resume worker-1", [&p](const std::string& w) {
             return run_workers_act(p.globals, w, WorkerVerb::kResume);
           });
  one_word(*workers, p, "remove", "Drain it, revoke its certificate, end its price", kWorker,
           "overwinter workers remove worker-1", [&p](const std::string& w) {
             return run_workers_act(p.globals, w, WorkerVerb::kRemove);
           });
}

void declare_doctor(CLI::App& root, Parsed& p) {
  CLI::App* doctor =
      command(root, p, "doctor", "What is wrong with the cluster, and what to do", false);
  auto d = std::make_shared<DoctorOptions>();
  doctor->add_flag("--pairs", d->pairs,
                   "Let every worker try every other machine's ports, round trip and rate");
  doctor->add_option("-o,--output", d->output,
                     "A file for whoever helps you: the whole report and the newest lines of the "
                     "audit, as JSON, without any secret");
  examples(doctor,
           "  overwinter doctor\n"
           "  overwinter doctor --pairs -o report.json      exit code 1: something has failed\n");
  doctor->callback([&p, d] { p.run = [&p, d] { return run_doctor(p.globals, *d); }; });
}

void declare_notify(CLI::App& root, Parsed& p) {
  CLI::App* notify = command(root, p, "notify", "Who is told what happens");
  examples(notify, "  overwinter notify test\n");
  notify->require_subcommand(1, 1);
  CLI::App* test =
      command(*notify, p, "test", "Send a test by the hooks of the coordinator's notify.yaml");
  auto hook = std::make_shared<std::string>();
  test->add_option("HOOK", *hook, "Its name (default: all)");
  examples(test,
           "  overwinter notify test\n"
           "  overwinter notify test ops -o json            exit code 1: it was not delivered\n");
  test->callback([&p, hook] { p.run = [&p, hook] { return run_notify_test(p.globals, *hook); }; });
}

void declare_backup(CLI::App& root, Parsed& p) {
  CLI::App* backup = command(root, p, "backup",
                             "All that the coordinator knows, in one file, while it runs", false);
  auto b = std::make_shared<BackupOptions>();
  backup->add_option("-o,--output", b->output, "The file; it is there when it is whole")
      ->required();
  backup->add_flag("--with-keys", b->with_keys,
                   "Certificates' keys and secrets too, sealed under a passphrase that is asked "
                   "for, or read from standard input");
  examples(backup,
           "  overwinter backup -o cluster.backup\n"
           "  overwinter backup --with-keys -o cluster.backup < passphrase.txt\n"
           "  overwinter-coordinator --restore cluster.backup --data-dir NEW\n");
  backup->callback([&p, b] { p.run = [&p, b] { return run_backup(p.globals, *b); }; });
}

}  // namespace overwinter::cli
