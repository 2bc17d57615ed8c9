// How commands are declared: what each takes, its help with examples. This room's files alone.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "client/cli/globals.h"

namespace overwinter::cli {

// What was parsed; each command's declaration sets `run`.
struct Parsed {
  Globals globals;
  std::string format = "table";
  std::string timeout;
  bool no_color = false;
  std::function<int()> run;
};

void examples(CLI::App* app, const std::string& text);
// Global options are taken before and behind the command's name.
void add_globals(CLI::App* app, Parsed& p, bool short_output);
CLI::App* command(CLI::App& parent, Parsed& p, const std::string& name, const std::string& about,
                  bool short_output = true);

// The one word that a command takes.
struct Word {
  const char* name;
  const char* about;
};
inline constexpr Word kJob{"JOB", "Full name, last part, a unique prefix of that, or @last"};
inline constexpr Word kCheckpoint{"CHECKPOINT", "JOB (its latest) or JOB@STEP"};
inline constexpr Word kWorker{"WORKER", "Its name, as `overwinter workers list` shows it"};

// A command that takes one word and hands it on; `example` is the command line behind the name.
void one_word(CLI::App& parent, Parsed& p, const std::string& name, const std::string& about,
              const Word& what, const std::string& example,
              std::function<int(const std::string&)> run);

// declare_jobs.cpp
void declare_submit(CLI::App& root, Parsed& p);
void declare_jobs(CLI::App& root, Parsed& p);
void declare_logs(CLI::App& root, Parsed& p);
void declare_checkpoints(CLI::App& root, Parsed& p);
// declare_cluster.cpp
void declare_cluster(CLI::App& root, Parsed& p);
void declare_dashboard(CLI::App& root, Parsed& p);
void declare_workers(CLI::App& root, Parsed& p);
void declare_doctor(CLI::App& root, Parsed& p);
void declare_notify(CLI::App& root, Parsed& p);
void declare_backup(CLI::App& root, Parsed& p);
// declare_access.cpp
void declare_tokens(CLI::App& root, Parsed& p);
void declare_secrets(CLI::App& root, Parsed& p);
void declare_audit(CLI::App& root, Parsed& p);
void declare_money(CLI::App& root, Parsed& p);

}  // namespace overwinter::cli
