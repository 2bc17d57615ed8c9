#include "client/cli/declare.h"

#include <memory>
#include <utility>

namespace overwinter::cli {

void examples(CLI::App* app, const std::string& text) {
  app->footer("Examples:\n" + text);
}

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
                  bool short_output) {
  CLI::App* app = parent.add_subcommand(name, about);
  add_globals(app, p, short_output);
  return app;
}

void one_word(CLI::App& parent, Parsed& p, const std::string& name, const std::string& about,
              const Word& what, const std::string& example,
              std::function<int(const std::string&)> run) {
  CLI::App* app = command(parent, p, name, about);
  auto word = std::make_shared<std::string>();
  app->add_option(what.name, *word, what.about)->required();
  examples(app, "  " + example + "\n");
  app->callback([&p, word, run = std::move(run)] { p.run = [word, run] { return run(*word); }; });
}

}  // namespace overwinter::cli
