#include "client/cli/command_line.h"

#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdlib>
#include <functional>

#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "client/cli/declare.h"
#include "client/cli/exit_codes.h"
#include "common/base/nearest_word.h"
#include "common/base/version.h"

namespace overwinter::cli {
namespace {

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
  root.set_version_flag("--version", std::string("overwinter ") + kVersion);
  add_globals(&root, p, true);
  examples(&root,
           "  overwinter up                                   a cluster on this machine\n"
           "  overwinter matmul A.npy B.npy -o C.npy          a product, split over its workers\n"
           "  overwinter jobs list\n"
           "  overwinter dashboard                            the page of it all\n");
  declare_cluster(root, p);
  declare_dashboard(root, p);
  declare_submit(root, p);
  declare_jobs(root, p);
  declare_logs(root, p);
  declare_checkpoints(root, p);
  declare_workers(root, p);
  declare_doctor(root, p);
  declare_notify(root, p);
  declare_backup(root, p);
  declare_tokens(root, p);
  declare_secrets(root, p);
  declare_audit(root, p);
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
