#include "client/sdk/context.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>

#include "common/base/bytes.h"
#include "common/security/file_io.h"

namespace overwinter::client {
namespace {

std::string text_of(const YAML::Node& node) {
  return node ? node.as<std::string>() : std::string();
}

Result<std::string> read_small_file(const std::string& path, const std::string& field) {
  auto text = read_file(path, 64 * kKiB);
  if (!text) {
    return fail(
        text.error().code, text.error().message, field,
        "`overwinter up` starts a cluster here, `overwinter login` adds one that runs elsewhere");
  }
  return text;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
    text.pop_back();
  }
  return text;
}

}  // namespace

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string config_path() {
  std::string base = environment_variable("XDG_CONFIG_HOME");
  if (base.empty()) base = environment_variable("HOME") + "/.config";
  return base + "/overwinter/config.yaml";
}

Result<Contexts> load_contexts(const std::string& path) {
  Contexts contexts;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return contexts;
  auto text = read_small_file(path, "config");
  if (!text) return fail(text.error());
  try {
    const YAML::Node root = YAML::Load(*text);
    contexts.current = text_of(root["current"]);
    for (const auto& entry : root["contexts"]) {
      Context context;
      context.name = entry.first.as<std::string>();
      context.address = text_of(entry.second["address"]);
      context.ca_file = text_of(entry.second["ca"]);
      context.token_file = text_of(entry.second["token_file"]);
      context.dashboard = text_of(entry.second["dashboard"]);
      contexts.all[context.name] = context;
    }
  } catch (const YAML::Exception& e) {
    return fail(Code::kInvalidArgument, path + " is not a configuration file: " + e.what(),
                "config", "correct it, or remove it and run `overwinter login` again");
  }
  return contexts;
}

Status save_contexts(const std::string& path, const Contexts& contexts) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "current" << YAML::Value << contexts.current;
  out << YAML::Key << "contexts" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, context] : contexts.all) {
    out << YAML::Key << name << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "address" << YAML::Value << context.address;
    out << YAML::Key << "ca" << YAML::Value << context.ca_file;
    out << YAML::Key << "token_file" << YAML::Value << context.token_file;
    if (!context.dashboard.empty()) {
      out << YAML::Key << "dashboard" << YAML::Value << context.dashboard;
    }
    out << YAML::EndMap;
  }
  out << YAML::EndMap << YAML::EndMap;
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::filesystem::create_directories(folder, error);
  if (error) {
    return overwinter::error(Code::kPermissionDenied,
                             "cannot create " + folder.string() + ": " + error.message(), "config");
  }
  return write_file_atomically(path, std::string(out.c_str()) + "\n");
}

Status store_context(const std::string& path, const Context& context) {
  auto contexts = load_contexts(path);
  if (!contexts) return contexts.error();
  contexts->all[context.name] = context;
  contexts->current = context.name;
  return save_contexts(path, *contexts);
}

Result<Context> choose_context(const std::string& path, const std::string& name) {
  auto contexts = load_contexts(path);
  if (!contexts) return fail(contexts.error());
  const std::string wanted = name.empty() ? contexts->current : name;
  Context context;
  const auto found = contexts->all.find(wanted);
  if (found != contexts->all.end()) {
    context = found->second;
  } else if (!name.empty()) {
    return fail(Code::kNotFound, "there is no context \"" + name + "\" in " + path, "context",
                "`overwinter login` adds one");
  }
  if (const std::string address = environment_variable("OVERWINTER_ADDRESS"); !address.empty()) {
    context.address = address;
  }
  if (const std::string ca = environment_variable("OVERWINTER_CA"); !ca.empty())
    context.ca_file = ca;
  if (context.address.empty()) {
    return fail(Code::kUnavailable, "no cluster is known here", "context",
                "`overwinter up` starts one, `overwinter login` adds one that runs elsewhere");
  }
  return context;
}

Result<Credentials> read_credentials(const Context& context) {
  Credentials credentials;
  credentials.address = context.address;
  auto root = read_small_file(context.ca_file, "ca");
  if (!root) return fail(root.error());
  credentials.root_pem = *root;
  credentials.token = environment_variable("OVERWINTER_TOKEN");
  if (credentials.token.empty()) {
    auto token = read_small_file(context.token_file, "token_file");
    if (!token) return fail(token.error());
    credentials.token = trimmed(*token);
  }
  return credentials;
}

}  // namespace overwinter::client
