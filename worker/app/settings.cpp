#include "worker/app/settings.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/log.h"
#include "common/security/file_io.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 20;

std::uint64_t load_number(const std::filesystem::path& path) {
  auto text = read_file(path, 64);
  std::uint64_t value = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

}  // namespace

Result<Settings> load_settings(const std::filesystem::path& folder) {
  const auto path = folder / "settings.json";
  auto text = read_file(path, kFileBytesMax);
  if (!text) return fail(text.error());
  try {
    const auto json = nlohmann::json::parse(*text);
    Settings settings;
    settings.worker = json.at("worker").get<std::uint64_t>();
    settings.name = json.at("name").get<std::string>();
    settings.cluster = json.at("cluster").get<std::string>();
    settings.addresses = json.at("addresses").get<std::vector<std::string>>();
    for (const auto& device : json.at("devices")) {
      settings.devices.push_back({device.at("memoryBytes").get<std::uint64_t>(),
                                  device.at("threads").get<std::uint32_t>(),
                                  device.value("kind", "cpu") == "gpu", device.value("uuid", ""),
                                  device.value("hostMemoryBytes", std::uint64_t{0})});
    }
    if (settings.addresses.empty()) {
      return fail(Code::kFailedPrecondition, path.string() + " names no address of a coordinator");
    }
    return settings;
  } catch (const nlohmann::json::exception& wrong) {
    return fail(Code::kFailedPrecondition, path.string() + " cannot be read: " + wrong.what());
  }
}

Status save_settings(const std::filesystem::path& folder, const Settings& settings) {
  nlohmann::ordered_json json;
  json["worker"] = settings.worker;
  json["name"] = settings.name;
  json["cluster"] = settings.cluster;
  json["addresses"] = settings.addresses;
  json["devices"] = nlohmann::ordered_json::array();
  for (const DeviceSpec& device : settings.devices) {
    auto& one = json["devices"].emplace_back();
    one["kind"] = device.gpu ? "gpu" : "cpu";
    one["memoryBytes"] = device.memory_bytes;
    one["threads"] = device.threads;
    if (!device.gpu) continue;
    one["uuid"] = device.uuid;
    one["hostMemoryBytes"] = device.host_memory_bytes;
  }
  return write_file_atomically(folder / "settings.json", json.dump(2) + "\n");
}

Result<Incarnation> next_incarnation(const std::filesystem::path& folder, std::uint64_t wall_ms) {
  const auto path = folder / "incarnation";
  const std::uint64_t next = std::max(load_number(path) + 1, wall_ms);
  Status written = write_file_atomically(path, std::to_string(next) + "\n");
  if (!written.ok()) return fail(written);
  return Incarnation(next);
}

Generation load_generation(const std::filesystem::path& folder) {
  return Generation(load_number(folder / "generation"));
}

void save_generation(const std::filesystem::path& folder, Generation generation) {
  const Status written =
      write_file_atomically(folder / "generation", std::to_string(generation.value()) + "\n");
  if (!written.ok()) log_error("the coordinator's generation was not kept: {}", written.message);
}

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder) {
  const auto path = folder / "lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return fail(Code::kFailedPrecondition,
                "cannot write " + path.string() + ": " + std::strerror(errno), "data-dir");
  }
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor);
    return fail(Code::kFailedPrecondition,
                "another worker is running with the data folder " + folder.string(), "data-dir",
                "give this one a folder of its own: --data-dir");
  }
  return FolderLock(descriptor);
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace overwinter::worker
