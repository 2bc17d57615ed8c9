#include "coordinator/dashboard/http.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/gzip_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>

#include <boost/url/params_encoded_view.hpp>
#include <boost/url/parse_query.hpp>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace overwinter::dashboard {
namespace {

unsigned http_status(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kFailedPrecondition:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kUnimplemented:
      return 405;
    case Code::kAlreadyExists:
    case Code::kAborted:
      return 409;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

constexpr std::size_t kPackedFrom = 2048;  // below, it saves no packet

}  // namespace

bool takes_gzip(std::string_view accepted) {
  const auto at = accepted.find("gzip");
  if (at == std::string_view::npos) return false;
  const auto rest = accepted.substr(at + 4, accepted.find(',', at) - at - 4);
  return rest.find("q=0") == std::string_view::npos || rest.find("q=0.") != std::string_view::npos;
}

void pack(Response& response) {
  if (response.body.size() < kPackedFrom || !response.content_encoding.empty()) return;
  using google::protobuf::io::GzipOutputStream;
  std::string packed;
  {
    google::protobuf::io::StringOutputStream to(&packed);
    GzipOutputStream::Options options;
    options.compression_level =
        1;  // JSON shrinks to a sixth; the best level costs four times as much
    GzipOutputStream gzip(&to, options);
    google::protobuf::io::CodedOutputStream out(&gzip);
    out.WriteString(response.body);
  }
  response.body = std::move(packed);
  response.content_encoding = "gzip";
}

Response refusal(const Status& status) {
  const nlohmann::ordered_json json = {{"code", code_name(status.code)},
                                       {"message", status.message},
                                       {"field", status.field},
                                       {"hint", status.hint}};
  Response response;
  response.status = http_status(status.code);
  response.code = status.code;
  response.reason = status.message;
  response.body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  return response;
}

Response as_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  Response response;
  const auto done = google::protobuf::util::MessageToJsonString(message, &response.body, options);
  if (!done.ok()) return refusal(error(Code::kInternal, "the answer could not be written as JSON"));
  response.body += '\n';
  return response;
}

Response as_json(const nlohmann::json& json) {
  Response response;
  response.body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  return response;
}

Response as_text(std::string body) {
  Response response;
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(body);
  return response;
}

namespace {

// Each key and value of a query that has no other keys than these, to `take`.
Status for_each_pair(std::string_view text, const std::set<std::string_view>& keys,
                     const std::function<void(std::string, std::string)>& take) {
  const auto parsed = boost::urls::parse_query(text);
  if (!parsed) {
    return error(Code::kInvalidArgument, "the query of the address is not understood", "query");
  }
  for (const auto& pair : *parsed) {
    std::string key(pair.key);
    if (!keys.contains(key)) {
      std::string known;
      for (const auto& one : keys) known += (known.empty() ? "" : ", ") + std::string(one);
      return error(Code::kInvalidArgument,
                   known.empty() ? "this address takes no query"
                                 : "the query has no key like that; keys are " + known,
                   "query");
    }
    std::string value;
    pair.value.decode({}, boost::urls::string_token::assign_to(value));
    take(std::move(key), std::move(value));
  }
  return Status::success();
}

}  // namespace

Result<Query> Query::read(std::string_view text, const std::set<std::string_view>& keys) {
  Query query;
  if (Status status = for_each_pair(text, keys,
                                    [&](std::string key, std::string value) {
                                      query.values_[std::move(key)] = std::move(value);
                                    });
      !status.ok())
    return fail(std::move(status));
  return query;
}

Result<std::vector<std::string>> Query::values_of(std::string_view text, std::string_view key) {
  std::vector<std::string> values;
  if (Status status = for_each_pair(
          text, {key},
          [&](const std::string&, std::string value) { values.push_back(std::move(value)); });
      !status.ok())
    return fail(std::move(status));
  return values;
}

std::string Query::text(std::string_view key) const {
  const auto at = values_.find(key);
  return at == values_.end() ? std::string() : at->second;
}

Result<std::optional<std::uint64_t>> Query::number(std::string_view key) const {
  const std::string value = text(key);
  if (value.empty()) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, number);
  if (read.ptr != end || read.ec != std::errc{}) {
    return fail(Code::kInvalidArgument, std::string(key) + " is a number", std::string(key));
  }
  return number;
}

}  // namespace overwinter::dashboard
