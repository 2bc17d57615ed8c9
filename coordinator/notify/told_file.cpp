#include "coordinator/notify/told_file.h"

#include <utility>

#include "common/base/log.h"
#include "common/security/file_io.h"

namespace overwinter::notify {

void ToldFile::load() {
  const auto text = read_file(path_, kToldBytesMax);
  if (!text && text.error().code == Code::kNotFound) return;
  auto told = text ? Told::read(*text) : Result<Told>(fail(text.error()));
  if (!told) {
    log_warning("{} cannot be read ({}): hooks are told of what happens from now on",
                path_.filename().string(), told.error().message);
    return;
  }
  const MutexLock lock(mutex_);
  told_ = std::move(*told);
}

void ToldFile::save() {
  const MutexLock lock(mutex_);
  if (!told_.take_changed()) return;
  const Status written = write_file_atomically(path_, told_.text());
  if (!written.ok()) {
    log_warning("{} cannot be written ({}): a restart tells once more", path_.filename().string(),
                written.message);
  }
}

void ToldFile::set_hooks(const std::vector<std::string>& names, Time now) {
  const MutexLock lock(mutex_);
  told_.set_hooks(names, now);
}

bool ToldFile::open(const std::string& hook, const std::string& owner, const std::string& key,
                    Time at) const {
  const MutexLock lock(mutex_);
  return told_.open(hook, owner, key, at);
}

bool ToldFile::has(const std::string& name, const std::string& owner,
                   const std::string& key) const {
  const MutexLock lock(mutex_);
  return told_.has(name, owner, key);
}

void ToldFile::add(const std::string& name, const std::string& owner, const std::string& key) {
  const MutexLock lock(mutex_);
  told_.add(name, owner, key);
}

void ToldFile::remove(const std::string& name, const std::string& owner, const std::string& key) {
  const MutexLock lock(mutex_);
  told_.remove(name, owner, key);
}

void ToldFile::forget(const std::string& owner) {
  const MutexLock lock(mutex_);
  told_.forget(owner);
}

}  // namespace overwinter::notify
