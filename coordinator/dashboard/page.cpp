#include "coordinator/dashboard/page.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/security/encoding.h"

namespace overwinter::dashboard {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
}};

std::string_view type_of(std::string_view path) {
  for (const auto& [end, type] : kTypes) {
    if (path.ends_with(end)) return type;
  }
  return "application/octet-stream";
}

Response file_response(const PageFile& file, const Request& request, std::string_view cache) {
  Response response;
  response.content_type = type_of(file.path);
  response.cache_control = cache;
  const bool gzip = takes_gzip(request.accept_encoding);
  // Weak: the same content, packed or not.
  const Digest digest = sha256(file.plain);
  response.etag = "W/\"" + to_hex(std::span(digest.bytes).first(12)) + '"';
  if (request.if_none_match == response.etag) {
    response.status = 304;
    return response;
  }
  if (gzip) response.content_encoding = "gzip";
  response.body = gzip ? file.gzip : file.plain;
  return response;
}

const PageFile* find_file(std::string_view path) {
  const auto files = page_files();
  const auto found = std::find_if(files.begin(), files.end(),
                                  [path](const PageFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

Response page_asset(std::string_view name, const Request& request) {
  const PageFile* file = find_file("assets/" + std::string(name));
  if (file == nullptr) return refusal(error(Code::kNotFound, "the page has no such file"));
  return file_response(*file, request, "public, max-age=31536000, immutable");
}

Response page_document(const Request& request) {
  const PageFile* file = find_file("index.html");
  if (file == nullptr) return refusal(error(Code::kNotFound, "the page was not built"));
  return file_response(*file, request, "no-cache");
}

}  // namespace overwinter::dashboard
