// SecretStore: what jobs are given beside their specification (exec.secrets), per project, sealed.
// No value is ever part of an error or of a line of a log. On disk: README.md.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/seal.h"

namespace overwinter::secrets {

inline constexpr std::size_t kSecretNameMax = 128;
inline constexpr std::size_t kSecretBytesMax = std::size_t{64} * 1024;
inline constexpr std::size_t kSecretsOfProjectMax = 256;

// As the name of a variable of a process: [A-Za-z_][A-Za-z0-9_]*, at most kSecretNameMax.
[[nodiscard]] Status check_secret_name(std::string_view name);

struct SecretInfo {
  std::string name;
  Time set{};           // of the value that is there now; zero when it cannot be read
  std::string problem;  // empty, or why it cannot be read and what to do
};

// Thread-safe. Every call may wait for the disk.
class SecretStore {
 public:
  // Makes what is not there, the key too; removes what was half written and makes durable what is
  // there. FAILED_PRECONDITION: there are secrets and their key is gone, or others can read either.
  // A key that is another one is no error here: read() and list() say it of each secret.
  [[nodiscard]] static Result<std::unique_ptr<SecretStore>> open(
      const std::filesystem::path& folder, const std::filesystem::path& key_file);

  // Sets or replaces it; durable when it returns, and after an error as it was before.
  // INVALID_ARGUMENT for a name or a value that no process could be given; RESOURCE_EXHAUSTED: the
  // project has as many as it may, or the disk is full.
  [[nodiscard]] Status set(std::string_view project, std::string_view name, std::string_view value,
                           Time now);
  // By name; no values.
  [[nodiscard]] Result<std::vector<SecretInfo>> list(std::string_view project) const;
  // NOT_FOUND names the secret and the command that sets it; FAILED_PRECONDITION: it cannot be read
  // (another key, a damaged file), and how to set it anew.
  [[nodiscard]] Result<std::string> read(std::string_view project, std::string_view name) const;
  // Durable when it returns. NOT_FOUND.
  [[nodiscard]] Status remove(std::string_view project, std::string_view name);

 private:
  SecretStore(std::filesystem::path folder, Sealer sealer)
      : folder_(std::move(folder)), sealer_(std::move(sealer)) {}
  struct Opened {
    std::string value;
    Time set{};
  };
  [[nodiscard]] std::filesystem::path project_folder(std::string_view project) const;
  [[nodiscard]] Result<std::vector<std::string>> names(std::string_view project) const
      OW_REQUIRES(mutex_);
  [[nodiscard]] Result<Opened> open_one(std::string_view project, std::string_view name) const
      OW_REQUIRES(mutex_);

  const std::filesystem::path folder_;
  const Sealer sealer_;
  mutable Mutex mutex_;  // the files
};

}  // namespace overwinter::secrets
