// A request and its answer as the router sees them: no sockets, no headers but those that count.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::dashboard {

inline constexpr std::string_view kApiPath = "/api/v1/";  // what scripts and the page ask begins so

// Headers that were not sent are empty.
struct Request {
  std::string method;
  std::string target;         // path and query
  std::string authorization;  // of a script: Bearer ow_…
  std::string host = {};
  std::string origin = {};
  std::string fetch_site = {};  // Sec-Fetch-Site
  std::string fetch_mode = {};  // Sec-Fetch-Mode
  std::string cookie = {};
  std::string session = {};  // Overwinter-Session: the header secret of the page
  std::string content_type = {};
  std::string accept_encoding = {};
  std::string if_none_match = {};
  std::string last_event_id = {};
  std::string body = {};
  std::string address = {};  // of who asks, without its port
};

// A body that goes on: pieces are taken one by one, on the server's thread, until the reader goes.
class Stream {
 public:
  virtual ~Stream() = default;
  // Once, before the first piece. `wake`: there may be something to send; from any thread, until
  // this object is gone.
  virtual void start(std::function<void()> wake) = 0;
  struct Piece {
    std::string text;   // empty: nothing now
    Duration again{0};  // ask then at the latest
    Duration rest{0};   // nothing would come before, whatever wakes
    bool end = false;   // after this one
  };
  [[nodiscard]] virtual Piece next() = 0;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  std::string cache_control = "no-store";
  std::string content_encoding = {};
  std::string etag = {};
  std::string set_cookie = {};
  std::string allow = {};
  std::optional<std::uint64_t> event = {};  // the number of the last one that the body knows of
  std::shared_ptr<Stream> stream = {};      // in place of a body
  Code code = Code::kOk;                    // of a refusal
  std::string reason = {};                  // of a refusal: its sentence
};

// The status as JSON: {"code": "NOT_FOUND", "message": …, "field": …, "hint": …}.
[[nodiscard]] Response refusal(const Status& status);
// A resource with every field printed.
[[nodiscard]] Response as_json(const google::protobuf::Message& message);
// What is no UTF-8 in it becomes U+FFFD.
[[nodiscard]] Response as_json(const nlohmann::json& json);
[[nodiscard]] Response as_text(std::string body);

// Whether an Accept-Encoding like "gzip, deflate;q=0.5" has gzip and does not forbid it.
[[nodiscard]] bool takes_gzip(std::string_view accepted);
// A longer body as gzip; nothing of what is packed is both secret and beside what a stranger chose
// (the secret of a session has an answer of its own, which is not).
void pack(Response& response);

// The part of an address behind its `?`.
class Query {
 public:
  // INVALID_ARGUMENT (field query) for a key that is not among `keys`, or for what cannot be
  // decoded. Of a key that stands there twice the last one counts.
  [[nodiscard]] static Result<Query> read(std::string_view text,
                                          const std::set<std::string_view>& keys);
  // Of a query that has this one key, as often as it likes: all its values, in their order.
  [[nodiscard]] static Result<std::vector<std::string>> values_of(std::string_view text,
                                                                  std::string_view key);
  // Empty when it is not there.
  [[nodiscard]] std::string text(std::string_view key) const;
  // nullopt when it is not there or empty; INVALID_ARGUMENT (field: the key) for no number.
  [[nodiscard]] Result<std::optional<std::uint64_t>> number(std::string_view key) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace overwinter::dashboard
