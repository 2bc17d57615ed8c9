// What the workers offer, as the planner sees it. Filled by coordinator/runtime from its views.
#pragma once

#include <string>
#include <vector>

#include "common/base/money.h"
#include "common/domain/device.h"

namespace overwinter::plan {

struct OfferedDevice {
  DeviceInfo device;     // budget, threads, measured speed
  Money price_per_hour;  // of the whole device
};

struct WorkerOffer {
  std::string name;
  std::vector<OfferedDevice> devices;
  bool spot = false;
  bool same_host_as_coordinator = false;
  double link_bytes_per_second = 0;  // to the coordinator; 0: not measured
  // For gangs: workers form one on one host, or on one network.
  std::string host_id;
  std::string network;  // empty: takes part in none beyond its host
  std::string no_exec;  // why it runs no program of users; empty: it does
  HostSize host = {};
  // Why no seat may be placed there now ("drains", "serves other projects"); empty: it may. Such a
  // worker is listed as ruled out.
  std::string unavailable;
  // An unavailable worker that may take seats again (it drains, or is lost). A job is planned for
  // these when no worker is available, and waits.
  bool may_return = false;
};

struct ClusterOffer {
  std::vector<WorkerOffer> workers;
  std::string currency_code;  // of the price book, for Plan.cost
};

}  // namespace overwinter::plan
