// HttpPost: one POST of JSON over HTTP/1.1, by HTTPS with the system's certificate authorities.
// Boost.Beast is in its .cpp alone.
#pragma once

#include <memory>
#include <string>

#include "common/base/mutex.h"
#include "common/base/time.h"
#include "coordinator/notify/hook_url.h"

namespace overwinter::notify {

inline constexpr Duration kPostTime{10'000};

struct PostAnswer {
  bool delivered = false;  // answered 2xx
  bool again = false;      // it may go better later: not reached, 5xx, 408, 429
  // What was answered, or why nothing was: never the address, nor a word of the other side's, which
  // may repeat it.
  std::string message;
};

// Thread-safe.
class HttpPost {
 public:
  // Waits at most `limit`, and for a name's addresses as long as the system's resolver takes. No
  // redirect is followed, no body of an answer is read, no proxy is used.
  [[nodiscard]] PostAnswer post(const HookUrl& url, const std::string& body,
                                Duration limit = kPostTime);
  // Ends the one under way, and every later one, at once.
  void cancel();

 private:
  struct Running;
  Mutex mutex_;
  std::shared_ptr<Running> running_ OW_GUARDED_BY(mutex_);
  bool cancelled_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace overwinter::notify
