// Logging: one line an entry, text or JSON, to standard error or a file. Thread-safe. User text is
// escaped here, so that no entry can forge another.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogConfig {
  std::string program;
  std::string file;  // empty: standard error
  bool json = false;
  LogLevel level = LogLevel::kInfo;
};

// Call once, at the start of main. Before it, lines go to standard error.
[[nodiscard]] Status configure_log(const LogConfig& config);

void log_line(LogLevel level, std::string_view message);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace overwinter
