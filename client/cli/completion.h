// Completion scripts, made from the commands that are declared: they cannot fall behind.
#pragma once

#include <string>
#include <vector>

namespace overwinter::cli {

struct CompletionTree {
  struct Command {
    std::string name;
    std::string about;
    std::vector<std::string> subcommands;
    std::vector<std::string> options;  // with their dashes
  };
  std::vector<Command> commands;
};

// `shell`: bash, zsh or fish.
[[nodiscard]] std::string completion_script(const CompletionTree& tree, const std::string& shell);

}  // namespace overwinter::cli
