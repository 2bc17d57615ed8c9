#include "coordinator/store/audit_words.h"

#include <array>
#include <utility>

namespace overwinter::store {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string of_projects(const std::vector<std::string>& projects) {
  std::string out = "of ";
  for (const std::string& project : projects) {
    if (out.size() > kAuditTextMax) break;  // it is cut there
    out += (out.size() > 3 ? " and projects/" : "projects/") + project;
  }
  return out;
}

std::string entry_words(const ledger::PriceEntry& entry) {
  std::string out = entry.device;
  if (entry.supplier != "any") out += " of " + entry.supplier;
  out += " " + format_money(entry.per_hour);
  if (entry.spot) out += " spot";
  out += " from " + format_time(entry.from);
  if (entry.minimum.count() > 0) out += " for at least " + format_duration(entry.minimum);
  return out;
}

}  // namespace

std::string audit_text(std::string text) {
  if (text.size() <= kAuditTextMax) return text;
  constexpr std::string_view kMore = "…";
  std::size_t end = kAuditTextMax - kMore.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  text += kMore;
  return text;
}

std::string token_words(Role role, std::string_view project, std::string_view name,
                        std::optional<Time> expires) {
  std::string out(role_name(role));
  if (!project.empty()) out += " of projects/" + std::string(project);
  if (!name.empty()) out += ", for " + std::string(name);
  if (expires) out += ", until " + format_time(*expires);
  return audit_text(std::move(out));
}

std::string join_file_words(const core::JoinFile& file) {
  const std::uint32_t left = file.uses > file.used ? file.uses - file.used : 0;
  std::vector<std::string> parts{std::to_string(left) + (left == 1 ? " use" : " uses") +
                                 " left until " + format_time(file.expires)};
  if (!file.name.empty()) parts.push_back("for " + file.name);
  if (!file.projects.empty()) parts.push_back(of_projects(file.projects));
  if (file.may_set_price) parts.emplace_back("may set its price");
  return audit_text(joined(parts));
}

std::string worker_words(const core::WorkerRegistered& worker) {
  std::vector<std::string> parts{"with join_files/" + std::to_string(worker.join_file.value())};
  if (worker.price_per_hour) parts.push_back(format_money(*worker.price_per_hour) + " an hour");
  if (worker.spot) parts.emplace_back("spot");
  if (!worker.projects.empty()) parts.push_back(of_projects(worker.projects));
  return audit_text(joined(parts));
}

std::string generation_words(const core::StoreGeneration& generation) {
  std::string out = "generation " + std::to_string(generation.number);
  if (generation.is_restored()) {
    out += ", restored on " + format_time(generation.restored) + " from a backup of " +
           format_time(generation.backup) + " (turn " + std::to_string(generation.backup_turn) +
           ")";
  }
  return out;
}

std::string price_words(const ledger::PriceBook& book) {
  std::string out = book.currency + ", " + std::to_string(book.entries.size()) +
                    (book.entries.size() == 1 ? " entry" : " entries");
  const char* before = ": ";
  for (const ledger::PriceEntry& entry : book.entries) {
    if (out.size() > kAuditTextMax) break;  // it is cut there
    out += std::exchange(before, ", ") + entry_words(entry);
  }
  return audit_text(std::move(out));
}

std::string job_words(std::optional<Money> cap, std::optional<Priority> priority) {
  constexpr std::array<std::string_view, 4> kPriorities{"", "low", "normal", "high"};
  std::vector<std::string> parts;
  if (cap) parts.push_back("cap " + format_money(*cap));
  if (priority) {
    const auto place = static_cast<std::size_t>(*priority);
    if (place < kPriorities.size()) {
      parts.push_back("priority " + std::string(kPriorities.at(place)));
    }
  }
  return joined(parts);
}

std::string_view state_word(core::JobState state) {
  constexpr std::array<std::string_view, 9> kWords{"",          "QUEUED",   "STARTING",
                                                   "RUNNING",   "STOPPING", "PAUSED",
                                                   "SUCCEEDED", "FAILED",   "CANCELLED"};
  const auto place = static_cast<std::size_t>(state);
  return place < kWords.size() ? kWords.at(place) : std::string_view();
}

std::string_view state_word(core::WorkerState state) {
  constexpr std::array<std::string_view, 6> kWords{"",         "JOINED", "READY",
                                                   "DRAINING", "LOST",   "REMOVED"};
  const auto place = static_cast<std::size_t>(state);
  return place < kWords.size() ? kWords.at(place) : std::string_view();
}

}  // namespace overwinter::store
