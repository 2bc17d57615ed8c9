#include "coordinator/notify/settings_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "common/base/log.h"
#include "common/security/file_io.h"

namespace overwinter::notify {

std::string SettingsFile::mark() const {
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0) {
    return errno == ENOENT ? std::string() : "errno " + std::to_string(errno);
  }
  // The time of the last change of anything: a new mode counts too.
  return std::to_string(found.st_ino) + " " + std::to_string(found.st_size) + " " +
         std::to_string(found.st_ctim.tv_sec) + "." + std::to_string(found.st_ctim.tv_nsec) + " " +
         std::to_string(found.st_mode);
}

Result<Settings> SettingsFile::read() const {
  if (others_can_access(path_)) {
    return fail(Code::kFailedPrecondition, "others than its owner may read it", {},
                "chmod 600 " + path_.filename().string());
  }
  const auto text = read_file(path_, kSettingsBytesMax);
  if (!text) return fail(text.error());
  return parse_settings(*text);
}

void SettingsFile::look() {
  const MutexLock lock(mutex_);
  std::string now = mark();
  if (now == seen_) return;
  seen_ = std::move(now);
  auto read_now = seen_.empty() ? Result<Settings>(Settings{}) : read();
  if (read_now) {
    status_ = Status::success();
    settings_ = std::make_shared<const Settings>(std::move(*read_now));
    log_info("{}: {} hooks are told what happens", path_.filename().string(),
             settings_->hooks.size());
    return;
  }
  status_ =
      error(Code::kFailedPrecondition, path_.filename().string() + ": " + read_now.error().message,
            read_now.error().field, read_now.error().hint);
  log_warning("{}; what was set before stays in force", status_.message);
}

std::shared_ptr<const Settings> SettingsFile::settings() const {
  const MutexLock lock(mutex_);
  return settings_;
}

Status SettingsFile::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

}  // namespace overwinter::notify
