// The built page (web/dist), embedded in the program: plain and as gzip.
#pragma once

#include <span>
#include <string_view>

#include "coordinator/dashboard/http.h"

namespace overwinter::dashboard {

struct PageFile {
  std::string_view path;  // "index.html", "assets/page-….js"
  std::string_view plain;
  std::string_view gzip;
};
// Every file of web/dist. Made by cmake/page.cmake.
[[nodiscard]] std::span<const PageFile> page_files();

// A file under /assets/, which never changes under its name; NOT_FOUND when there is none.
[[nodiscard]] Response page_asset(std::string_view name, const Request& request);
// The document, whatever the address: the page reads it. 304 when the browser has it.
[[nodiscard]] Response page_document(const Request& request);

}  // namespace overwinter::dashboard
