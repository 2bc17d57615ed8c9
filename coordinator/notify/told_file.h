// ToldFile: Told in a file of the data folder. Thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "coordinator/notify/told.h"

namespace overwinter::notify {

class ToldFile {
 public:
  explicit ToldFile(std::filesystem::path path) : path_(std::move(path)) {}

  // Takes what the file holds. One that cannot be read is logged and begun anew: hooks are then
  // told of what happens from now on.
  void load();
  // Writes it when it has changed. What fails is logged, and tried again at the next change.
  void save();

  void set_hooks(const std::vector<std::string>& names, Time now);
  [[nodiscard]] bool open(const std::string& hook, const std::string& owner, const std::string& key,
                          Time at) const;
  [[nodiscard]] bool has(const std::string& name, const std::string& owner,
                         const std::string& key) const;
  void add(const std::string& name, const std::string& owner, const std::string& key);
  void remove(const std::string& name, const std::string& owner, const std::string& key);
  void forget(const std::string& owner);

 private:
  const std::filesystem::path path_;
  mutable Mutex mutex_;
  Told told_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::notify
