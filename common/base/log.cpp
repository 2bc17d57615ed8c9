#include "common/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>

namespace overwinter {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

// Length of the well-formed UTF-8 sequence at the front of text (RFC 3629), 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) return follows(1) ? 2 : 0;
  if ((byte(0) & 0xF0) == 0xE0) {
    const bool overlong = byte(0) == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = byte(0) == 0xED && byte(1) >= 0xA0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4) {
    const bool overlong = byte(0) == 0xF0 && byte(1) < 0x90;
    const bool too_high = byte(0) == 0xF4 && byte(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !overlong && !too_high ? 4 : 0;
  }
  return 0;
}

// Control characters (C1 too: they move terminals), and in JSON the two that end a string, as
// escapes, so that no text makes a line; bytes that are no UTF-8 as U+FFFD, so that JSON stays
// JSON.
std::string escaped(std::string_view text, bool json) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04x}", byte);
    } else if (byte == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[1]));
    } else if (json && (byte == '"' || byte == '\\')) {
      out += '\\';
      out += text.front();
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

// The program's name inside a pattern of spdlog, where % is a flag.
std::string for_pattern(std::string_view name, bool json) {
  std::string out;
  for (const char c : escaped(name, json)) {
    out += c;
    if (c == '%') out += '%';
  }
  return out;
}

struct State {
  std::shared_ptr<spdlog::logger> logger = [] {
    auto made =
        std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  bool json = false;
};

State& state() {
  static State instance;
  return instance;
}

}  // namespace

Status configure_log(const LogConfig& config) {
  try {
    spdlog::sink_ptr sink;
    if (config.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file);
    }
    auto logger = std::make_shared<spdlog::logger>("", sink);
    const std::string program = for_pattern(config.program, config.json);
    logger->set_pattern(
        config.json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",\"program\":\"" +
                          program + "\",\"message\":\"%v\"}"
                    : "%Y-%m-%dT%H:%M:%S.%eZ %l " + program + ": %v",
        spdlog::pattern_time_type::utc);
    logger->set_level(to_spdlog(config.level));
    logger->flush_on(spdlog::level::info);
    state().logger = std::move(logger);
    state().json = config.json;
    return Status::success();
  } catch (const spdlog::spdlog_ex& e) {
    return error(Code::kInternal, std::string("cannot open the log: ") + e.what(), "file");
  }
}

void log_line(LogLevel level, std::string_view message) {
  State& current = state();
  current.logger->log(to_spdlog(level), escaped(message, current.json));
}

}  // namespace overwinter
