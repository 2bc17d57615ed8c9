#include "coordinator/app/health.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "common/security/file_io.h"
#include "common/security/https_probe.h"
#include "coordinator/app/data_folder.h"
#include "coordinator/app/self_probe.h"

namespace overwinter::app {
namespace {

constexpr std::size_t kEndpointsBytesMax = 4096;
constexpr Duration kWithin{5'000};

}  // namespace

Status healthy(const Config& config) {
  const DataFolder folder(config.data_dir);
  const auto text = read_file(folder.endpoints(), kEndpointsBytesMax);
  if (!text)
    return error(Code::kNotFound, "no coordinator ran with " + config.data_dir.string(), "",
                 "start overwinter-coordinator with this --data-dir, as the same user");
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  const std::string address =
      json.is_object() ? json.value("dashboard", std::string()) : std::string();
  const auto colon = address.rfind(':');
  if (colon == std::string::npos)
    return error(Code::kInternal, folder.endpoints().string() + " names no dashboard port");
  const std::string dialled = to_dial(address, std::atoi(address.c_str() + colon + 1));
  const auto answer = https_probe(dialled.substr(0, dialled.rfind(':')), address.substr(colon + 1),
                                  "/readyz", kWithin);
  if (!answer) return error(Code::kUnavailable, answer.error().message, "", "its log says why");
  if (answer->starts_with("HTTP/1.1 200 ")) return Status::success();
  return error(Code::kUnavailable, "it says that it is not ready: " + *answer, "",
               "its log says why");
}

}  // namespace overwinter::app
