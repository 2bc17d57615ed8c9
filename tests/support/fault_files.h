// FaultFiles: a file system in memory that remembers what was synced, records every operation,
// fails on demand and can lose its power: `kill -9` keeps the page cache and so cannot show a
// missing fsync, this does.
//
// Strict on purpose: contents are durable by a sync of the file alone, names by a sync of their
// folder alone, each in its own right; a rename is a name gone in one folder and a name new in the
// other.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "coordinator/artifacts/file_port.h"

namespace overwinter::test {

enum class FileOp : std::uint8_t {
  kOpen,
  kRead,
  kWrite,
  kAllocate,
  kSync,
  kRename,
  kRemove,
  kMakeFolder,
  kRemoveFolder,
  kSyncFolder,
};

// Thread-safe.
class FaultFiles final : public artifacts::FilePort {
 public:
  // Has the folders "" and "/data" (durable).
  FaultFiles();
  ~FaultFiles() override;

  // Planted bugs: syncs that do nothing and say that all is well.
  bool skip_file_sync = false;
  bool skip_folder_sync = false;
  // The same for one sync alone, of a file or a folder: that which comes after so many others.
  std::optional<std::uint64_t> skip_one_sync;
  // A write that fails by fail_once reaches the file with its first half.
  bool short_writes = false;

  // The power goes when this many changing operations have been done: the next one fails (a write
  // may still have reached the disk in part), as does everything after it.
  void crash_after(std::uint64_t operations);
  [[nodiscard]] bool crashed() const;
  // Changing operations so far: everything but reads, lists and opens of files that exist.
  [[nodiscard]] std::uint64_t operations() const;
  [[nodiscard]] std::uint64_t syncs() const;  // of them, of files and folders
  // Whether every fault of fail_once has happened.
  [[nodiscard]] bool faults_spent() const;

  // What a machine finds when the power is back: always what was synced; of the rest nothing,
  // everything, or what a coin says for each name and each sector of 512 bytes.
  enum class Rest : std::uint8_t { kLost, kKept, kRandom };
  [[nodiscard]] std::unique_ptr<FaultFiles> after_power_cut(Rest rest, std::uint64_t seed) const;

  // What the next process finds when this one was killed (or crashed by crash_after) and the
  // machine went on: all that programs saw, durable or not as it was.
  [[nodiscard]] std::unique_ptr<FaultFiles> after_kill() const;

  // Called before each read of a file, without a lock: for something that happens meanwhile.
  std::function<void()> before_read;

  // The operation of this kind that comes after `skip` others of it fails with this status, once.
  // After a failed sync no later one makes that file's content durable: the pages are clean and
  // gone.
  void fail_once(FileOp op, Status status, std::uint64_t skip = 0);
  // Bytes that files may have in all; more is a full disk.
  void set_capacity(std::uint64_t bytes);

  // "write /data/x 0+4096", "sync /data/x", "sync_folder /data", in order; reads are left out.
  [[nodiscard]] std::vector<std::string> log() const;
  // Every file with its content, as programs see it now.
  [[nodiscard]] std::map<std::string, std::string> contents() const;
  // For damaging a file behind the program's back, durably.
  void overwrite(const std::string& path, std::string content);

  Result<std::unique_ptr<artifacts::File>> open(const std::string& path,
                                                artifacts::OpenMode mode) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_folder(const std::string& path) override;
  Status remove_folder(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& path) const override;
  Result<std::uint64_t> file_size(const std::string& path) const override;
  Result<std::uint64_t> free_bytes(const std::string& path) const override;

 private:
  class Handle;
  struct Node;
  using NodePtr = std::shared_ptr<Node>;

  struct Fault {
    FileOp op;
    std::uint64_t skip;
    Status status;
  };

  // All below: mutex_ is held.
  Status start(FileOp op, const std::string& line);
  [[nodiscard]] NodePtr find(const std::string& path) const;
  [[nodiscard]] NodePtr folder_of(const std::string& path) const;
  [[nodiscard]] std::uint64_t used() const;
  Status write(const NodePtr& node, const std::string& path, std::uint64_t offset,
               std::span<const std::byte> data);
  Status allocate(const NodePtr& node, const std::string& path, std::uint64_t size);
  Status sync(const NodePtr& node, const std::string& path);
  [[nodiscard]] bool skips_this_sync();

  mutable std::mutex mutex_;
  NodePtr root_;
  std::uint64_t operations_ = 0;
  std::uint64_t syncs_ = 0;
  std::uint64_t crash_at_;
  std::uint64_t capacity_;
  bool crashed_ = false;
  std::vector<std::string> log_;
  std::vector<Fault> faults_;
};

}  // namespace overwinter::test
