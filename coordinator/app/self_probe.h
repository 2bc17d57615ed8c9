// SelfProbe: dials the coordinator's own ports, as others do (TRUST §4). A listener can die while
// its process lives; then the process ends itself, and whoever supervises it starts it again.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::app {

class SelfProbe {
 public:
  struct Config {
    std::vector<std::string> addresses;  // HOST:PORT that can be dialled
    Duration every{10'000};
    Duration within{5'000};
    int failures_max = 3;  // of one port, one after the other
  };
  // Called once, from the probe's thread, with what is wrong.
  using Dead = std::function<void(const std::string&)>;

  SelfProbe(Config config, Dead dead);
  ~SelfProbe();
  SelfProbe(const SelfProbe&) = delete;
  SelfProbe& operator=(const SelfProbe&) = delete;

 private:
  void run(const std::stop_token& stop);
  // What is wrong for the last time that is let pass; empty: nothing yet.
  [[nodiscard]] std::string look();

  const Config config_;
  const Dead dead_;
  std::vector<int> failures_;
  Mutex mutex_;
  Condition changed_;
  std::jthread thread_;
};

// Where a port that listens on `address` is dialled on this machine: loopback where it listens on
// every address.
[[nodiscard]] std::string to_dial(const std::string& address, int port);

}  // namespace overwinter::app
