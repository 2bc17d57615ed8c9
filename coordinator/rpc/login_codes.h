// LoginCodes: tokens that wait to be fetched with a code that is good once, for 15 minutes. In
// memory alone: after a restart of the coordinator a code is made anew.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/domain/ids.h"

namespace overwinter::rpc {

inline constexpr Duration kLoginCodeLife = std::chrono::minutes(15);
inline constexpr std::size_t kLoginCodesMax = 1000;

// Thread-safe.
class LoginCodes {
 public:
  struct Waiting {
    std::string token;
    TokenId id;
    Time ends{};
  };
  // A code for this token. RESOURCE_EXHAUSTED when too many wait.
  [[nodiscard]] Result<std::string> add(std::string token, TokenId id, Time now);
  // UNAUTHENTICATED, the same sentence for a code that never was, was used or has ended.
  [[nodiscard]] Result<Waiting> take(std::string_view code, Time now);

 private:
  void sweep(Time now) OW_REQUIRES(mutex_);
  Mutex mutex_;
  std::map<Digest, Waiting> waiting_ OW_GUARDED_BY(mutex_);  // by the code's hash
};

}  // namespace overwinter::rpc
