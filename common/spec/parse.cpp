#include <cctype>

#include "common/spec/spec.h"
#include "common/spec/spec_keys.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {
namespace {

constexpr std::string_view kWorkload = "workload";
constexpr std::string_view kNoop = "workload.noop";

bool is_hidden(std::string_view path, const SpecOptions& options) {
  return !options.allow_test_workloads && path.substr(0, kNoop.size()) == kNoop;
}

class Filler {
 public:
  Filler(v1::JobSpec& spec, std::string_view source, const SpecOptions& options)
      : spec_(spec), source_(source), options_(options) {}

  // The entries of a section; its path is empty for the file itself. Depth is bounded by the
  // reader.
  Status section(const Node& node, const std::string& path) {
    if (path == kWorkload && node.entries.size() != 1)
      return refuse(node.line, "workload must have exactly one key, for example matmul.", path);
    for (const Node::Entry& entry : node.entries) {
      const std::string child = path.empty() ? entry.key : path + "." + entry.key;
      if (Status s = entry_of(entry, child); !s.ok()) return s;
    }
    return Status::success();
  }

 private:
  [[nodiscard]] Status refuse(int line, const std::string& message, std::string field) const {
    return error(Code::kInvalidArgument,
                 std::string(source_) + ":" + std::to_string(line) + ": " + message,
                 std::move(field));
  }

  Status entry_of(const Node::Entry& entry, const std::string& path) {
    const Key* key = find_key(path);
    if (key == nullptr || is_hidden(path, options_))
      return refuse(entry.line, about_unknown_key(path), path);
    const Node& value = entry.value;
    if (key->kind == ValueKind::kSection) {
      // An empty matmul is a chosen workload without its factors: validation names them.
      if (path == "workload.matmul") spec_.mutable_matmul();
      if (path == kNoop) spec_.mutable_noop();
      if (value.kind == Node::Kind::kNull) return Status::success();
      if (value.kind != Node::Kind::kMap)
        return refuse(entry.line, path + " must be a section with keys of its own.", path);
      return section(value, path);
    }
    if (key->kind == ValueKind::kLabels) return labels(entry);
    if (value.kind == Node::Kind::kNull)
      return refuse(entry.line, path + " has no value; leave it out, or give it one.", path);
    if (value.kind != Node::Kind::kScalar)
      return refuse(entry.line, path + " must be a single value.", path);
    auto read = read_value(*key, value.text);
    if (!read) return refuse(entry.line, read.error().message, path);
    key->set(spec_, *read);
    return Status::success();
  }

  Status labels(const Node::Entry& entry) {
    if (entry.value.kind == Node::Kind::kNull) return Status::success();
    if (entry.value.kind != Node::Kind::kMap)
      return refuse(entry.line, "labels must be a section of words: { team: research }.", "labels");
    for (const Node::Entry& label : entry.value.entries) {
      if (label.value.kind != Node::Kind::kScalar)
        return refuse(label.line, "the label \"" + printable(label.key) + "\" must be a word.",
                      "labels");
      (*spec_.mutable_labels())[label.key] = label.value.text;
    }
    return Status::success();
  }

  v1::JobSpec& spec_;
  std::string_view source_;
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
  if (Status s = Filler(parsed.spec, source, options).section(*tree, ""); !s.ok()) return fail(s);
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
  if (path.substr(0, 7) == "labels.") {
    (*spec.mutable_labels())[path.substr(7)] = std::string(text);
    return Status::success();
  }
  const Key* key = find_key(path);
  if (key == nullptr || is_hidden(path, options)) return refuse(about_unknown_key(path), path);
  const bool wants_matmul = path.substr(0, 16) == "workload.matmul.";
  const bool wants_noop = path.substr(0, 14) == "workload.noop.";
  if ((wants_matmul && spec.has_noop()) || (wants_noop && spec.has_matmul()))
    return refuse(path + ": the job has another workload.", path);
  auto value = read_value(*key, text);
  if (!value) return refuse(value.error().message, path);
  key->set(spec, *value);
  return Status::success();
}

}  // namespace overwinter::spec
