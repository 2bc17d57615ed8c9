// workers list|get|drain|resume|remove
#include <fmt/format.h>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/resource_text.h"
#include "common/base/bytes.h"

namespace overwinter::cli {
namespace {

// ", GFLOP/s: 94 fp32, 47 fp64, 210 bf16": what was measured.
std::string speeds_text(const v1::Device& device) {
  std::string text;
  for (const auto& [gflops, name] :
       {std::pair(device.gflops_fp32(), "fp32"), std::pair(device.gflops_fp64(), "fp64"),
        std::pair(device.gflops_bf16(), "bf16"), std::pair(device.gflops_fp16(), "fp16"),
        std::pair(device.gflops_int8(), "int8")}) {
    if (gflops > 0)
      text += fmt::format("{} {:.0f} {}", text.empty() ? ", GFLOP/s:" : ",", gflops, name);
  }
  return text;
}

std::string full_name(const std::string& text) {
  return text.rfind("workers/", 0) == 0 ? text : "workers/" + text;
}

std::uint32_t seats_of(const v1::Worker& worker) {
  std::uint32_t seats = 0;
  for (const auto& use : worker.uses()) seats += use.seats();
  return seats;
}

void print_worker(const v1::Worker& worker) {
  print_line(fmt::format("worker       {}  ({})", short_name(worker.name()), worker.id()));
  print_line(
      fmt::format("state        {}{}", v1::Worker::State_Name(worker.state()),
                  worker.state_reason().empty() ? "" : "  " + printable(worker.state_reason())));
  print_line(fmt::format("machine      {}  host {}, {} worker{} on it, {}, {} processors",
                         printable(worker.host_name()), worker.host_id(), worker.workers_on_host(),
                         worker.workers_on_host() == 1 ? "" : "s",
                         format_bytes(worker.host_memory_bytes()), worker.host_cpus()));
  print_line(fmt::format("version      {}", worker.version()));
  print_line(worker.peer_address().empty()
                 ? "gangs        of this machine alone"
                 : fmt::format("gangs        at {} on {}", printable(worker.peer_address()),
                               printable(worker.network())));
  print_line("programs     " + (worker.no_exec().empty()
                                    ? "memory by " + printable(worker.memory_limit())
                                    : "none of users: " + printable(worker.no_exec())));
  print_line(fmt::format("price        {} an hour{}", money_text(worker.price_per_hour()),
                         worker.spot() ? ", spot" : ""));
  print_line(fmt::format("last sign    {} ago", duration_text(worker.silent())));
  print_line(fmt::format("busy         {:.0f} % of the last hour", worker.busy_fraction() * 100));
  print_line(fmt::format("lost         {} time{} in the last 30 days", worker.losses(),
                         worker.losses() == 1 ? "" : "s"));
  for (int i = 0; i < worker.devices_size(); ++i) {
    const v1::Device& device = worker.devices(i);
    const v1::DeviceUse use = i < worker.uses_size() ? worker.uses(i) : v1::DeviceUse();
    print_line(fmt::format("device {}     {}, {}{}", i, device.kind(), device_use_text(device, use),
                           speeds_text(device)));
    if (!device.uuid().empty())
      print_line(fmt::format("             {}, {}, {} in all; with {} of the machine",
                             printable(device.model()), printable(device.uuid()),
                             format_bytes(device.memory_total_bytes()),
                             format_bytes(device.host_memory_bytes())));
  }
}

}  // namespace

int run_workers_list(const Globals& globals) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto list = (*client)->list_workers();
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  Table table({"WORKER", "STATE", "SEATS", "BUSY 1H", "LOST 30D", "PRICE/H",
               "DEVICES (USED/RESERVED/MEMORY)"});
  for (const v1::Worker& worker : list->workers()) {
    table.add({short_name(worker.name()), v1::Worker::State_Name(worker.state()),
               std::to_string(seats_of(worker)),
               fmt::format("{:.0f} %", worker.busy_fraction() * 100),
               std::to_string(worker.losses()), amount_text(worker.price_per_hour()),
               devices_text(worker)});
  }
  if (table.empty()) {
    say(globals.output,
        "no worker yet; `overwinter tokens create --role worker -o join.file` lets a machine join");
    return kDone;
  }
  table.print(globals.output);
  return kDone;
}

int run_workers_get(const Globals& globals, const std::string& name) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto worker = (*client)->get_worker(full_name(name));
  if (!worker) return report(worker.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *worker);
  } else {
    print_worker(*worker);
  }
  return kDone;
}

int run_workers_act(const Globals& globals, const std::string& name, WorkerVerb verb) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const std::string full = full_name(name);
  auto worker = verb == WorkerVerb::kDrain    ? (*client)->drain_worker(full)
                : verb == WorkerVerb::kResume ? (*client)->resume_worker(full)
                                              : (*client)->remove_worker(full);
  if (!worker) return report(worker.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *worker);
  } else {
    print_line(
        fmt::format("{} {}", short_name(worker->name()), v1::Worker::State_Name(worker->state())));
  }
  return kDone;
}

}  // namespace overwinter::cli
