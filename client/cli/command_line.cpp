#include "client/cli/command_line.h"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <functional>

#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "client/cli/exit_codes.h"
#include "common/base/nearest_word.h"

namespace overwinter::cli {
namespace {

// What was parsed; each command's declaration sets `run`.
struct Parsed {
  Globals globals;
  std::string format = "table";
  std::string timeout;
  bool no_color = false;
  std::function<int()> run;
};

void examples(CLI::App* app, const std::string& text) {
  app->footer("Examples:\n" + text);
}

// Global options are taken before and behind the command's name.
void add_globals(CLI::App* app, Parsed& p, bool short_output) {
  app->add_option("--context", p.globals.context, "Which cluster of the configuration file");
  app->add_option(short_output ? "-o,--format" : "--format", p.format, "table, wide, json or yaml")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml"}));
  app->add_flag("--quiet", p.globals.output.quiet, "Print results and errors alone");
  app->add_flag("--no-color", p.no_color, "No colours on a terminal");
  app->add_option("--timeout", p.timeout,
                  "Give up after this long, for example 30s (exit code 124)");
}

CLI::App* command(CLI::App& parent, Parsed& p, const std::string& name, const std::string& about,
                  bool short_output = true) {
  CLI::App* app = parent.add_subcommand(name, about);
  add_globals(app, p, short_output);
  return app;
}

// The one word that a command takes.
struct Word {
  const char* name;
  const char* about;
};
constexpr Word kJob{"JOB", "Full name, last part, a unique prefix of that, or @last"};
constexpr Word kCheckpoint{"CHECKPOINT", "JOB (its latest) or JOB@STEP"};
constexpr Word kWorker{"WORKER", "Its name, as `overwinter workers list` shows it"};

// A command that takes one word and hands it on; `example` is the command line behind the name.
void one_word(CLI::App& parent, Parsed& p, const std::string& name, const std::string& about,
              const Word& what, const std::string& example,
              std::function<int(const std::string&)> run) {
  CLI::App* app = command(parent, p, name, about);
  auto word = std::make_shared<std::string>();
  app->add_option(what.name, *word, what.about)->required();
  examples(app, "  " + example + "\n");
  app->callback([&p, word, run = std::move(run)] { p.run = [word, run] { return run(*word); }; });
}

void declare_cluster(CLI::App& root, Parsed& p) {
  CLI::App* up = command(root, p, "up", "Start a cluster on this machine, on loopback");
  auto u = std::make_shared<UpOptions>();
  up->add_option("--workers", u->workers, "How many workers (default 2)")->check(CLI::Range(1, 64));
  up->add_option("--dir", u->dir, "Its folder (default ~/.local/state/overwinter)");
  up->add_option("--device", u->devices,
                 "Of each worker: cpu:memory=4GiB,threads=1; may be repeated");
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

void declare_run(CLI::App& root, Parsed& p) {
  CLI::App* run = command(root, p, "run", "Run a program of your own on workers, and follow it");
  auto r = std::make_shared<RunOptions>();
  run->add_option("COMMAND", r->command, "The program and its arguments, behind --")->required();
  run->add_option("--workers", r->workers, "How many machines (default 1)")
      ->check(CLI::Range(1, 1024));
  run->add_option("--device", r->device, "On each: KIND[:COUNT], for example cpu:2");
  run->add_option("--cap", r->cap, "The most it may cost, in the price book's currency");
  // One value each: a list would take the "--" that stands before the command.
  const auto repeated = [run](const char* name, std::vector<std::string>& values,
                              const char* about) {
    run->add_option(name, values, about)->take_all()->allow_extra_args(false);
  };
  repeated("--env", r->env, "NAME=VALUE, or NAME as it is here; may be repeated");
  repeated("--secret", r->secrets, "NAME of `overwinter secrets`; may be repeated");
  run->add_option("--workdir", r->workdir, "The folder that goes with it (default: this one)");
  run->add_option("--setup", r->setup, "Run once on each worker, its results are kept");
  run->add_option("--checkpoint-dir", r->checkpoint_dir,
                  "Where the program leaves checkpoints, in the workdir");
  repeated("--output", r->outputs, "What `jobs download` returns; may be repeated");
  run->add_option("--launcher", r->launcher, "env (default), torchrun, mpi or none");
  run->add_option("--memory", r->memory, "Of each device (default: all of it): 4GiB");
  run->add_option("--project", r->project, "Project (default: the token's)");
  run->add_option("--name", r->name, "Name of the job (default: the program's)");
  repeated("--set", r->settings, "Change one value of the job; may be repeated");
  run->add_flag("--print-yaml", r->print_yaml, "Print the job file that stands for this; no more");
  run->add_flag("-d,--detach", r->detach, "Print the job's name and do not follow it");
  examples(run,
           "  overwinter run -- python3 train.py --lr 3e-4\n"
           "  overwinter run --workers 2 --checkpoint-dir ckpt --cap 5 -- python3 ddp.py\n"
           "  overwinter run --launcher torchrun --device cpu:2 -- torchrun train.py\n");
  run->callback([&p, r] { p.run = [&p, r] { return run_run(p.globals, *r); }; });
}

void declare_submit(CLI::App& root, Parsed& p) {
  CLI::App* submit =
      command(root, p, "submit", "Submit a job file (YAML or JSON, - is standard input)");
  auto s = std::make_shared<SubmitOptions>();
  submit->add_option("FILE", s->file, "The job file")->required();
  submit->add_option("--set", s->settings,
                     "Change one value: --set workers.max=2; may be repeated");
  submit->add_option("--request-id", s->request_id, "The same id again gives the same job");
  submit->add_flag("--wait", s->waiting.wait, "Wait for its end; the exit code tells how it ended");
  submit->add_flag("--follow", s->waiting.follow, "Wait and draw its progress");
  examples(submit,
           "  overwinter submit job.yaml --wait\n"
           "  overwinter submit job.yaml --set budget.cap=0.50 -o json\n");
  submit->callback([&p, s] { p.run = [&p, s] { return run_submit(p.globals, *s); }; });

  CLI::App* plan =
      command(root, p, "plan", "What would run, where, memory, time, cost; nothing starts");
  auto q = std::make_shared<PlanOptions>();
  plan->add_option("FILE", q->file, "The job file")->required();
  plan->add_option("--set", q->settings, "Change one value");
  examples(plan, "  overwinter plan job.yaml\n");
  plan->callback([&p, q] { p.run = [&p, q] { return run_plan(p.globals, *q); }; });

  declare_run(root, p);

  CLI::App* matmul = command(root, p, "matmul", "C = A x B, split over the workers", false);
  auto m = std::make_shared<MatmulOptions>();
  matmul->add_option("A", m->a, "First matrix, .npy")->required();
  matmul->add_option("B", m->b, "Second matrix, .npy")->required();
  matmul->add_option("-o,--output", m->output, "Where C goes, .npy")->required();
  matmul->add_option("--precision", m->precision, "fp32 or fp64 (default: the inputs' own)");
  matmul->add_option("--algorithm", m->algorithm, "auto or classical");
  matmul->add_option("--transport", m->transport, "auto or elastic");
  matmul->add_option("--workers", m->workers, "The most workers to use (default: all that fit)");
  matmul->add_option("--cap", m->cap, "The most it may cost, in the price book's currency");
  matmul->add_option("--project", m->project, "Project (default: the token's)");
  matmul->add_option("--name", m->name, "Name of the job");
  matmul->add_option("--set", m->settings, "Change one value of the job");
  examples(matmul,
           "  overwinter matmul A.npy B.npy -o C.npy\n"
           "  overwinter matmul A.npy B.npy -o C.npy --workers 2 --cap 0.10\n");
  matmul->callback([&p, m] { p.run = [&p, m] { return run_matmul(p.globals, *m); }; });
}

void declare_jobs(CLI::App& root, Parsed& p) {
  CLI::App* jobs = command(root, p, "jobs", "List jobs and act on one");
  auto l = std::make_shared<JobsListOptions>();
  const auto list_options = [l](CLI::App* app) {
    app->add_option("--project", l->project, "One project (default: all you may see)");
    app->add_option("--filter", l->filter, "For example: state=RUNNING AND labels.team=nlp");
    app->add_option("--limit", l->limit, "At most this many (default 50)")
        ->check(CLI::Range(1, 1000));
  };
  CLI::App* list = command(*jobs, p, "list", "Newest first");
  list_options(list);
  examples(list, "  overwinter jobs list --filter state=PAUSED\n");
  list->callback([&p, l] { p.run = [&p, l] { return run_jobs_list(p.globals, *l); }; });
  examples(jobs,
           "  overwinter jobs\n  overwinter jobs get @last\n  overwinter jobs explain @last\n");
  jobs->require_subcommand(0, 1);
  jobs->callback([&p, l, jobs] {
    if (jobs->get_subcommands().empty()) p.run = [&p, l] { return run_jobs_list(p.globals, *l); };
  });
  one_word(*jobs, p, "get", "All that is known of a job", kJob, "overwinter jobs get @last -o json",
           [&p](const std::string& job) { return run_jobs_get(p.globals, job); });
  one_word(*jobs, p, "watch", "Follow a job to its end", kJob, "overwinter jobs watch @last",
           [&p](const std::string& job) { return run_jobs_watch(p.globals, job); });
  one_word(*jobs, p, "pause", "Stop it at a good place; what is done stays done", kJob,
           "overwinter jobs pause @last",
           [&p](const std::string& job) { return run_jobs_act(p.globals, job, JobVerb::kPause); });
  one_word(*jobs, p, "resume", "Let a paused job go on where it stood", kJob,
           "overwinter jobs resume @last",
           [&p](const std::string& job) { return run_jobs_act(p.globals, job, JobVerb::kResume); });
  one_word(*jobs, p, "cancel", "End it for good", kJob, "overwinter jobs cancel @last",
           [&p](const std::string& job) { return run_jobs_act(p.globals, job, JobVerb::kCancel); });
  one_word(*jobs, p, "explain", "Why it waits or stopped, and what would help", kJob,
           "overwinter jobs explain @last",
           [&p](const std::string& job) { return run_jobs_explain(p.globals, job); });

  CLI::App* download = command(*jobs, p, "download", "Its result", false);
  auto d = std::make_shared<JobsDownloadOptions>();
  download->add_option(kJob.name, d->job, kJob.about)->required();
  download->add_option(
      "-o,--output", d->output,
      "File or folder (default, of a program's outputs: a folder named as the job)");
  download->add_flag("--workdir", d->workdir,
                     "Of a program that failed: its folder as it left it, kept for 24 hours");
  examples(download,
           "  overwinter jobs download @last -o C.npy\n"
           "  overwinter jobs download train-7k2f9 --workdir -o left\n");
  download->callback([&p, d] { p.run = [&p, d] { return run_jobs_download(p.globals, *d); }; });

  CLI::App* update = command(*jobs, p, "update", "Raise its cap or change its priority");
  auto u = std::make_shared<JobsUpdateOptions>();
  update->add_option(kJob.name, u->job, kJob.about)->required();
  update->add_option("--cap", u->cap, "The most it may cost from now on in all");
  update->add_option("--priority", u->priority, "low, normal or high");
  examples(update, "  overwinter jobs update @last --cap 0.80 && overwinter jobs resume @last\n");
  update->callback([&p, u] { p.run = [&p, u] { return run_jobs_update(p.globals, *u); }; });
}

void declare_logs(CLI::App& root, Parsed& p) {
  CLI::App* logs = command(root, p, "logs", "What a job printed");
  auto o = std::make_shared<LogsOptions>();
  logs->add_option(kJob.name, o->job, kJob.about)->required();
  logs->add_flag("-f,--follow", o->follow, "Go on until the job has ended");
  logs->add_option("--rank", o->rank, "One rank alone");
  logs->add_option("--attempt", o->attempt, "One attempt alone (default: all)");
  logs->add_option("--tail", o->tail, "The last so many lines");
  logs->add_option("--since", o->since, "Lines of so long ago or later: 10m");
  examples(logs, "  overwinter logs @last -f\n  overwinter logs @last --rank 1 --tail 50\n");
  logs->callback([&p, o] { p.run = [&p, o] { return run_logs(p.globals, *o); }; });
}

void declare_checkpoints(CLI::App& root, Parsed& p) {
  CLI::App* checkpoints = command(root, p, "checkpoints", "What jobs can go on from");
  examples(checkpoints,
           "  overwinter checkpoints list @last\n"
           "  overwinter checkpoints get @last@200 -o model.safetensors\n");
  checkpoints->require_subcommand(1, 1);
  one_word(*checkpoints, p, "list", "Those of a job that are kept, newest first", kJob,
           "overwinter checkpoints list @last",
           [&p](const std::string& job) { return run_checkpoints_list(p.globals, job); });
  CLI::App* get = command(*checkpoints, p, "get", "Its weights, or its files", false);
  auto checkpoint = std::make_shared<std::string>();
  auto output = std::make_shared<std::string>();
  get->add_option(kCheckpoint.name, *checkpoint, kCheckpoint.about)->required();
  get->add_option("-o,--output", *output, "FILE.safetensors, or a folder: DIR/")->required();
  examples(get,
           "  overwinter checkpoints get @last -o model.safetensors\n"
           "  overwinter checkpoints get licence-gpt-7k2f9@200 -o model/\n");
  get->callback([&p, checkpoint, output] {
    p.run = [&p, checkpoint, output] {
      return run_checkpoints_get(p.globals, *checkpoint, *output);
    };
  });
  one_word(*checkpoints, p, "verify", "Read it on the coordinator and compare its digests",
           kCheckpoint, "overwinter checkpoints verify @last",
           [&p](const std::string& one) { return run_checkpoints_verify(p.globals, one); });
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
  doctor->add_option("-o,--output", d->output, "A file for the whole report, as JSON");
  examples(doctor,
           "  overwinter doctor\n"
           "  overwinter doctor --pairs -o report.json      exit code 1: something has failed\n");
  doctor->callback([&p, d] { p.run = [&p, d] { return run_doctor(p.globals, *d); }; });
}

void declare_tokens(CLI::App& root, Parsed& p) {
  CLI::App* tokens = command(root, p, "tokens", "Who may come in");
  examples(tokens,
           "  overwinter tokens create --role submitter --for ann\n  overwinter tokens list\n");
  tokens->require_subcommand(1, 1);
  CLI::App* create = command(*tokens, p, "create",
                             "A login line for a person, or a join file for machines", false);
  auto t = std::make_shared<TokenOptions>();
  create
      ->add_option("--role", t->role,
                   "viewer, submitter, operator, billing, auditor, admin or worker")
      ->required();
  create->add_option("--for", t->name, "Whose it is");
  create->add_option("--project", t->project, "One project (default: all)");
  create->add_option("--projects", t->projects, "Of a join file: projects that its workers serve")
      ->delimiter(',');
  create->add_option("--uses", t->uses, "Of a join file: how many machines (default 1)")
      ->check(CLI::Range(1, 10000));
  create->add_option("--ttl", t->ttl,
                     "Until when: 24h, 30d (default: a join file 24h, a token without end)");
  create->add_flag("--may-set-price", t->may_set_price,
                   "Of a join file: --price of its workers counts");
  create->add_option("-o,--output", t->output, "Where the line or the join file goes, 0600");
  examples(create,
           "  overwinter tokens create --role submitter --for ann --project demo\n"
           "  overwinter tokens create --role worker --uses 3 --ttl 24h -o join.file\n");
  create->callback([&p, t] { p.run = [&p, t] { return run_tokens_create(p.globals, *t); }; });
  CLI::App* list = command(*tokens, p, "list", "Every token and join file");
  examples(list, "  overwinter tokens list\n");
  list->callback([&p] { p.run = [&p] { return run_tokens_list(p.globals); }; });
  CLI::App* revoke = command(*tokens, p, "revoke", "End a token or a join file at once");
  auto id = std::make_shared<std::uint64_t>(0);
  auto join = std::make_shared<bool>(false);
  revoke->add_option("ID", *id, "As `tokens list` shows it")->required();
  revoke->add_flag("--join-file", *join, "The id is a join file's");
  examples(revoke, "  overwinter tokens revoke 7\n  overwinter tokens revoke 3 --join-file\n");
  revoke->callback([&p, id, join] {
    p.run = [&p, id, join] { return run_tokens_revoke(p.globals, *id, *join); };
  });
}

void declare_secrets(CLI::App& root, Parsed& p) {
  CLI::App* secrets = command(root, p, "secrets", "What programs are given and nobody reads back");
  examples(secrets, "  overwinter secrets set HF_TOKEN < token.txt\n  overwinter secrets list\n");
  secrets->require_subcommand(1, 1);
  const auto declare = [&p, secrets](const char* name, const char* about, const char* example,
                                     int (*run)(const Globals&, const SecretOptions&)) {
    CLI::App* app = command(*secrets, p, name, about);
    auto s = std::make_shared<SecretOptions>();
    if (run != run_secrets_list)
      app->add_option("NAME", s->name, "As the variable that a program gets")->required();
    app->add_option("--project", s->project, "Project (default: the token's)");
    examples(app, example);
    app->callback([&p, s, run] { p.run = [&p, s, run] { return run(p.globals, *s); }; });
  };
  declare("set", "Set or replace one; its value comes from standard input",
          "  overwinter secrets set HF_TOKEN              asks for it, and shows nothing\n"
          "  overwinter secrets set HF_TOKEN < token.txt\n"
          "  pass show hf | overwinter secrets set HF_TOKEN --project demo\n",
          run_secrets_set);
  declare("list", "Names, and since when", "  overwinter secrets list --project demo -o json\n",
          run_secrets_list);
  declare("delete", "Running programs keep it; the next start of a job that names it fails",
          "  overwinter secrets delete HF_TOKEN\n", run_secrets_delete);
}

void declare_money(CLI::App& root, Parsed& p) {
  CLI::App* projects = command(root, p, "projects", "List projects, or make one");
  examples(projects, "  overwinter projects\n  overwinter projects create demo\n");
  projects->require_subcommand(0, 1);
  projects->callback([&p, projects] {
    if (projects->get_subcommands().empty()) p.run = [&p] { return run_projects_list(p.globals); };
  });
  CLI::App* list = command(*projects, p, "list", "Names");
  examples(list, "  overwinter projects list\n");
  list->callback([&p] { p.run = [&p] { return run_projects_list(p.globals); }; });
  one_word(*projects, p, "create", "A new project",
           {"PROJECT", "Its name: lower-case letters, digits and dashes"},
           "overwinter projects create demo",
           [&p](const std::string& name) { return run_projects_create(p.globals, name); });

  CLI::App* prices = command(root, p, "prices", "The price book");
  examples(prices, "  overwinter prices\n  overwinter prices set book.yaml\n");
  prices->require_subcommand(0, 1);
  prices->callback([&p, prices] {
    if (prices->get_subcommands().empty()) p.run = [&p] { return run_prices_get(p.globals); };
  });
  CLI::App* get = command(*prices, p, "get", "As it is");
  examples(get, "  overwinter prices get > book.yaml\n");
  get->callback([&p] { p.run = [&p] { return run_prices_get(p.globals); }; });
  one_word(*prices, p, "set", "Replace it", {"FILE", "The book, YAML; - is standard input"},
           "overwinter prices set deploy/examples/prices.yaml",
           [&p](const std::string& file) { return run_prices_set(p.globals, file); });

  CLI::App* cost = command(root, p, "cost", "What jobs or machines cost");
  auto c = std::make_shared<CostOptions>();
  cost->add_option("JOB", c->job, "One job");
  cost->add_option("--project", c->project, "One project");
  cost->add_option("--month", c->month, "For example 2026-11");
  cost->add_flag("--machines", c->machines, "Machines: jobs, idle and lost");
  examples(cost, "  overwinter cost @last\n  overwinter cost --machines --month 2026-11\n");
  cost->callback([&p, c] { p.run = [&p, c] { return run_cost(p.globals, *c); }; });
}

// A word where a command should be: CLI11 says only that a command is missing.
Status unknown_command(const CLI::App& root) {
  const CLI::App* app = &root;
  std::string path = "overwinter";
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    path += " " + app->get_name();
  }
  const auto commands = app->get_subcommands([](const CLI::App*) { return true; });
  const auto words = app->remaining();
  if (commands.empty() || words.empty() || words.front().starts_with("-")) {
    return Status::success();
  }
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  const std::string near = nearest_word(words.front(), names);
  return error(Code::kInvalidArgument, "there is no command \"" + path + " " + words.front() + "\"",
               "",
               near.empty() ? "`" + path + " --help` lists them"
                            : "the nearest is `" + path + " " + near + "`");
}

// Parsed texts into the values that commands use.
Status settle(Parsed& p) {
  OutputOptions& out = p.globals.output;
  out.format = p.format == "json"   ? Format::kJson
               : p.format == "yaml" ? Format::kYaml
               : p.format == "wide" ? Format::kWide
                                    : Format::kTable;
  out.color = !p.no_color && std::getenv("NO_COLOR") == nullptr && isatty(STDOUT_FILENO) == 1;
  if (!p.timeout.empty()) {
    auto timeout = parse_duration(p.timeout);
    if (!timeout) return error(Code::kInvalidArgument, timeout.error().message, "--timeout");
    p.globals.timeout = *timeout;
  }
  return Status::success();
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App root(
      "overwinter: training jobs on few, unequal and rented machines, inside their memory and "
      "money",
      "overwinter");
  Parsed p;
  root.require_subcommand(1, 1);
  add_globals(&root, p, true);
  examples(&root,
           "  overwinter up                                   a cluster on this machine\n"
           "  overwinter matmul A.npy B.npy -o C.npy          a product, split over its workers\n"
           "  overwinter jobs list\n");
  declare_cluster(root, p);
  declare_submit(root, p);
  declare_jobs(root, p);
  declare_logs(root, p);
  declare_checkpoints(root, p);
  declare_workers(root, p);
  declare_doctor(root, p);
  declare_tokens(root, p);
  declare_secrets(root, p);
  declare_money(root, p);
  CLI::App* completion = root.add_subcommand("completion", "A completion script for a shell");
  auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  examples(completion, "  source <(overwinter completion bash)\n");
  completion->callback([&p, &root, shell] {
    p.run = [&root, shell] {
      CompletionTree tree;
      for (const CLI::App* app : root.get_subcommands([](const CLI::App*) { return true; })) {
        CompletionTree::Command entry{app->get_name(), app->get_description(), {}, {}};
        for (const CLI::App* sub : app->get_subcommands([](const CLI::App*) { return true; })) {
          entry.subcommands.push_back(sub->get_name());
        }
        for (const CLI::Option* option : app->get_options()) {
          for (const std::string& name : option->get_lnames()) entry.options.push_back("--" + name);
        }
        tree.commands.push_back(std::move(entry));
      }
      print_line(completion_script(tree, *shell));
      return kDone;
    };
  });
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (const Status unknown = unknown_command(root); !unknown.ok()) return report(unknown);
    const int code = root.exit(e, std::cout, std::cerr);
    return code == 0 ? kDone : kBadInput;
  }
  if (const Status status = settle(p); !status.ok()) return report(status);
  return p.run ? p.run() : kBadInput;
}

}  // namespace overwinter::cli
