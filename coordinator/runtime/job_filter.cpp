#include "coordinator/runtime/job_filter.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace overwinter::runtime {
namespace {

constexpr std::size_t kFilterBytesMax = 1024;
constexpr std::size_t kTermsMax = 16;
constexpr std::array<std::string_view, 4> kKeys{"state", "name", "display_name", "priority"};
constexpr std::string_view kLabels = "labels.";
constexpr std::string_view kCreateTime = "create_time";

tl::unexpected<Status> refuse(std::string message) {
  return fail(Code::kInvalidArgument, "the filter is not understood: " + std::move(message),
              "filter", "for example: state=RUNNING AND labels.team=nlp");
}

// Words, operators, and quoted texts.
struct Token {
  std::string text;
  bool quoted = false;
};

bool compares(const Token& token) {
  return !token.quoted && (token.text.starts_with('<') || token.text.starts_with('>'));
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Result<std::vector<Token>> split(std::string_view text) {
  std::vector<Token> out;
  std::size_t i = 0;
  while (i < text.size()) {
    if (is_space(text[i])) {
      ++i;
    } else if (text[i] == '"') {
      const auto end = text.find('"', i + 1);
      if (end == std::string_view::npos) return refuse("a quotation mark is not closed");
      out.push_back({std::string(text.substr(i + 1, end - i - 1)), true});
      i = end + 1;
    } else if (text[i] == '=') {
      out.push_back({"=", false});
      ++i;
    } else if (text.substr(i, 2) == "!=") {
      out.push_back({"!=", false});
      i += 2;
    } else if (text[i] == '<' || text[i] == '>') {
      const std::size_t length = text.substr(i + 1, 1) == "=" ? 2 : 1;
      out.push_back({std::string(text.substr(i, length)), false});
      i += length;
    } else if (std::string_view("():,").find(text[i]) != std::string_view::npos) {
      return refuse("\"" + std::string(1, text[i]) +
                    "\" is not known here; there are =, !=, <, <=, >, >=, AND and NOT");
    } else {
      // A time, which has colons, needs no quotation marks.
      const bool time = !out.empty() && compares(out.back());
      const auto end = text.find_first_of(time ? " \t\r\n\"()," : " \t\r\n=!\"()<>:,", i);
      const std::size_t stop = end == std::string_view::npos ? text.size() : end;
      if (stop == i) return refuse("\"!\" stands alone");
      out.push_back({std::string(text.substr(i, stop - i)), false});
      i = stop;
    }
  }
  return out;
}

std::optional<std::string> value_of(const JobView& job, std::string_view key) {
  if (key == "state") return std::string(state_name(job.state));
  if (key == "name") return job.name;
  if (key == "display_name") return job.display_name;
  if (key == "priority") return std::string(priority_name(job.demand.priority));
  const auto it = job.labels.find(std::string(key.substr(kLabels.size())));
  if (it == job.labels.end()) return std::nullopt;
  return it->second;
}

// All that a key can be; empty: any text.
std::vector<std::string_view> known_values(std::string_view key) {
  std::vector<std::string_view> out;
  if (key == "state") {
    for (auto i = static_cast<int>(core::JobState::kQueued);
         i <= static_cast<int>(core::JobState::kCancelled); ++i)
      out.push_back(state_name(static_cast<core::JobState>(i)));
  }
  if (key == "priority") {
    for (const Priority priority : {Priority::kLow, Priority::kNormal, Priority::kHigh})
      out.push_back(priority_name(priority));
  }
  return out;
}

template <class Term>
bool knows(const std::vector<std::string_view>& known, const Term& term) {
  return std::any_of(known.begin(), known.end(), [&](std::string_view one) {
    return term.prefix ? one.starts_with(term.value) : one == term.value;
  });
}

}  // namespace

Result<JobFilter> JobFilter::parse(std::string_view text) {
  if (text.size() > kFilterBytesMax) return refuse("it is longer than 1,024 characters");
  const auto tokens = split(text);
  if (!tokens) return fail(tokens.error());
  JobFilter filter;
  std::size_t terms = 0;
  std::size_t i = 0;
  while (i < tokens->size()) {
    if (i > 0) {
      if ((*tokens)[i].text == "OR") return refuse("there is no OR");
      if ((*tokens)[i].text != "AND")
        return refuse("AND is missing before \"" + (*tokens)[i].text + "\"");
      ++i;
    }
    Term term;
    if (i < tokens->size() && !(*tokens)[i].quoted && (*tokens)[i].text == "NOT") {
      term.negated = true;
      ++i;
    }
    if (i + 3 > tokens->size()) return refuse("a term is KEY=VALUE or KEY!=VALUE");
    if (++terms > kTermsMax) return refuse("it has more than 16 terms");
    const std::string& key = (*tokens)[i].text;
    const Token& op = (*tokens)[i + 1];
    const Token& value = (*tokens)[i + 2];
    i += 3;
    if (key == kCreateTime) {
      if (!compares(op)) return refuse("after \"create_time\" comes >=, >, <= or <");
      Status status = filter.add_time(op.text, value.text, term.negated);
      if (!status.ok()) return fail(std::move(status));
      continue;
    }
    if (op.quoted || (op.text != "=" && op.text != "!=")) {
      return refuse("after \"" + key + "\" comes = or !=");
    }
    const bool label = key.starts_with(kLabels) && key.size() > kLabels.size();
    if (!label && std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return refuse("there is no key \"" + key +
                    "\"; keys are state, name, display_name, priority, create_time and "
                    "labels.KEY");
    }
    term.key = key;
    term.value = value.text;
    if (op.text == "!=") term.negated = !term.negated;
    if (term.value.ends_with('*')) {
      term.prefix = true;
      term.value.pop_back();
    }
    if (const auto known = known_values(term.key); !known.empty() && !knows(known, term)) {
      std::string message = "there is no " + term.key + " \"" + value.text + "\"; there are";
      for (const std::string_view one : known) message += " " + std::string(one);
      return refuse(std::move(message));
    }
    filter.terms_.push_back(std::move(term));
  }
  return filter;
}

// Times are whole milliseconds, so that each comparison is one of the two that are kept.
Status JobFilter::add_time(std::string_view comparison, std::string_view time, bool negated) {
  auto at = parse_time(time);
  if (!at) return refuse(at.error().message).value();
  if (comparison == ">" || comparison == "<=") *at += Duration(1);
  if (comparison.starts_with('>') != negated) {
    created_from_ = std::max(created_from_.value_or(*at), *at);
  } else {
    created_before_ = std::min(created_before_.value_or(*at), *at);
  }
  return Status::success();
}

std::optional<core::JobState> JobFilter::only_state() const {
  for (const Term& term : terms_) {
    if (term.key != "state" || term.negated || term.prefix) continue;
    for (auto i = static_cast<int>(core::JobState::kQueued);
         i <= static_cast<int>(core::JobState::kCancelled); ++i) {
      if (term.value == state_name(static_cast<core::JobState>(i))) {
        return static_cast<core::JobState>(i);
      }
    }
  }
  return std::nullopt;
}

bool JobFilter::matches(const JobView& job) const {
  if (created_from_ && job.created < *created_from_) return false;
  if (created_before_ && job.created >= *created_before_) return false;
  return std::all_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    const auto value = value_of(job, term.key);
    const bool equal =
        value && (term.prefix ? value->starts_with(term.value) : *value == term.value);
    return equal != term.negated;
  });
}

Result<JobSort> parse_order(std::string_view order_by) {
  using store::JobOrder;
  if (order_by.empty()) return JobSort{};
  const auto space = order_by.find(' ');
  const std::string_view way = space == std::string_view::npos ? "asc" : order_by.substr(space + 1);
  constexpr std::array<std::pair<std::string_view, JobOrder>, 5> kOrders{
      {{"create_time", JobOrder::kCreated},
       {"end_time", JobOrder::kEnded},
       {"state", JobOrder::kState},
       {"cost", JobOrder::kCost},
       {"name", JobOrder::kName}}};
  for (const auto& [key, order] : kOrders) {
    if (order_by.substr(0, space) == key && (way == "asc" || way == "desc")) {
      return JobSort{order, way == "desc"};
    }
  }
  return fail(Code::kInvalidArgument,
              "jobs are ordered by create_time, end_time, state, cost or name, alone or with "
              "\" desc\" behind it",
              "order_by");
}

std::string_view state_name(core::JobState state) {
  switch (state) {
    case core::JobState::kQueued:
      return "QUEUED";
    case core::JobState::kStarting:
      return "STARTING";
    case core::JobState::kRunning:
      return "RUNNING";
    case core::JobState::kStopping:
      return "STOPPING";
    case core::JobState::kPaused:
      return "PAUSED";
    case core::JobState::kSucceeded:
      return "SUCCEEDED";
    case core::JobState::kFailed:
      return "FAILED";
    case core::JobState::kCancelled:
      return "CANCELLED";
  }
  return "STATE_UNSPECIFIED";
}

std::string_view priority_name(Priority priority) {
  switch (priority) {
    case Priority::kLow:
      return "low";
    case Priority::kNormal:
      return "normal";
    case Priority::kHigh:
      return "high";
  }
  return "normal";
}

}  // namespace overwinter::runtime
