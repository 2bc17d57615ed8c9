#include "coordinator/rpc/login_codes.h"

#include <utility>

#include "common/security/token.h"

namespace overwinter::rpc {

void LoginCodes::sweep(Time now) {
  std::erase_if(waiting_, [now](const auto& entry) { return now >= entry.second.ends; });
}

Result<std::string> LoginCodes::add(std::string token, TokenId id, Time now) {
  std::string code = make_login_code();
  MutexLock lock(mutex_);
  sweep(now);
  if (waiting_.size() >= kLoginCodesMax) {
    return fail(Code::kResourceExhausted, "too many login codes wait to be used", {},
                "codes end after 15 minutes; try again then");
  }
  waiting_[token_hash(code)] = {std::move(token), id, now + kLoginCodeLife};
  return code;
}

Result<LoginCodes::Waiting> LoginCodes::take(std::string_view code, Time now) {
  MutexLock lock(mutex_);
  sweep(now);
  auto node = waiting_.extract(token_hash(code));
  if (node.empty()) {
    return fail(Code::kUnauthenticated,
                "that login code is not known, was used already, or is older than 15 minutes", {},
                "ask an administrator for a new one: overwinter tokens create");
  }
  return std::move(node.mapped());
}

}  // namespace overwinter::rpc
