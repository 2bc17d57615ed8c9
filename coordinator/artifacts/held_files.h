// HeldFiles: a FilePort that keeps what is removed while somebody copies. For the stores a removed
// file is gone; it lies aside under another name until the hold ends, and the copier still reads it
// by its old one. So a copy of what was needed at one moment can be made for as long as it takes,
// and no store waits for it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

// Thread-safe. Without a hold it only passes on.
class HeldFiles final : public FilePort {
 public:
  // `root`: the artifact folder, which is there; what is kept lies in root/held. Removes what a
  // killed process left there. `under` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<HeldFiles>> open(FilePort& under, std::string root);

  // Until it is destroyed nothing that is removed is lost, half-written files apart. One at a time
  // (RESOURCE_EXHAUSTED). The HeldFiles live longer.
  class Hold {
   public:
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    // By its name, there or removed since the hold began. NOT_FOUND: neither.
    [[nodiscard]] Result<std::unique_ptr<File>> read(const std::string& path) const;
    // Names of what was removed since, sorted.
    [[nodiscard]] std::vector<std::string> removed() const;

   private:
    friend class HeldFiles;
    explicit Hold(HeldFiles& files) : files_(files) {}
    HeldFiles& files_;
  };
  [[nodiscard]] Result<std::unique_ptr<Hold>> hold();

  [[nodiscard]] Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] Status rename(const std::string& from, const std::string& to) override;
  [[nodiscard]] Status remove(const std::string& path) override;
  [[nodiscard]] Status make_folder(const std::string& path) override;
  [[nodiscard]] Status remove_folder(const std::string& path) override;
  [[nodiscard]] Status sync_folder(const std::string& path) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) const override;
  [[nodiscard]] Result<std::uint64_t> file_size(const std::string& path) const override;
  [[nodiscard]] Result<std::uint64_t> free_bytes(const std::string& path) const override;

 private:
  HeldFiles(FilePort& under, std::string root)
      : under_(under), folder_(std::move(root) + "/held") {}
  void release();

  FilePort& under_;
  const std::string folder_;

  // Held over the rename of a file too: between that and its entry a reader would find neither.
  mutable Mutex mutex_;
  bool held_ OW_GUARDED_BY(mutex_) = false;
  std::uint64_t next_ OW_GUARDED_BY(mutex_) = 1;
  std::map<std::string, std::string> kept_ OW_GUARDED_BY(mutex_);  // old name → where it lies
};

}  // namespace overwinter::artifacts
