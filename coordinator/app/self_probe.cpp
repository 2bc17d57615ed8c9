#include "coordinator/app/self_probe.h"

#include <utility>

#include "common/base/log.h"
#include "common/security/https_probe.h"

namespace overwinter::app {

SelfProbe::SelfProbe(Config config, Dead dead)
    : config_(std::move(config)),
      dead_(std::move(dead)),
      failures_(config_.addresses.size(), 0),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

SelfProbe::~SelfProbe() {
  thread_.request_stop();
  thread_.join();
}

void SelfProbe::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, config_.every, [] { return false; });
    if (stop.stop_requested()) return;
    if (const std::string wrong = look(); !wrong.empty()) return dead_(wrong);
  }
}

std::string SelfProbe::look() {
  for (std::size_t i = 0; i < config_.addresses.size(); ++i) {
    const std::string& address = config_.addresses[i];
    const auto colon = address.rfind(':');
    const Status status =
        takes_connections(address.substr(0, colon), address.substr(colon + 1), config_.within);
    failures_[i] = status.ok() ? 0 : failures_[i] + 1;
    if (status.ok()) continue;
    log_warning("own port: {} ({} of {})", status.message, failures_[i], config_.failures_max);
    if (failures_[i] >= config_.failures_max) return status.message;
  }
  return {};
}

std::string to_dial(const std::string& address, int port) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.empty() || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "[::]") host = "::1";
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return host + ":" + std::to_string(port);
}

}  // namespace overwinter::app
