#include <cctype>

#include "common/spec/spec.h"
#include "common/spec/spec_fields.h"
#include "common/spec/spec_keys.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {
namespace {

constexpr std::string_view kNoop = "workload.noop";
constexpr std::string_view kWorkdir = "workload.exec.workdir";

bool is_hidden(std::string_view path, const SpecOptions& options) {
  const bool is_noop = path.substr(0, kNoop.size()) == kNoop;
  return (is_noop && !options.allow_test_workloads) || !is_offered(path, options.release);
}

// "none" is how a file says that a program has no folder: its absence means the current one.
void read_workdir(const Key& key, Value& value) {
  if (key.path == kWorkdir && value.text == "none") value.text.clear();
}

class Filler {
 public:
  Filler(ParsedSpec& parsed, const SpecOptions& options) : parsed_(parsed), options_(options) {}

  // The entries of a section; its path is empty for the file itself. Depth is bounded by the
  // reader.
  Status section(const Node& node, const std::string& path) {
    for (const Node::Entry& entry : node.entries) {
      const std::string child = path.empty() ? entry.key : path + "." + entry.key;
      if (Status s = entry_of(entry, child); !s.ok()) return s;
    }
    return Status::success();
  }

 private:
  [[nodiscard]] Status refuse(int line, const std::string& message, std::string field) const {
    return error(Code::kInvalidArgument,
                 parsed_.source + ":" + std::to_string(line) + ": " + message, std::move(field));
  }

  Status entry_of(const Node::Entry& entry, const std::string& path) {
    const Key* key = find_key(path);
    if (key == nullptr || is_hidden(path, options_))
      return refuse(entry.line, about_unknown_key(path, options_.release), path);
    parsed_.lines[path] = entry.line;
    if (is_section(*key)) return section_of(entry, *key, path);
    int line = entry.line;
    auto value = read_node(*key, entry.value, line, options_.release);
    if (!value) return refuse(line, value.error().message, path);
    read_workdir(*key, *value);
    if (Status s = set_field(parsed_.spec, *key, *value); !s.ok())
      return refuse(entry.line, s.message, path);
    return Status::success();
  }

  Status section_of(const Node::Entry& entry, const Key& key, const std::string& path) {
    const Node& value = entry.value;
    if (value.kind != Node::Kind::kNull && value.kind != Node::Kind::kMap)
      return refuse(entry.line, path + " must be a section with keys of its own.", path);
    if (key.kind == ValueKind::kOneOf && value.entries.size() != 1)
      return refuse(entry.line,
                    path + " must have exactly one key, for example " + first_choice(path) + ".",
                    path);
    // An empty matmul is a chosen workload without its factors: validation names them.
    const bool is_chosen = path.substr(0, 9) == "workload.";
    if (is_chosen)
      if (Status s = choose_section(parsed_.spec, key); !s.ok())
        return refuse(entry.line, s.message, path);
    return section(value, path);
  }

  std::string first_choice(const std::string& path) const {
    for (const Key& key : known_keys())
      if (key.path.size() > path.size() && key.path.substr(0, path.size() + 1) == path + ".")
        return std::string(key.path.substr(path.size() + 1));
    return {};
  }

  ParsedSpec& parsed_;
  const SpecOptions& options_;
};

bool looks_like_json(std::string_view text) {
  for (char c : text)
    if (std::isspace(static_cast<unsigned char>(c)) == 0) return c == '{';
  return false;
}

int line_at(std::string_view text, std::size_t at) {
  int line = 1;
  for (char c : text.substr(0, at)) line += c == '\n' ? 1 : 0;
  return line;
}

// The map of texts that "labels.team" is an entry of; null when the path is none.
const Key* map_of(std::string_view path) {
  for (const Key& key : known_keys())
    if (key.kind == ValueKind::kTextMap && path.size() > key.path.size() + 1 &&
        path.substr(0, key.path.size()) == key.path && path[key.path.size()] == '.')
      return &key;
  return nullptr;
}

Result<Value> read_setting(const Key& key, std::string_view text, const Release& release) {
  const bool is_list = !text.empty() && text.front() == '[';
  const bool takes_list = key.kind == ValueKind::kTextList || key.kind == ValueKind::kCountList ||
                          key.kind == ValueKind::kCommand || key.kind == ValueKind::kMetrics;
  if (!is_list || !takes_list) return read_value(key, text, release);
  auto tree = read_yaml(text);
  if (!tree) return fail(Code::kInvalidArgument, std::string(key.path) + " is no list.");
  int line = 0;
  return read_node(key, *tree, line, release);
}

}  // namespace

Result<ParsedSpec> parse_spec(std::string_view text, std::string_view source_name,
                              const SpecOptions& options) {
  const std::string source(source_name);
  const auto refuse = [&](const std::string& what) {
    return fail(Code::kInvalidArgument, source + ":" + what);
  };
  if (text.size() > kSpecBytesMax)
    return refuse(" a job file has at most 1 MiB; this one has " + std::to_string(text.size()) +
                  " bytes.");
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    return refuse(std::to_string(line_at(text, nul)) + ": the file holds a NUL character.");
  if (!is_utf8(text)) return refuse(" the file is not UTF-8 text.");
  ParsedSpec parsed;
  parsed.source = source;
  parsed.json = looks_like_json(text);
  // A flow map is YAML too: text that is not JSON may still be that.
  auto tree = parsed.json ? read_json(text) : read_yaml(text);
  if (!tree && parsed.json) {
    if (auto yaml = read_yaml(text)) {
      tree = std::move(yaml);
      parsed.json = false;
    }
  }
  if (!tree) return refuse(tree.error().message + ".");
  if (tree->kind == Node::Kind::kNull) return refuse(" the file is empty.");
  if (tree->kind != Node::Kind::kMap)
    return refuse(std::to_string(tree->line) + ": a job file is a list of keys and values.");
  if (Status s = Filler(parsed, options).section(*tree, ""); !s.ok()) return fail(s);
  if (parsed.spec.has_exec() && !parsed.lines.contains(std::string(kWorkdir)))
    parsed.spec.mutable_exec()->set_workdir(".");
  return parsed;
}

Status apply_setting(v1::JobSpec& spec, std::string_view setting, const SpecOptions& options) {
  const auto refuse = [](std::string message, std::string field) {
    return error(Code::kInvalidArgument, "--set: " + message, std::move(field));
  };
  const std::size_t equals = setting.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return refuse("\"" + printable(setting) + "\" is not path=value.", {});
  const std::string path(setting.substr(0, equals));
  const std::string_view text = setting.substr(equals + 1);
  if (!is_utf8(setting) || has_control_character(setting))
    return refuse("a setting is text without control characters.", {});
  const Key* map = map_of(path);
  if (map != nullptr && !is_hidden(map->path, options)) {
    Value pair;
    pair.pairs.emplace_back(path.substr(map->path.size() + 1), text);
    if (Status s = set_field(spec, *map, pair); !s.ok()) return refuse(s.message, path);
    return Status::success();
  }
  const Key* key = find_key(path);
  if (key == nullptr || is_hidden(path, options))
    return refuse(about_unknown_key(path, options.release), path);
  auto value = read_setting(*key, text, options.release);
  if (!value) return refuse(value.error().message, path);
  read_workdir(*key, *value);
  if (Status s = set_field(spec, *key, *value); !s.ok()) return refuse(s.message, path);
  return Status::success();
}

}  // namespace overwinter::spec
