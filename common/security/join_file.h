// The file that lets a new machine join (TRUST §1). JSON, so that a person can see what it is:
//
//   {"kind": "overwinter-join-1", "cluster": "demo", "id": "7", "addresses": ["10.0.0.1:7602"],
//    "rootSha256": "64 hexadecimal digits", "rootPem": "…" (may be left out), "certificatePem":
//    "leaf, issuing", "keyPem": "…", "expires": "2026-11-25T10:00:00.000Z"}
//
// Unknown keys are taken, so that a newer coordinator's file works with an older worker.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/certificate.h"

namespace overwinter {

inline constexpr std::size_t kJoinFileBytesMax = std::size_t{64} * 1024;
inline constexpr std::size_t kJoinAddressesMax = 16;

struct JoinFile {
  std::string cluster;
  std::string id;
  std::vector<std::string> addresses;  // HOST:PORT of the worker port, in the order to try
  Digest root_fingerprint;
  std::string root_pem;  // may be empty
  CertifiedKey leaf;     // the join certificate and its key
  Time expires{};
};

[[nodiscard]] std::string encode_join_file(const JoinFile& file);

// INVALID_ARGUMENT: what is wrong, and the key it is about. FAILED_PRECONDITION: past its end.
[[nodiscard]] Result<JoinFile> decode_join_file(std::string_view text, Time now);

// 0600, atomically.
Status write_join_file(const std::filesystem::path& path, const JoinFile& file);

struct ReadJoinFile {
  JoinFile file;
  std::string
      warning;  // not empty: others than the owner can read the file; one sentence with the cure
};
// Reads at most 64 KiB. Errors as decode_join_file, with the path; NOT_FOUND when there is no such
// file.
[[nodiscard]] Result<ReadJoinFile> read_join_file(const std::filesystem::path& path, Time now);

}  // namespace overwinter
