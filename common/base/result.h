// Result<T>: a value, or a Status that says what went wrong. No exception crosses a room
// (ARCHITECTURE §5).
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace overwinter {

// The codes and their numbers are gRPC's, so that a status crosses the wire as it is.
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// The code's name as gRPC writes it, for example "NOT_FOUND".
[[nodiscard]] std::string_view code_name(Code code);

// One sentence for a person, the field it is about (empty when none), and what to do next (may be
// empty).
struct [[nodiscard]] Status {
  Code code = Code::kOk;
  std::string message;
  std::string field;
  std::string hint;

  [[nodiscard]] bool ok() const { return code == Code::kOk; }
  [[nodiscard]] static Status success() { return {}; }
  friend bool operator==(const Status&, const Status&) = default;
};

template <class T>
using Result = tl::expected<T, Status>;

[[nodiscard]] inline Status error(Code code, std::string message, std::string field = {},
                                  std::string hint = {}) {
  return Status{code, std::move(message), std::move(field), std::move(hint)};
}

// For returning from a function whose type is Result<T>.
[[nodiscard]] inline tl::unexpected<Status> fail(Code code, std::string message,
                                                 std::string field = {}, std::string hint = {}) {
  return tl::unexpected<Status>(
      Status{code, std::move(message), std::move(field), std::move(hint)});
}
[[nodiscard]] inline tl::unexpected<Status> fail(Status status) {
  return tl::unexpected<Status>(std::move(status));
}

}  // namespace overwinter
