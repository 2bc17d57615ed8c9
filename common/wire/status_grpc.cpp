#include "common/wire/status_grpc.h"

#include "common/wire/convert.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace overwinter::wire {
namespace {

// gRPC refuses metadata above 8 KiB; a message is one sentence.
constexpr std::size_t kMessageMax = 2048;

std::string bounded(const std::string& text) {
  if (text.size() <= kMessageMax) return text;
  std::size_t end = kMessageMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;  // whole characters
  return text.substr(0, end) + "…";
}

google::rpc::Status details_of(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) details.Clear();
  return details;
}

}  // namespace

grpc::Status to_grpc(const Status& status, std::optional<Duration> retry_after) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<std::int32_t>(status.code));
  details.set_message(bounded(status.message));
  if (!status.field.empty()) {
    google::rpc::BadRequest request;
    auto* violation = request.add_field_violations();
    violation->set_field(bounded(status.field));
    violation->set_description(bounded(status.message));
    details.add_details()->PackFrom(request);
  }
  if (!status.hint.empty()) {
    google::rpc::Help help;
    help.add_links()->set_description(bounded(status.hint));
    details.add_details()->PackFrom(help);
  }
  if (retry_after) {
    google::rpc::RetryInfo retry;
    *retry.mutable_retry_delay() = to_proto(*retry_after);
    details.add_details()->PackFrom(retry);
  }
  return {static_cast<grpc::StatusCode>(status.code), details.message(),
          details.SerializeAsString()};
}

Status from_grpc(const grpc::Status& status) {
  if (status.ok()) return Status::success();
  Status out;
  const int code = status.error_code();
  out.code = code > 0 && code <= 16 ? static_cast<Code>(code) : Code::kUnknown;
  out.message = status.error_message();
  const google::rpc::Status details = details_of(status);
  for (const auto& detail : details.details()) {
    google::rpc::BadRequest request;
    google::rpc::Help help;
    if (detail.UnpackTo(&request) && request.field_violations_size() > 0) {
      out.field = request.field_violations(0).field();
    } else if (detail.UnpackTo(&help) && help.links_size() > 0) {
      out.hint = help.links(0).description();
    }
  }
  return out;
}

std::optional<Duration> retry_after(const grpc::Status& status) {
  const google::rpc::Status details = details_of(status);
  for (const auto& detail : details.details()) {
    google::rpc::RetryInfo retry;
    if (!detail.UnpackTo(&retry)) continue;
    if (auto delay = from_proto(retry.retry_delay())) return *delay;
  }
  return std::nullopt;
}

}  // namespace overwinter::wire
