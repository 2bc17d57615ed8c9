// A file layer for SQLite over the system's own, that remembers what was synced and can lose its
// power: whatever was not synced is then gone, there, or half there, sector by sector. It can also
// be full. Strict: contents are durable by a sync of their own file alone.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace overwinter::store::test {

class FaultVfs {
 public:
  enum class Rest : std::uint8_t { kLost, kKept, kRandom };

  explicit FaultVfs(std::string name) : name_(std::move(name)), real_(sqlite3_vfs_find(nullptr)) {
    vfs_ = *real_;
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.xAccess = [](sqlite3_vfs* v, const char* path, int flags, int* out) {
      return of(v).real_->xAccess(of(v).real_, path, flags, out);
    };
    vfs_.xFullPathname = [](sqlite3_vfs* v, const char* path, int size, char* out) {
      return of(v).real_->xFullPathname(of(v).real_, path, size, out);
    };
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~FaultVfs() { sqlite3_vfs_unregister(&vfs_); }
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  // The operation with this number (from 1) and all after it fail: the power is gone.
  void crash_at(std::uint64_t operation) { crash_at_ = operation; }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  [[nodiscard]] bool crashed() const { return crashed_; }
  // Writes that make a file longer meet a full disk from now on.
  void set_full(bool full) { full_ = full; }

  // The folder as a machine finds it when the power is back.
  void restore_into(const std::filesystem::path& folder, Rest rest, std::uint64_t seed) const {
    std::mt19937_64 random(seed);
    for (const auto& [path, image] : images_) {
      std::string content = image.durable;
      for (const Change& change : image.pending) {
        if (rest == Rest::kLost) break;
        apply(change, content, rest == Rest::kRandom ? &random : nullptr);
      }
      std::ofstream(folder / std::filesystem::path(path).filename(), std::ios::binary) << content;
    }
  }

 private:
  struct Change {
    bool truncate = false;
    std::uint64_t offset = 0;  // the new size of a truncate
    std::string data;
  };
  struct Image {
    std::string durable;
    std::vector<Change> pending;
  };
  struct File {
    sqlite3_file base;
    FaultVfs* owner;
    std::string* path;  // nullptr: a temporary file
    [[nodiscard]] sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

  static FaultVfs& of(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }
  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  static void apply(const Change& change, std::string& content, std::mt19937_64* coin) {
    if (change.truncate) {
      if (coin == nullptr || ((*coin)() & 1) != 0) content.resize(change.offset);
      return;
    }
    constexpr std::size_t kSector = 512;
    for (std::size_t at = 0; at < change.data.size();) {
      const std::size_t place = static_cast<std::size_t>(change.offset) + at;
      const std::size_t size = std::min(kSector - place % kSector, change.data.size() - at);
      if (coin == nullptr || ((*coin)() & 1) != 0) {
        if (content.size() < place + size) content.resize(place + size);
        std::memcpy(content.data() + place, change.data.data() + at, size);
      }
      at += size;
    }
  }

  // False: the power is gone.
  bool may_go_on() {
    if (crashed_) return false;
    if (++operations_ == crash_at_) crashed_ = true;
    return !crashed_;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* raw, int flags, int* out) {
    FaultVfs& self = of(vfs);
    const std::lock_guard lock(self.mutex_);
    File& file = of(raw);
    file.base.pMethods = nullptr;
    file.owner = &self;
    file.path = nullptr;
    if (self.crashed_) return SQLITE_CANTOPEN;
    const int code = self.real_->xOpen(self.real_, path, file.real(), flags, out);
    if (code != SQLITE_OK) return code;
    if (path != nullptr) {
      file.path = new std::string(path);
      self.images_.try_emplace(path);
    }
    file.base.pMethods = methods();
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int sync) {
    FaultVfs& self = of(vfs);
    const std::lock_guard lock(self.mutex_);
    if (!self.may_go_on()) return SQLITE_IOERR_DELETE;
    self.images_.erase(path);
    return self.real_->xDelete(self.real_, path, sync);
  }
  static int write(sqlite3_file* raw, const void* data, int size, sqlite3_int64 offset) {
    File& file = of(raw);
    FaultVfs& self = *file.owner;
    const std::lock_guard lock(self.mutex_);
    sqlite3_int64 length = 0;
    if (self.full_ && file.real()->pMethods->xFileSize(file.real(), &length) == SQLITE_OK &&
        offset + size > length) {
      return SQLITE_FULL;
    }
    const bool power = self.may_go_on();
    // The write at which the power goes may still have reached the disk, in part.
    const bool last = !power && self.operations_ == self.crash_at_ && !self.last_done_;
    if (file.path != nullptr && (power || last)) {
      self.images_[*file.path].pending.push_back(
          {false, static_cast<std::uint64_t>(offset),
           std::string(static_cast<const char*>(data), static_cast<std::size_t>(size))});
    }
    if (!power) {
      self.last_done_ = true;
      return SQLITE_IOERR_WRITE;
    }
    return file.real()->pMethods->xWrite(file.real(), data, size, offset);
  }
  static int truncate(sqlite3_file* raw, sqlite3_int64 size) {
    File& file = of(raw);
    const std::lock_guard lock(file.owner->mutex_);
    if (!file.owner->may_go_on()) return SQLITE_IOERR_TRUNCATE;
    if (file.path != nullptr) {
      file.owner->images_[*file.path].pending.push_back(
          {true, static_cast<std::uint64_t>(size), {}});
    }
    return file.real()->pMethods->xTruncate(file.real(), size);
  }
  static int sync(sqlite3_file* raw, int) {
    File& file = of(raw);
    const std::lock_guard lock(file.owner->mutex_);
    if (!file.owner->may_go_on()) return SQLITE_IOERR_FSYNC;
    if (file.path != nullptr) {
      Image& image = file.owner->images_[*file.path];
      for (const Change& change : image.pending) apply(change, image.durable, nullptr);
      image.pending.clear();
    }
    return SQLITE_OK;  // the real file need not be durable: restore_into() never looks at it
  }
  static int close(sqlite3_file* raw) {
    File& file = of(raw);
    delete file.path;
    file.path = nullptr;
    return file.real()->pMethods->xClose(file.real());
  }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods table = [] {
      sqlite3_io_methods m{};
      m.iVersion = 2;
      m.xClose = close;
      m.xWrite = write;
      m.xTruncate = truncate;
      m.xSync = sync;
#define OW_PASS(name, parameters, ...) \
  m.name = [] parameters { return of(f).real()->pMethods->name(of(f).real(), __VA_ARGS__); }
      OW_PASS(xRead, (sqlite3_file * f, void* to, int n, sqlite3_int64 at), to, n, at);
      OW_PASS(xFileSize, (sqlite3_file * f, sqlite3_int64 * out), out);
      OW_PASS(xLock, (sqlite3_file * f, int level), level);
      OW_PASS(xUnlock, (sqlite3_file * f, int level), level);
      OW_PASS(xCheckReservedLock, (sqlite3_file * f, int* out), out);
      OW_PASS(xFileControl, (sqlite3_file * f, int op, void* argument), op, argument);
      OW_PASS(xShmMap, (sqlite3_file * f, int page, int size, int extend, void volatile** out),
              page, size, extend, out);
      OW_PASS(xShmLock, (sqlite3_file * f, int offset, int n, int flags), offset, n, flags);
      OW_PASS(xShmUnmap, (sqlite3_file * f, int remove_it), remove_it);
#undef OW_PASS
      m.xSectorSize = [](sqlite3_file* f) {
        return of(f).real()->pMethods->xSectorSize(of(f).real());
      };
      m.xDeviceCharacteristics = [](sqlite3_file* f) {
        return of(f).real()->pMethods->xDeviceCharacteristics(of(f).real());
      };
      m.xShmBarrier = [](sqlite3_file* f) { of(f).real()->pMethods->xShmBarrier(of(f).real()); };
      return m;
    }();
    return &table;
  }

  const std::string name_;
  sqlite3_vfs* const real_;
  sqlite3_vfs vfs_{};
  mutable std::mutex mutex_;
  std::map<std::string, Image> images_;
  std::uint64_t operations_ = 0;
  std::uint64_t crash_at_ = 0;
  bool crashed_ = false;
  bool last_done_ = false;
  bool full_ = false;
};

}  // namespace overwinter::store::test
