#include "coordinator/runtime/audit.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "common/wire/convert.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/pages.h"

namespace overwinter::runtime {
namespace {

using telemetry::AuditItem;

constexpr std::uint64_t kUsPerMs = 1000;

// What a request asks for.
struct Filter {
  std::string project;  // of the caller; empty: all
  std::string actor;
  std::string actor_name;
  std::string object;
  std::optional<Time> since;
  bool refusals = false;
};

// From here on downwards: numbers of facts, keys of other events.
struct Cursor {
  std::optional<std::uint64_t> number;
  std::uint64_t key = UINT64_MAX;
};

// "tokens/7 (ann)" has both parts, "tokens/7" the first alone.
void read_actor(const std::string& text, Filter& out) {
  const auto blank = text.find(' ');
  out.actor = text.substr(0, blank);
  if (blank == std::string::npos) return;
  out.actor_name = text.substr(blank + 1);
  if (out.actor_name.size() > 2 && out.actor_name.front() == '(' && out.actor_name.back() == ')') {
    out.actor_name = out.actor_name.substr(1, out.actor_name.size() - 2);
  }
}

Filter filter_of(const Principal& caller, const v1::ListAuditEntriesRequest& request) {
  Filter out;
  out.project = caller.project;
  read_actor(request.actor(), out);
  out.object = request.object();
  while (out.object.ends_with('/')) out.object.pop_back();
  if (request.has_since()) out.since = wire::from_proto(request.since());
  out.refusals = request.refusals();
  return out;
}

std::string mark_of(const Filter& filter) {
  return "audit\n" + filter.project + '\n' + filter.actor + '\n' + filter.actor_name + '\n' +
         filter.object + '\n' + (filter.since ? std::to_string(unix_ms(*filter.since)) : "") +
         '\n' + (filter.refusals ? "refusals" : "all");
}

std::optional<Cursor> read_cursor(std::string_view text) {
  Cursor out;
  std::uint64_t number = 0;
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto read = [](std::string_view part, std::uint64_t& into) {
    const auto [end, parsed] = std::from_chars(part.data(), part.data() + part.size(), into);
    return parsed == std::errc() && end == part.data() + part.size();
  };
  if (!read(text.substr(0, dot), number) || !read(text.substr(dot + 1), out.key)) {
    return std::nullopt;
  }
  out.number = number;
  return out;
}

bool lies_under(std::string_view object, std::string_view wanted) {
  return wanted.empty() || object == wanted ||
         (object.size() > wanted.size() && object.starts_with(wanted) &&
          object[wanted.size()] == '/');
}

bool fits(const Filter& filter, const AuditItem& item) {
  const telemetry::AuditEvent& event = item.event;
  if (!filter.project.empty() && event.project != filter.project) return false;
  if (!filter.actor.empty() && event.actor != filter.actor) return false;
  if (!filter.actor_name.empty() && event.actor_name != filter.actor_name) return false;
  if (filter.since && item.key / kUsPerMs < static_cast<std::uint64_t>(unix_ms(*filter.since))) {
    return false;
  }
  return lies_under(event.object, filter.object);
}

std::string actor_text(const std::string& actor, const std::string& name) {
  return name.empty() ? actor : actor + " (" + name + ")";
}

v1::AuditEntry entry_of(const store::AuditLine& line, bool within_project) {
  v1::AuditEntry out;
  out.set_number(within_project ? line.project_number : line.number);
  *out.mutable_time() = wire::to_proto(line.time);
  out.set_actor(actor_text(line.actor, line.actor_name));
  out.set_role(line.role);
  out.set_action(line.action);
  out.set_object(line.object);
  out.set_before(line.before);
  out.set_after(line.after);
  out.set_outcome("done");
  out.set_reason(line.reason);
  return out;
}

v1::AuditEntry entry_of(const telemetry::AuditEvent& event) {
  v1::AuditEntry out;
  *out.mutable_time() = wire::to_proto(event.time);
  out.set_actor(actor_text(event.actor, event.actor_name));
  out.set_role(event.role);
  out.set_action(event.action);
  out.set_object(event.object);
  out.set_before(event.before);
  out.set_after(event.after);
  out.set_outcome(event.code == Code::kOk ? "done" : std::string(code_name(event.code)));
  out.set_reason(event.reason);
  out.set_address(event.address);
  out.set_repeated_count(event.repeated);
  return out;
}

// Both sources from a cursor on, newest first.
class Merged {
 public:
  Merged(std::vector<store::AuditLine> lines, std::vector<AuditItem> items, const Cursor& from,
         bool within_project)
      : lines_(std::move(lines)), items_(std::move(items)), within_project_(within_project) {
    // What is newer than anything of the first page belongs to none of the later ones.
    below_number_ = from.number ? *from.number : lines_.empty() ? 0 : number(0) + 1;
    below_key_ = from.key != UINT64_MAX ? from.key : items_.empty() ? 0 : items_[0].key + 1;
  }

  [[nodiscard]] bool ended() const { return line_ == lines_.size() && item_ == items_.size(); }
  v1::AuditEntry next() {
    const bool is_line =
        item_ == items_.size() ||
        (line_ < lines_.size() &&
         static_cast<std::uint64_t>(unix_ms(lines_[line_].time)) >= items_[item_].key / kUsPerMs);
    if (is_line) {
      below_number_ = number(line_);
      return entry_of(lines_[line_++], within_project_);
    }
    below_key_ = items_[item_].key;
    return entry_of(items_[item_++].event);
  }
  [[nodiscard]] std::string cursor() const {
    return std::to_string(below_number_) + "." + std::to_string(below_key_);
  }

 private:
  [[nodiscard]] std::uint64_t number(std::size_t line) const {
    return within_project_ ? lines_[line].project_number : lines_[line].number;
  }
  const std::vector<store::AuditLine> lines_;
  const std::vector<AuditItem> items_;
  const bool within_project_;
  std::size_t line_ = 0;
  std::size_t item_ = 0;
  std::uint64_t below_number_ = 0;
  std::uint64_t below_key_ = 0;
};

Result<std::vector<store::AuditLine>> read_lines(store::Store& store, const Filter& filter,
                                                 const Cursor& from, std::size_t max) {
  if (filter.refusals) return std::vector<store::AuditLine>();
  if (Status status = store.catch_up(); !status.ok()) return fail(std::move(status));
  store::AuditQuery query;
  query.project = filter.project;
  query.actor = filter.actor;
  query.actor_name = filter.actor_name;
  query.object = filter.object;
  query.since = filter.since;
  query.below = from.number;
  query.max = max;
  return store.history().audit(query);
}

// Decisions that are no facts, and refusals: these only for who is bound to no project.
std::vector<AuditItem> read_items(telemetry::AuditLog& log, const Filter& filter,
                                  const Cursor& from, std::size_t max) {
  const auto wanted = [&filter](const AuditItem& item) { return fits(filter, item); };
  std::vector<AuditItem> decisions;
  if (!filter.refusals) decisions = log.read_decisions(from.key, max, wanted);
  if (!filter.project.empty()) return decisions;
  const auto refusals = log.read_refusals(from.key, max, wanted);
  std::vector<AuditItem> out;
  std::merge(decisions.begin(), decisions.end(), refusals.begin(), refusals.end(),
             std::back_inserter(out),
             [](const AuditItem& a, const AuditItem& b) { return a.key > b.key; });
  return out;
}

}  // namespace

Status list_audit(store::Store& store, telemetry::AuditLog& log, const Principal& caller,
                  const v1::ListAuditEntriesRequest& request,
                  v1::ListAuditEntriesResponse& response) {
  const Filter filter = filter_of(caller, request);
  if (filter.refusals && !filter.project.empty()) {
    return error(Code::kPermissionDenied,
                 "a token of project " + filter.project + " sees no refusals", "refusals",
                 "a token of all projects does");
  }
  const std::string mark = mark_of(filter);
  const auto page = read_page(request.page_size(), request.page_token(), mark, kAuditPage);
  if (!page) return page.error();
  Cursor from;
  if (!page->after.empty()) {
    const auto read = read_cursor(page->after);
    if (!read) {
      return error(Code::kInvalidArgument, "that page token does not belong to this list",
                   "page_token", "list again without it");
    }
    from = *read;
  }
  const auto size = static_cast<std::size_t>(page->size);
  auto lines = read_lines(store, filter, from, size + 1);
  if (!lines) return lines.error();
  Merged merged(std::move(*lines), read_items(log, filter, from, size + 1), from,
                !filter.project.empty());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < size && !merged.ended() && bytes < kPageBytesMax; ++i) {
    *response.add_entries() = merged.next();
    bytes += response.entries(response.entries_size() - 1).ByteSizeLong();
  }
  if (!merged.ended()) response.set_next_page_token(page_token(mark, merged.cursor()));
  return Status::success();
}

telemetry::AuditEvent audit_event(const Principal* by, Time now) {
  telemetry::AuditEvent event;
  event.time = now;
  if (by == nullptr) return event;
  const std::string id = std::to_string(by->id);
  switch (by->kind) {
    case PrincipalKind::kPerson:
      event.actor = "tokens/" + id;
      event.actor_name = by->name;
      event.role = role_name(by->role);
      break;
    case PrincipalKind::kWorker:
      event.actor = "workers/" + by->name;
      break;
    case PrincipalKind::kJoin:
      event.actor = "join_files/" + id;
      break;
    case PrincipalKind::kSystem:
      event.actor = "coordinator";
      break;
  }
  return event;
}

bool is_refusal(Code code) {
  return code == Code::kUnauthenticated || code == Code::kPermissionDenied ||
         code == Code::kResourceExhausted || code == Code::kFailedPrecondition;
}

}  // namespace overwinter::runtime
