// Commands about jobs: what they take.
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/declare.h"
#include "client/cli/exit_codes.h"

namespace overwinter::cli {

namespace {

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

}  // namespace

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
  matmul->add_option(
      "--precision", m->precision,
      "fp32, fp64 or int8: the inputs' own (default); bf16, fp16: fp32 inputs rounded to that");
  matmul->add_option("--algorithm", m->algorithm,
                     "auto, classical or strassen (default: auto, strassen where it is faster and "
                     "within --tolerance)");
  matmul->add_option("--tolerance", m->tolerance,
                     "How far an element of C may be off at worst, as a share of k max|A| max|B|, "
                     "as in 1e-3 (default: not said, and auto is classical)");
  matmul->add_option("--transport", m->transport, "auto or elastic");
  matmul->add_option("--workers", m->workers, "The most workers to use (default: all that fit)");
  matmul->add_option("--cap", m->cap, "The most it may cost, in the price book's currency");
  matmul->add_option("--project", m->project, "Project (default: the token's)");
  matmul->add_option("--name", m->name, "Name of the job");
  matmul->add_option("--set", m->settings, "Change one value of the job");
  examples(matmul,
           "  overwinter matmul A.npy B.npy -o C.npy\n"
           "  overwinter matmul A.npy B.npy -o C.npy --workers 2 --cap 0.10\n"
           "  overwinter matmul A.npy B.npy -o C.npy --precision bf16\n"
           "  overwinter matmul A.npy B.npy -o C.npy --tolerance 1e-2\n");
  matmul->callback([&p, m] { p.run = [&p, m] { return run_matmul(p.globals, *m); }; });
}

void declare_jobs(CLI::App& root, Parsed& p) {
  CLI::App* jobs = command(root, p, "jobs", "List jobs and act on one");
  auto l = std::make_shared<JobsListOptions>();
  const auto list_options = [l](CLI::App* app) {
    app->add_option("--project", l->project, "One project (default: all you may see)");
    app->add_option("--filter", l->filter,
                    "For example: state=RUNNING AND labels.team=nlp AND "
                    "create_time>=2026-11-29T00:00:00Z");
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

}  // namespace overwinter::cli
