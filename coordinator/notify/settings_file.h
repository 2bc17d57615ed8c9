// SettingsFile: notify.yaml as it is on disk. Looked at again when it has changed; one that cannot
// be used leaves the last good settings in force and says why in one sentence.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "coordinator/notify/settings.h"

namespace overwinter::notify {

// Thread-safe. A file that is not there: no hooks.
class SettingsFile {
 public:
  explicit SettingsFile(std::filesystem::path path) : path_(std::move(path)) {}

  // Reads the file when it is not the one of the last look. What is wrong is logged, once.
  void look();
  [[nodiscard]] std::shared_ptr<const Settings> settings() const;
  // FAILED_PRECONDITION with the sentence when the file, as it was at the last look, cannot be
  // used.
  [[nodiscard]] Status status() const;

 private:
  // What tells one state of the file from another; empty: it is not there.
  [[nodiscard]] std::string mark() const;
  [[nodiscard]] Result<Settings> read() const;

  const std::filesystem::path path_;
  mutable Mutex mutex_;
  std::string seen_ OW_GUARDED_BY(mutex_);
  Status status_ OW_GUARDED_BY(mutex_);
  std::shared_ptr<const Settings> settings_ OW_GUARDED_BY(mutex_) =
      std::make_shared<const Settings>();
};

}  // namespace overwinter::notify
