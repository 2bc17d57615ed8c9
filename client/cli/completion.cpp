#include "client/cli/completion.h"

#include <fmt/format.h>

namespace overwinter::cli {
namespace {

std::string with_spaces(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string names_of(const CompletionTree& tree) {
  std::string out;
  for (const auto& command : tree.commands) out += (out.empty() ? "" : " ") + command.name;
  return out;
}

// Single quotes ended, escaped and begun again, as both bash and fish read it inside '…'.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string bash_script(const CompletionTree& tree) {
  std::string cases;
  for (const auto& command : tree.commands) {
    cases += fmt::format("    {}) subs='{}' opts='{}' ;;\n", command.name,
                         with_spaces(command.subcommands), with_spaces(command.options));
  }
  return fmt::format(R"(_overwinter() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" subs='' opts=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{}' -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{}  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$opts" -- "$word"))
  elif [ "$COMP_CWORD" -eq 2 ] && [ -n "$subs" ]; then
    COMPREPLY=($(compgen -W "$subs" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _overwinter overwinter)",
                     names_of(tree), cases);
}

std::string fish_script(const CompletionTree& tree) {
  std::string out = "complete -c overwinter -n __fish_use_subcommand -f\n";
  for (const auto& command : tree.commands) {
    out += fmt::format("complete -c overwinter -n __fish_use_subcommand -a {} -d {}\n",
                       command.name, quoted(command.about));
    for (const std::string& sub : command.subcommands) {
      out += fmt::format("complete -c overwinter -n '__fish_seen_subcommand_from {}' -a {}\n",
                         command.name, sub);
    }
    for (const std::string& option : command.options) {
      out += fmt::format("complete -c overwinter -n '__fish_seen_subcommand_from {}' -l {}\n",
                         command.name, option.substr(2));
    }
  }
  return out;
}

}  // namespace

std::string completion_script(const CompletionTree& tree, const std::string& shell) {
  if (shell == "fish") return fish_script(tree);
  if (shell == "zsh") {
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash_script(tree);
  }
  return bash_script(tree);
}

}  // namespace overwinter::cli
