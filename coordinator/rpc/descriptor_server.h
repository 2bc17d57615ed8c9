// DescriptorServer: hands read-only descriptors of stored matrices to workers of this machine, over
// a Unix socket in the coordinator's own 0700 folder, so that they read in place and nothing is
// copied.
//
// SOCK_SEQPACKET; one question a connection:   {"capability": "owc1_…", "digest": "SHA-256 in hex"}
// Answer with the descriptor (SCM_RIGHTS):      {"ok": true, "rows", "columns", "dtype",
// "fortran_order",
//                                                "data_offset"}, else {"ok": false, "message": "…"}
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/capability.h"
#include "coordinator/artifacts/blob_store.h"
#include "coordinator/runtime/views.h"

namespace overwinter::rpc {

// One thread of its own, one question at a time.
class DescriptorServer {
 public:
  // Replaces what a killed coordinator left at `path`. References outlive this.
  [[nodiscard]] static Result<std::unique_ptr<DescriptorServer>> start(
      const std::filesystem::path& path, const runtime::Views& views,
      const artifacts::BlobStore& blobs, CapabilityVerifier verifier, std::function<Time()> now);
  ~DescriptorServer();

 private:
  DescriptorServer(int socket, std::filesystem::path path, const runtime::Views& views,
                   const artifacts::BlobStore& blobs, CapabilityVerifier verifier,
                   std::function<Time()> now);
  void serve();
  void answer(int connection);
  [[nodiscard]] Status admit(const std::string& text);
  [[nodiscard]] Result<artifacts::MatrixBlob> find(const std::string& question);

  const int socket_;
  const std::filesystem::path path_;
  const runtime::Views& views_;
  const artifacts::BlobStore& blobs_;
  const CapabilityVerifier verifier_;
  const std::function<Time()> now_;
  // The last one that was found to be ours; the serving thread's.
  std::string admitted_text_;
  Capability admitted_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace overwinter::rpc
