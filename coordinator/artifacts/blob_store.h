// BlobStore: the matrices people upload, each a file named by its digest inside its project. A blob
// is visible only when it is whole, checked against its digest and durable; it never changes.
// Nothing here tells whether another project has the same content. On disk: README.md.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/formats/npy.h"
#include "coordinator/artifacts/file_port.h"

namespace overwinter::artifacts {

struct BlobKey {
  std::string project;
  Digest digest;
  friend auto operator<=>(const BlobKey&, const BlobKey&) = default;
};

struct BlobStoreConfig {
  std::uint64_t blob_bytes_max = 1024 * kGiB;
  // Uploads are refused when they would leave less than this on the disk.
  std::uint64_t free_bytes_min = 1 * kGiB;
  std::uint32_t uploads_max = 16;  // at the same time, all projects together
  Duration upload_idle_max{60'000};
};

// A blob open for reading. Stays readable when the blob is removed. `file->descriptor()` is
// read-only.
struct Blob {
  std::shared_ptr<const File> file;
  std::uint64_t size_bytes = 0;
};

struct MatrixBlob {
  std::shared_ptr<const File> file;
  formats::NpyHeader header;
};

class BlobStore;

// One upload. write() calls come one after another, from any thread; the store may end it meanwhile
// (sweep). Not finished: its file is removed when it is destroyed. The store must live longer.
class BlobUpload {
 public:
  BlobUpload(const BlobUpload&) = delete;
  BlobUpload& operator=(const BlobUpload&) = delete;
  ~BlobUpload();

  // The next bytes, at most 1 MiB (kInvalidArgument beyond that, or beyond the size that was
  // announced).
  [[nodiscard]] Status write(std::span<const std::byte> data, Time now);
  // Checks size and digest, syncs, and makes the blob visible. kInvalidArgument when the content is
  // not what was announced. Call once; blocks for as long as the disk needs.
  [[nodiscard]] Status finish();

 private:
  friend class BlobStore;
  struct Session;
  BlobUpload(BlobStore& store, std::shared_ptr<Session> session)
      : store_(store), session_(std::move(session)) {}
  BlobStore& store_;
  std::shared_ptr<Session> session_;
};

// Thread-safe. Every call may wait for the disk: not for a thread that must not.
class BlobStore {
 public:
  // Makes the folders, removes what unfinished uploads left, and makes durable what is there.
  // `files` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<BlobStore>> open(FilePort& files, std::string root,
                                                               const BlobStoreConfig& config);
  ~BlobStore();

  // kAlreadyExists: the project has it, nothing needs to be sent. kResourceExhausted: too large,
  // too many uploads, or too little disk, with the numbers.
  [[nodiscard]] Result<std::unique_ptr<BlobUpload>> begin_upload(const BlobKey& key,
                                                                 std::uint64_t size_bytes,
                                                                 Time now);
  // Ends uploads that sent nothing for upload_idle_max and removes their files. Returns how many.
  std::size_t sweep(Time now);
  [[nodiscard]] std::uint32_t uploads() const;

  [[nodiscard]] bool has(const BlobKey& key) const;
  // kNotFound: this project has no such blob.
  [[nodiscard]] Result<Blob> open_blob(const BlobKey& key) const;
  // The blob as a .npy matrix; kInvalidArgument when it is none.
  [[nodiscard]] Result<MatrixBlob> open_matrix(const BlobKey& key) const;
  [[nodiscard]] Result<formats::NpyHeader> describe(const BlobKey& key) const;
  // Durable when it returns. A blob that is not there is a success.
  [[nodiscard]] Status remove(const BlobKey& key);

 private:
  friend class BlobUpload;
  BlobStore(FilePort& files, std::string root, const BlobStoreConfig& config);

  [[nodiscard]] std::string project_folder(std::string_view project) const;
  [[nodiscard]] std::string blob_path(const BlobKey& key) const;
  [[nodiscard]] Status admit(std::uint64_t size_bytes);
  [[nodiscard]] Status make_durable_folder(const std::string& folder, const std::string& parent);
  [[nodiscard]] Status publish(BlobUpload::Session& session);
  void forget(const std::shared_ptr<BlobUpload::Session>& session);

  FilePort& files_;
  const std::string root_;
  const BlobStoreConfig config_;

  mutable Mutex mutex_;
  std::set<std::shared_ptr<BlobUpload::Session>> uploads_ OW_GUARDED_BY(mutex_);
  std::uint64_t next_upload_ OW_GUARDED_BY(mutex_) = 1;
  std::set<std::string> durable_folders_ OW_GUARDED_BY(mutex_);
};

}  // namespace overwinter::artifacts
