#include "coordinator/notify/settings.h"

#include <algorithm>
#include <utility>

#include "common/base/nearest_word.h"
#include "common/spec/spec_node.h"

namespace overwinter::notify {
namespace {

using spec::Node;

constexpr std::size_t kNameBytesMax = 40;
constexpr std::size_t kListMax = 1000;
constexpr std::size_t kCommandPartsMax = 64;
constexpr std::size_t kCommandPartBytesMax = 4096;
constexpr Duration kIdleAfterMin = std::chrono::seconds(1);
constexpr Duration kIdleAfterMax = std::chrono::hours(24 * 30);

tl::unexpected<Status> refuse(int line, const std::string& key, const std::string& what) {
  return fail(Code::kInvalidArgument,
              "line " + std::to_string(line) + ": " + (key.empty() ? what : key + " " + what), key);
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kNameBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

// A key that could be an address in a wrong place is not repeated.
std::string unknown_key(const std::string& key, const std::vector<std::string>& known) {
  std::string list;
  for (const auto& one : known) list += (list.empty() ? "" : ", ") + one;
  if (!is_word(key)) return "holds something that is no key; its keys are " + list;
  const std::string near = nearest_word(key, known);
  return "has no key \"" + key + "\"" +
         (near.empty() ? "; its keys are " + list : "; the nearest is " + near);
}

Status check_map(const Node& node, const std::string& path, const std::vector<std::string>& known) {
  const std::string what = path.empty() ? "the file" : path;
  if (node.kind != Node::Kind::kMap) {
    return refuse(node.line, what, "must have keys and values").value();
  }
  for (const auto& entry : node.entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      return refuse(entry.line, what, unknown_key(entry.key, known)).value();
    }
  }
  return Status::success();
}

const Node* find(const Node& map, std::string_view key) {
  for (const auto& entry : map.entries) {
    if (entry.key == key && entry.value.kind != Node::Kind::kNull) return &entry.value;
  }
  return nullptr;
}

Result<std::string> text_of(const Node& node, const std::string& path) {
  if (node.kind != Node::Kind::kScalar) return refuse(node.line, path, "must be one value");
  if (!spec::is_utf8(node.text) || spec::has_control_character(node.text)) {
    return refuse(node.line, path, "holds a control character or is not UTF-8");
  }
  return node.text;
}

Result<std::vector<std::string>> list_of(const Node& node, const std::string& path,
                                         std::size_t most) {
  if (node.kind != Node::Kind::kList || node.items.empty()) {
    return refuse(node.line, path, "must be a list with something in it: [a, b]");
  }
  if (node.items.size() > most) {
    return refuse(node.line, path, "has more than " + std::to_string(most) + " entries");
  }
  std::vector<std::string> out;
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    auto text = text_of(node.items[i], path + "[" + std::to_string(i) + "]");
    if (!text) return fail(text.error());
    out.push_back(std::move(*text));
  }
  return out;
}

Result<std::set<std::string>> names_of(const Node& node, const std::string& path) {
  auto list = list_of(node, path, kListMax);
  if (!list) return fail(list.error());
  for (const auto& name : *list) {
    if (!is_word(name)) return refuse(node.line, path, "holds something that is no name");
  }
  return std::set<std::string>(list->begin(), list->end());
}

Result<std::set<Event>> events_of(const Node* node, const std::string& path) {
  std::set<Event> out;
  if (node == nullptr) {
    return std::set<Event>{Event::kFailed,     Event::kPaused,  Event::kCap80,
                           Event::kWorkerLost, Event::kWaiting, Event::kIdle};
  }
  const auto list = list_of(*node, path, kListMax);
  if (!list) return fail(list.error());
  for (const auto& name : *list) {
    const auto event = parse_event(name);
    if (!event) {
      return refuse(node->line, path,
                    "holds " + (is_word(name) ? "\"" + name + "\"" : std::string("something")) +
                        ", which is no event; events are " + event_names());
    }
    out.insert(*event);
  }
  return out;
}

Result<Hook> hook_of(const Node& node, const std::string& path) {
  if (Status status = check_map(node, path, {"name", "url", "on", "projects"}); !status.ok()) {
    return fail(std::move(status));
  }
  Hook hook;
  for (const char* key : {"name", "url"}) {
    if (find(node, key) == nullptr) return refuse(node.line, path + "." + key, "is missing");
  }
  const Node& name = *find(node, "name");
  if (name.kind != Node::Kind::kScalar || !is_word(name.text)) {
    return refuse(name.line, path + ".name", "must be 1 to 40 of a-z A-Z 0-9 - _ .");
  }
  hook.name = name.text;
  const Node& where = *find(node, "url");
  const auto text = text_of(where, path + ".url");
  if (!text) return fail(text.error());
  auto url = parse_hook_url(*text);
  if (!url) return refuse(where.line, path + ".url", url.error().message);
  hook.url = std::move(*url);
  auto on = events_of(find(node, "on"), path + ".on");
  if (!on) return fail(on.error());
  hook.on = std::move(*on);
  if (const Node* projects = find(node, "projects")) {
    auto names = names_of(*projects, path + ".projects");
    if (!names) return fail(names.error());
    hook.projects = std::move(*names);
  }
  return hook;
}

Result<OnIdle> on_idle_of(const Node& node) {
  const std::string path = "on_idle";
  if (Status status = check_map(node, path, {"after", "command", "workers"}); !status.ok()) {
    return fail(std::move(status));
  }
  OnIdle out;
  if (const Node* after = find(node, "after")) {
    const auto text = text_of(*after, path + ".after");
    if (!text) return fail(text.error());
    const auto read = parse_duration(*text);
    if (!read || *read < kIdleAfterMin || *read > kIdleAfterMax) {
      return refuse(after->line, path + ".after", "must be from 1s to 30d, for example 30m");
    }
    out.after = *read;
  }
  if (const Node* command = find(node, "command")) {
    auto list = list_of(*command, path + ".command", kCommandPartsMax);
    if (!list) return fail(list.error());
    if (!list->front().starts_with('/') || list->front().find('{') != std::string::npos) {
      return refuse(command->line, path + ".command",
                    "must begin with the absolute path of a program; no shell reads it");
    }
    for (const auto& part : *list) {
      if (part.size() > kCommandPartBytesMax) {
        return refuse(command->line, path + ".command", "has a part above 4096 bytes");
      }
    }
    out.command = std::move(*list);
  }
  if (const Node* workers = find(node, "workers")) {
    auto names = names_of(*workers, path + ".workers");
    if (!names) return fail(names.error());
    out.workers = std::move(*names);
  }
  return out;
}

Result<std::string> page_of(const Node& node) {
  auto text = text_of(node, "page");
  if (!text) return fail(text.error());
  while (text->ends_with('/')) text->pop_back();
  const auto url = parse_hook_url(*text);
  if (!url || !url->tls || url->target != "/") {
    return refuse(node.line, "page", "must be https://HOST:PORT");
  }
  return *text;
}

Result<Settings> settings_of(const Node& root) {
  Settings out;
  if (root.kind == Node::Kind::kNull) return out;
  if (Status status = check_map(root, {}, {"hooks", "on_idle", "page"}); !status.ok()) {
    return fail(std::move(status));
  }
  if (const Node* hooks = find(root, "hooks")) {
    if (hooks->kind != Node::Kind::kList || hooks->items.size() > kHooksMax) {
      return refuse(hooks->line, "hooks", "must be a list of at most 16 hooks");
    }
    for (std::size_t i = 0; i < hooks->items.size(); ++i) {
      const std::string path = "hooks[" + std::to_string(i) + "]";
      auto hook = hook_of(hooks->items[i], path);
      if (!hook) return fail(hook.error());
      for (const Hook& other : out.hooks) {
        if (other.name == hook->name) {
          return refuse(hooks->items[i].line, path + ".name", "is another hook's already");
        }
      }
      out.hooks.push_back(std::move(*hook));
    }
  }
  if (const Node* idle = find(root, "on_idle")) {
    auto read = on_idle_of(*idle);
    if (!read) return fail(read.error());
    out.on_idle = std::move(*read);
  }
  if (const Node* page = find(root, "page")) {
    auto read = page_of(*page);
    if (!read) return fail(read.error());
    out.page = std::move(*read);
  }
  return out;
}

}  // namespace

Result<Settings> parse_settings(std::string_view text) {
  if (text.size() > kSettingsBytesMax) {
    return fail(Code::kInvalidArgument, "line 1: the file is longer than 64 KiB");
  }
  const auto root = spec::read_yaml(text);
  if (!root) {
    // "7: what is wrong". What it repeats of the text is a key, which may be an address.
    const std::string& message = root.error().message;
    const std::string line = message.substr(0, message.find(':'));
    const bool quotes = message.find('"') != std::string::npos;
    return fail(Code::kInvalidArgument,
                "line " + (quotes ? line + ": a key is there twice" : message));
  }
  return settings_of(*root);
}

bool wants(const Hook& hook, const Notice& notice) {
  if (!hook.on.contains(notice.event)) return false;
  if (hook.projects.empty()) return true;
  if (notice.job.valid()) return hook.projects.contains(notice.project);
  return notice.projects.empty() ||
         std::any_of(notice.projects.begin(), notice.projects.end(),
                     [&](const auto& project) { return hook.projects.contains(project); });
}

}  // namespace overwinter::notify
