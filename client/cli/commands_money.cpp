// prices get|set, cost, projects list|create
#include <fmt/format.h>

#include <cstdio>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "common/security/file_io.h"

namespace overwinter::cli {
namespace {

constexpr std::size_t kPriceBookBytesMax = std::size_t{1024} * 1024;

int print_machine_costs(const Globals& globals, client::Client& client, const std::string& month) {
  auto costs = client.machine_costs(month);
  if (!costs) return report(costs.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *costs);
    return kDone;
  }
  Table table({"WORKER", "JOBS", "IDLE", "LOST", "TOTAL"});
  for (const v1::MachineCost& cost : costs->machines()) {
    table.add({short_name(cost.worker()), amount_text(cost.jobs()), amount_text(cost.idle()),
               amount_text(cost.lost()), money_text(cost.total())});
  }
  const v1::MachineCost& total = costs->total();
  table.add({"total", amount_text(total.jobs()), amount_text(total.idle()),
             amount_text(total.lost()), money_text(total.total())});
  table.print(globals.output);
  return kDone;
}

int print_prices(const Globals& globals, const v1::PriceBook& book) {
  if (is_machine(globals.output)) {
    print_message(globals.output, book);
  } else if (book.yaml().empty()) {
    say(globals.output,
        "no price book is set; everything costs nothing. `overwinter prices set FILE` sets one");
  } else {
    print_line(book.yaml().substr(0, book.yaml().find_last_not_of('\n') + 1));
  }
  return kDone;
}

}  // namespace

int run_projects_list(const Globals& globals) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto list = (*client)->list_projects();
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  for (const v1::Project& project : list->projects()) print_line(short_name(project.name()));
  return kDone;
}

int run_projects_create(const Globals& globals, const std::string& project) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto made = (*client)->create_project(project);
  if (!made) return report(made.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *made);
  } else {
    print_line(made->name());
  }
  return kDone;
}

int run_prices_get(const Globals& globals) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto book = (*client)->prices();
  if (!book) return report(book.error());
  return print_prices(globals, *book);
}

int run_prices_set(const Globals& globals, const std::string& file) {
  std::string yaml;
  if (file == "-") {
    char buffer[4096];
    std::size_t read = 0;
    while (yaml.size() <= kPriceBookBytesMax &&
           (read = std::fread(buffer, 1, sizeof buffer, stdin)) > 0) {
      yaml.append(buffer, read);
    }
  } else {
    auto text = read_file(file, kPriceBookBytesMax);
    if (!text) {
      Status status = text.error();
      status.code = Code::kInvalidArgument;
      return report(status);
    }
    yaml = *text;
  }
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto book = (*client)->set_prices(yaml);
  if (!book) return report(book.error());
  return print_prices(globals, *book);
}

int run_cost(const Globals& globals, const CostOptions& options) {
  auto connected = globals.connect();
  if (!connected) return report(connected.error());
  client::Client& client = **connected;
  if (options.machines) return print_machine_costs(globals, client, options.month);
  v1::ListJobCostsRequest request;
  request.set_parent("projects/" + (options.project.empty() ? std::string("-") : options.project));
  request.set_month(options.month);
  if (!options.job.empty()) {
    auto name = client.resolve_job(options.job);
    if (!name) return report(name.error());
    request.set_job(*name);
    request.set_parent(name->substr(0, name->rfind("/jobs/")));
  }
  auto costs = client.job_costs(request);
  if (!costs) return report(costs.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *costs);
    return kDone;
  }
  Table table({"JOB", "STATE", "CAP", "RESERVED", "CHARGED"});
  for (const v1::JobCost& cost : costs->jobs()) {
    table.add({short_name(cost.job()), cost.state(), cost.has_cap() ? amount_text(cost.cap()) : "-",
               amount_text(cost.reserved()), money_text(cost.charged())});
  }
  table.add({"total", "", "", "", money_text(costs->total())});
  table.print(globals.output);
  return kDone;
}

}  // namespace overwinter::cli
