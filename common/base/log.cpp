#include "common/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

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

// Control characters, and in JSON the two that end a string: as escapes, so that no text makes a
// line.
std::string escaped(std::string_view text, bool json) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\u{:04x}", byte);
    } else if (json && (c == '"' || c == '\\')) {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
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
    const std::string program = escaped(config.program, true);
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
