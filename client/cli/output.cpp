#include "client/cli/output.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "client/cli/exit_codes.h"
#include "common/base/bytes.h"
#include "common/base/money.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

constexpr std::size_t kTableColumns = 80;

// Columns on a screen: bytes that begin a UTF-8 character.
std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string out;
  std::size_t used = 0;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins && ++used >= width) break;
    out += c;
  }
  return out + "…";
}

bool plain_yaml_scalar(const std::string& text) {
  if (text.empty()) return false;
  static constexpr std::string_view kStart =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/_";
  if (kStart.find(text.front()) == std::string_view::npos) return false;
  if (text == "true" || text == "false" || text == "null" || text == "yes" || text == "no" ||
      text == "on" || text == "off" || text == "y" || text == "n") {
    return false;
  }
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '/' || c == '-' ||
           c == '.';
  });
}

void write_yaml(const nlohmann::ordered_json& value, const std::string& indent, bool in_list,
                std::string& out) {
  if (value.is_object() && !value.empty()) {
    bool first = true;
    for (const auto& [key, item] : value.items()) {
      if (!(first && in_list)) out += indent;
      first = false;
      out += plain_yaml_scalar(key) ? key : nlohmann::json(key).dump();
      out += ":";
      if (item.is_structured() && !item.empty()) {
        out += "\n";
        write_yaml(item, indent + "  ", false, out);
      } else {
        out += " ";
        write_yaml(item, indent, false, out);
      }
    }
  } else if (value.is_array() && !value.empty()) {
    for (const auto& item : value) {
      out += indent + "- ";
      write_yaml(item, indent + "  ", true, out);
    }
  } else if (value.is_string() && plain_yaml_scalar(value.get<std::string>())) {
    out += value.get<std::string>() + "\n";
  } else {
    out += value.dump() + "\n";
  }
}

}  // namespace

std::string to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}\n";
}

void print_message(const OutputOptions& options, const google::protobuf::Message& message) {
  std::string text = to_json(message);
  if (options.format == Format::kYaml) {
    const auto parsed = nlohmann::ordered_json::parse(text, nullptr, false);
    text.clear();
    write_yaml(parsed, "", false, text);
  }
  if (text.empty() || text.back() != '\n') text += '\n';
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

std::string Table::render(std::size_t width) const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      std::string cell = row[i];
      if (i + 1 == widths.size()) {
        if (width > 0) {
          const std::size_t used = display_width(line);
          cell = cut(cell, width > used ? width - used : 0);
        }
        line += cell;
      } else {
        line += cell + std::string(widths[i] - display_width(cell) + 2, ' ');
      }
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (width > 0) line = cut(line, width);
    out += line + "\n";
  }
  return out;
}

void Table::print(const OutputOptions& options) const {
  std::string text = render(options.format == Format::kWide ? 0 : kTableColumns);
  if (options.color) {
    const std::size_t end = text.find('\n');
    text = "\033[1m" + text.substr(0, end) + "\033[0m" + text.substr(end);
  }
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

void print_line(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

void say(const OutputOptions& options, std::string_view line) {
  if (options.quiet) return;
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fputc('\n', stderr);
}

int report(const Status& status) {
  if (status.ok()) return kDone;
  std::string text = "error: " + printable(status.message);
  if (!status.field.empty() && status.message.find(status.field) == std::string::npos) {
    text += " (" + printable(status.field) + ")";
  }
  if (!status.hint.empty()) text += "\nhint: " + printable(status.hint);
  std::fprintf(stderr, "%s\n", text.c_str());
  return exit_code_of(status);
}

std::string amount_text(const v1::Money& money) {
  return format_money(Money{money.amount_micros()});
}

std::string memory_text(const v1::Plan& plan) {
  return plan.memory_bytes() == 0 ? "all memory" : format_bytes(plan.memory_bytes());
}

std::string product_text(const v1::MatmulPlan& plan) {
  std::string text = fmt::format("{} x {} x {}  {}, {}", plan.m(), plan.k(), plan.n(),
                                 plan.precision(), plan.algorithm());
  if (plan.strassen_levels() > 0)
    text += fmt::format(", {} level{}, an element off by at most {:.1e} of k max|A| max|B|",
                        plan.strassen_levels(), plan.strassen_levels() == 1 ? "" : "s",
                        plan.error_bound());
  return text;
}

std::string training_text(const v1::TrainPlan& plan) {
  if (plan.precision().empty()) return {};
  return fmt::format("precision {}, activations {}", plan.precision(), plan.activations());
}

std::string money_text(const v1::Money& money) {
  const std::string& currency = money.currency_code();
  return amount_text(money) + (currency.empty() ? "" : " " + currency);
}

std::string duration_text(const google::protobuf::Duration& d) {
  return format_duration(Duration(google::protobuf::util::TimeUtil::DurationToMilliseconds(d)));
}

std::string time_text(const google::protobuf::Timestamp& time) {
  const std::time_t seconds = time.seconds();
  std::tm local{};
  char text[64];
  if (localtime_r(&seconds, &local) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", &local) == 0) {
    return google::protobuf::util::TimeUtil::ToString(time);
  }
  return text;
}

std::string short_name(const std::string& resource_name) {
  return resource_name.substr(resource_name.rfind('/') + 1);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t') {
      out += ' ';
    } else if (byte < 0x20 || byte == 0x7F) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace overwinter::cli
