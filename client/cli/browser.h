// Opening a page whose address holds a login code. Arguments stand in process lists and codes do
// not: the browser is given a file that only its owner reads and that leads on to the address.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "common/base/result.h"

namespace overwinter::cli {

// The file, 0600 in a folder that nobody else can enter: $XDG_RUNTIME_DIR/overwinter, else one of
// its own in the folder for temporary files. Removed at its end.
class LeadingFile {
 public:
  // `address`: of ours, without a character that HTML needs to escape.
  [[nodiscard]] static Result<LeadingFile> write(const std::string& address);
  LeadingFile(LeadingFile&& other) noexcept;
  LeadingFile& operator=(LeadingFile&& other) noexcept;
  ~LeadingFile();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  LeadingFile(std::filesystem::path path, std::filesystem::path own_folder);
  std::filesystem::path path_;
  std::filesystem::path own_folder_;  // empty: the folder stays
};

// Whether there is a display, and xdg-open on the path.
[[nodiscard]] bool browser_at_hand();

// xdg-open, in a session of its own: Ctrl-C in our terminal does not end somebody's browser.
class BrowserStart {
 public:
  [[nodiscard]] static Result<BrowserStart> open(const std::filesystem::path& file);
  // Whether it has ended without opening anything. Does not wait.
  [[nodiscard]] bool failed();

 private:
  explicit BrowserStart(pid_t pid) : pid_(pid) {}
  std::optional<pid_t> pid_;  // while it runs
};

}  // namespace overwinter::cli
