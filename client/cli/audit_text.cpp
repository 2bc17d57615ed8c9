#include "client/cli/audit_text.h"

#include <google/protobuf/util/json_util.h>

namespace overwinter::cli {
namespace {

constexpr std::size_t kActorColumns = 16;
constexpr std::size_t kActionColumns = 18;
// Of "2026-11-24 15:04:26 CET": the year and the zone are the wide table's.
constexpr std::size_t kShortTimeAt = 5;
constexpr std::size_t kShortTimeChars = 14;

// At most so many characters, the last of them "…" where there were more.
std::string cut_to(const std::string& text, std::size_t most) {
  std::size_t characters = 0;
  std::size_t last = 0;  // where the last character that may stay begins
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) continue;
    if (++characters == most) last = i;
    if (characters > most) return text.substr(0, last) + "…";
  }
  return text;
}

std::string change_of(const v1::AuditEntry& entry) {
  if (entry.before().empty()) return entry.after();
  return entry.before() + " -> " + entry.after();
}

std::string what_of(const v1::AuditEntry& entry) {
  std::string out;
  const auto add = [&out](const char* between, const std::string& more) {
    if (!more.empty()) out += (out.empty() ? "" : between) + more;
  };
  if (entry.outcome() != "done") add("", entry.outcome());
  if (entry.repeated_count() > 0) add(" ", "x" + std::to_string(entry.repeated_count() + 1));
  add(" ", entry.object());
  add(": ", change_of(entry));
  add(": ", entry.reason());
  return out;
}

}  // namespace

Table audit_table(const v1::ListAuditEntriesResponse& list) {
  Table table({"TIME", "ACTOR", "ACTION", "WHAT"});
  for (const v1::AuditEntry& entry : list.entries()) {
    const std::string actor = entry.actor().empty() ? "-" : printable(entry.actor());
    const std::string time = time_text(entry.time());
    table.add({time.size() > kShortTimeAt ? time.substr(kShortTimeAt, kShortTimeChars) : time,
               cut_to(actor, kActorColumns), cut_to(printable(entry.action()), kActionColumns),
               printable(what_of(entry))});
  }
  return table;
}

Table audit_table_wide(const v1::ListAuditEntriesResponse& list) {
  Table table({"NUMBER", "TIME", "ACTOR", "ROLE", "ACTION", "OBJECT", "BEFORE", "AFTER", "OUTCOME",
               "MORE", "ADDRESS", "REASON"});
  const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : printable(text); };
  for (const v1::AuditEntry& entry : list.entries()) {
    table.add({entry.number() == 0 ? "-" : std::to_string(entry.number()), time_text(entry.time()),
               or_dash(entry.actor()), or_dash(entry.role()), or_dash(entry.action()),
               or_dash(entry.object()), or_dash(entry.before()), or_dash(entry.after()),
               or_dash(entry.outcome()),
               entry.repeated_count() == 0 ? "-" : std::to_string(entry.repeated_count()),
               or_dash(entry.address()), or_dash(entry.reason())});
  }
  return table;
}

std::string audit_line(const v1::AuditEntry& entry) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(entry, &line, options);
  return (status.ok() ? line : "{}") + "\n";
}

}  // namespace overwinter::cli
