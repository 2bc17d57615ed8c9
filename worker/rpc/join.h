// Becoming a worker by a join file, and renewing the certificate (TRUST §1).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/money.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/join_file.h"

namespace grpc {
class Channel;
}

namespace overwinter::worker {

// What a machine says of itself when it joins.
struct JoinWish {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<std::string> projects;
  bool spot = false;
  std::optional<Money> price_per_hour;
  std::string version;
};

struct Joined {
  std::uint64_t worker = 0;
  std::string name;  // as the coordinator made it unique
  std::string cluster;
};

// Tries the file's addresses in order until `within` has passed. The key is made once and kept in
// `folder` (0600) until the certificate is installed in leaf_folder(folder), so that a join that is
// repeated after a crash is the same worker. UNAVAILABLE: no address answered; the coordinator's
// own refusals as they are.
[[nodiscard]] Result<Joined> join(const JoinFile& file, const JoinWish& wish,
                                  const std::filesystem::path& folder, Duration within);

// Where the worker's certificate and key are kept, below its data folder.
[[nodiscard]] std::filesystem::path leaf_folder(const std::filesystem::path& data_folder);

// Asks for a new certificate with a new key and installs it. Blocks at most `within`.
Status renew(const std::shared_ptr<grpc::Channel>& channel, const std::filesystem::path& folder,
             Duration within);

}  // namespace overwinter::worker
