#include "coordinator/dashboard/log_blocks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace overwinter::dashboard {
namespace {

using telemetry::LogItem;

telemetry::LogQuery as_log_query(const BlockQuery& query) {
  telemetry::LogQuery out;
  out.rank = query.rank;
  out.attempt = query.attempt;
  return out;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool holds(const std::string& line, const std::string& text) {
  return std::search(line.begin(), line.end(), text.begin(), text.end(),
                     [](char a, char b) { return lower(a) == lower(b); }) != line.end();
}

std::string_view stream_name(telemetry::Stream stream) {
  switch (stream) {
    case telemetry::Stream::kOut:
      return "OUT";
    case telemetry::Stream::kErr:
      return "ERR";
    case telemetry::Stream::kSystem:
      return "SYSTEM";
  }
  return "OUT";
}

// The last lines of [from, before). Looks further back until there are enough of them: numbers have
// holes (a restart of the coordinator jumps by a million, a filter leaves lines out).
Result<LogBlock> block_before(telemetry::Telemetry& telemetry, const telemetry::JobKey& key,
                              const BlockQuery& query, std::uint64_t before) {
  for (std::uint64_t back = 4 * query.lines_max;; back *= 8) {
    const bool from_start = back >= before;
    telemetry::LogQuery log = as_log_query(query);
    log.after = from_start ? 0 : before - back - 1;
    LogBlock block;
    for (bool more = true; more;) {
      const auto page = telemetry.read_logs(key, log);
      if (!page) return fail(page.error());
      for (const LogItem& item : page->items) {
        if (item.sequence < before) block.items.push_back(item);
      }
      // Only the last ones are wanted: what is ahead of them need not be held.
      if (block.items.size() > 2 * query.lines_max) {
        block.has_earlier = true;
        block.items.erase(block.items.begin(),
                          block.items.end() - static_cast<std::ptrdiff_t>(query.lines_max));
      }
      more = page->more && page->next + 1 < before && page->next != log.after;
      log.after = page->next;
    }
    if (block.items.size() < query.lines_max && !block.has_earlier && !from_start) continue;
    if (block.items.size() > query.lines_max) {
      block.has_earlier = true;
      block.items.erase(block.items.begin(),
                        block.items.end() - static_cast<std::ptrdiff_t>(query.lines_max));
    }
    block.has_earlier = block.has_earlier || !from_start;
    block.has_later = true;
    block.next = before;
    return block;
  }
}

// A tail is given as pages too; read to its end.
Result<LogBlock> last_block(telemetry::Telemetry& telemetry, const telemetry::JobKey& key,
                            const BlockQuery& query) {
  telemetry::LogQuery log = as_log_query(query);
  log.tail = query.lines_max;
  LogBlock block;
  for (bool more = true; more;) {
    auto page = telemetry.read_logs(key, log);
    if (!page) return fail(page.error());
    std::move(page->items.begin(), page->items.end(), std::back_inserter(block.items));
    more = page->more && page->next != log.after;
    log.after = page->next;
    log.tail.reset();
    block.next = page->next + 1;
  }
  block.has_earlier = block.items.size() >= query.lines_max;
  return block;
}

}  // namespace

Result<LogBlock> read_block(telemetry::Telemetry& telemetry, const telemetry::JobKey& key,
                            const BlockQuery& query) {
  if (query.before) return block_before(telemetry, key, query, *query.before);
  if (!query.from) return last_block(telemetry, key, query);
  telemetry::LogQuery log = as_log_query(query);
  log.after = *query.from == 0 ? 0 : *query.from - 1;
  log.items_max = query.lines_max;
  auto page = telemetry.read_logs(key, log);
  if (!page) return fail(page.error());
  LogBlock block;
  block.items = std::move(page->items);
  block.has_earlier = log.after > 0;
  block.has_later = page->more;
  block.next = page->next + 1;
  return block;
}

Result<LogBlock> search(telemetry::Telemetry& telemetry, const telemetry::JobKey& key,
                        const BlockQuery& query, const std::string& text) {
  telemetry::LogQuery log = as_log_query(query);
  log.after = query.from.value_or(0) == 0 ? 0 : *query.from - 1;
  LogBlock block;
  std::size_t looked_at = 0;
  for (;;) {
    auto page = telemetry.read_logs(key, log);
    if (!page) return fail(page.error());
    for (LogItem& item : page->items) {
      ++looked_at;
      if (item.entry.is_gap() || !holds(item.entry.text, text)) continue;
      block.next = item.sequence + 1;
      block.items.push_back(std::move(item));
      if (block.items.size() == kHitsMax) {
        block.has_later = true;
        return block;
      }
    }
    block.next = page->next + 1;
    block.has_later = page->more;
    if (!page->more || page->next == log.after || looked_at >= kSearchedMax) return block;
    log.after = page->next;
  }
}

nlohmann::json block_json(const LogBlock& block) {
  auto lines = nlohmann::json::array();
  for (const LogItem& item : block.items) {
    nlohmann::json line = {{"number", std::to_string(item.sequence)},
                           {"attempt", item.entry.attempt},
                           {"rank", item.entry.rank},
                           {"stream", stream_name(item.entry.stream)},
                           {"time", format_time(item.entry.time)},
                           {"text", item.entry.text}};
    if (item.cut) line["cut"] = true;
    if (item.entry.is_gap()) {
      line["linesLost"] = std::to_string(item.entry.lines_lost);
      line["bytesLost"] = std::to_string(item.entry.bytes_lost);
    }
    lines.push_back(std::move(line));
  }
  return {{"lines", std::move(lines)},
          {"hasEarlier", block.has_earlier},
          {"hasLater", block.has_later},
          {"next", std::to_string(block.next)}};
}

}  // namespace overwinter::dashboard
