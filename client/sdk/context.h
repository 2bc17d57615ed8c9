// Contexts: which coordinator to talk to, and as whom. Kept in ~/.config/overwinter/config.yaml,
// 0600.
#pragma once

#include <map>
#include <string>

#include "common/base/result.h"

namespace overwinter::client {

struct Context {
  std::string name;
  std::string address;     // HOST:PORT of the people's port
  std::string ca_file;     // the pinned root, PEM
  std::string token_file;  // 0600, holds the bearer token
  std::string dashboard;   // https address; may be empty
};

struct Contexts {
  std::string current;
  std::map<std::string, Context> all;
};

// What a call needs, read from the context's files (or the environment).
struct Credentials {
  std::string address;
  std::string root_pem;
  std::string token;
};

// Empty: not set, or set to nothing.
[[nodiscard]] std::string environment_variable(const char* name);

// $XDG_CONFIG_HOME/overwinter/config.yaml, else ~/.config/overwinter/config.yaml.
[[nodiscard]] std::string config_path();
// No file is no contexts.
[[nodiscard]] Result<Contexts> load_contexts(const std::string& path);
// Whole or not at all, 0600.
[[nodiscard]] Status save_contexts(const std::string& path, const Contexts& contexts);

// Adds or replaces a context and makes it the current one.
[[nodiscard]] Status store_context(const std::string& path, const Context& context);

// The context named, else the current one; OVERWINTER_ADDRESS, OVERWINTER_TOKEN and OVERWINTER_CA
// (a file) override its parts and are enough without one.
[[nodiscard]] Result<Context> choose_context(const std::string& path, const std::string& name);
[[nodiscard]] Result<Credentials> read_credentials(const Context& context);

}  // namespace overwinter::client
