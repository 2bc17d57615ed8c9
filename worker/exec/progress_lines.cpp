#include "worker/exec/progress_lines.h"

#include <charconv>
#include <cmath>

namespace overwinter::worker::exec {
namespace {

constexpr std::string_view kOwn = "overwinter:";
constexpr double kStepMax = 9.0e15;  // whole numbers of a double end there

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

std::optional<double> number_in(std::string_view text) {
  text = trimmed(text);
  // What a quoted number in a dictionary is, and what from_chars does not take.
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') &&
      text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void note_metric(ProgressLine& line, std::string_view name, std::string_view text) {
  const auto value = number_in(text);
  if (!value || name.empty() || name.size() > kMetricNameMax) return;
  if (name == "step") {
    if (*value >= 0 && *value <= kStepMax && *value == std::floor(*value))
      line.step = static_cast<std::uint64_t>(*value);
  } else if (name == "loss") {
    line.loss = value;
  } else if (name == "eval_loss" || name == "val_loss" || name == "validation_loss") {
    line.validation_loss = value;
  } else if (line.metrics.size() < kMetricsMax) {
    line.metrics.emplace_back(name, *value);
  }
}

// name=value, by spaces or commas.
void read_own(ProgressLine& line, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find_first_of(" \t,");
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (const std::size_t equals = word.find('='); equals != std::string_view::npos)
      note_metric(line, word.substr(0, equals), word.substr(equals + 1));
  }
}

// {'loss': 2.31, 'epoch': 0.1}: names in quotes, flat. What is no such pair ends it.
void read_dictionary(ProgressLine& line, std::string_view text) {
  text = text.substr(1, text.size() - 2);
  while (!(text = trimmed(text)).empty()) {
    const char quote = text.front();
    if (quote != '\'' && quote != '"') return;
    const std::size_t close = text.find(quote, 1);
    if (close == std::string_view::npos) return;
    const std::string_view name = text.substr(1, close - 1);
    text = trimmed(text.substr(close + 1));
    if (!text.starts_with(':')) return;
    const std::size_t comma = text.find(',');
    note_metric(line, name, text.substr(1, comma == std::string_view::npos ? comma : comma - 1));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
}

}  // namespace

ProgressLine parse_progress(std::string_view line, const std::vector<NamedPattern>& patterns) {
  ProgressLine progress;
  const std::string_view text = trimmed(line.substr(0, kPatternLineMax));
  if (text.starts_with(kOwn)) {
    read_own(progress, text.substr(kOwn.size()));
    return progress;
  }
  if ((text.starts_with("{'") || text.starts_with("{\"")) && text.ends_with('}'))
    read_dictionary(progress, text);
  for (const NamedPattern& named : patterns)
    if (const auto value = named.pattern.find(text)) note_metric(progress, named.name, *value);
  return progress;
}

}  // namespace overwinter::worker::exec
