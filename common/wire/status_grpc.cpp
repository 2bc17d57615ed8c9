#include "common/wire/status_grpc.h"

#include "common/wire/convert.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace overwinter::wire {
namespace {

// gRPC refuses metadata above 8 KiB, and the details are in it a third longer; a message is one
// sentence.
constexpr std::size_t kMessageMax = 1536;
constexpr std::size_t kDetailMax = 512;

std::string bounded(std::string_view whole, std::size_t most = kDetailMax) {
  std::string text(whole);
  if (text.size() <= most) return text;
  std::size_t end = most;
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

namespace {

void add_error_info(const Status& status, google::rpc::Status& details) {
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(code_name(status.code)));
  info.set_domain(std::string(kErrorDomain));
  if (!status.field.empty()) (*info.mutable_metadata())["field"] = bounded(status.field);
  details.add_details()->PackFrom(info);
}

std::string_view type_of(std::string_view resource) {
  if (resource.find("/jobs/") != std::string_view::npos) return "overwinter.v1/Job";
  if (resource.starts_with("projects/")) return "overwinter.v1/Project";
  if (resource.starts_with("workers/")) return "overwinter.v1/Worker";
  return "overwinter.v1/Resource";
}

void add_resource(const Status& status, std::string_view resource, google::rpc::Status& details) {
  const bool about_it = status.code == Code::kNotFound || status.code == Code::kAlreadyExists ||
                        status.code == Code::kPermissionDenied;
  if (resource.empty() || !about_it) return;
  google::rpc::ResourceInfo info;
  info.set_resource_type(std::string(type_of(resource)));
  info.set_resource_name(bounded(resource));
  info.set_description(bounded(status.message));
  details.add_details()->PackFrom(info);
}

}  // namespace

grpc::Status to_grpc(const Status& status, std::optional<Duration> retry_after,
                     std::string_view resource) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status details;
  details.set_code(static_cast<std::int32_t>(status.code));
  details.set_message(bounded(status.message, kMessageMax));
  add_error_info(status, details);
  add_resource(status, resource, details);
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
