// What a backup holds of keys and secrets, and only with --with-keys: the certificate authority,
// the key of the secrets and the secrets (sealed with it), the file of the first admin token. Keys
// that may be new after a restore are not in it: of capabilities, so that none of a lost generation
// counts; of the page's sessions; the servers' leaf.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::backup {

inline constexpr std::size_t kBundleBytesMax = std::size_t{512} << 20;

// Read from the data folder and sealed under the passphrase. RESOURCE_EXHAUSTED: over
// kBundleBytesMax.
[[nodiscard]] Result<std::string> seal_keys(const std::filesystem::path& data_dir,
                                            std::string_view passphrase);
// Into a data folder that has none of it. PERMISSION_DENIED: another passphrase. DATA_LOSS.
[[nodiscard]] Status unseal_keys(std::string_view sealed, std::string_view passphrase,
                                 const std::filesystem::path& data_dir);

}  // namespace overwinter::backup
