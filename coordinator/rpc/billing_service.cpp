#include "coordinator/rpc/billing_service.h"

#include <utility>

#include "common/spec/price_book.h"
#include "common/wire/convert.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kYamlBytesMax = 1024 * 1024;

Result<ledger::PriceBook> to_ledger(const v1::PriceBook& message) {
  ledger::PriceBook book;
  book.currency = message.currency_code();
  for (const auto& entry : message.entries()) {
    ledger::PriceEntry one;
    one.from = wire::from_proto(entry.from());
    one.device = entry.device();
    one.supplier = entry.supplier();
    one.spot = entry.spot();
    one.per_hour = Money{entry.per_hour().amount_micros()};
    if (!entry.minimum().empty()) {
      const auto minimum = parse_duration(entry.minimum());
      if (!minimum) return fail(minimum.error());
      one.minimum = *minimum;
    }
    book.entries.push_back(std::move(one));
  }
  return book;
}

}  // namespace

grpc::ServerUnaryReactor* BillingService::ListJobCosts(Call* call,
                                                       const v1::ListJobCostsRequest* request,
                                                       v1::ListJobCostsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadMoney);
  if (!caller) {
    finish(reactor, caller.error());
    return reactor;
  }
  std::string project;
  std::string name;
  if (!request->job().empty()) {
    const auto job = find_job(context_, *caller, request->job());
    if (!job) {
      finish(reactor, job.error());
      return reactor;
    }
    name = (*job)->name;
    project = (*job)->project;
  } else {
    auto parent =
        runtime::parse_parent(request->parent().empty() ? "projects/-" : request->parent());
    Status status = parent ? Status::success() : parent.error();
    if (status.ok() && !parent->empty()) status = check_project(context_, *caller, *parent);
    if (!status.ok()) {
      finish(reactor, status);
      return reactor;
    }
    project = parent->empty() ? caller->project : *parent;
  }
  const Status taken =
      context_.pool.run(runtime::Work::kRead, [this, reactor, project, name, request, response] {
        finish(reactor, context_.costs.list_jobs(project, name, request->month(), context_.now(),
                                                 *response));
      });
  if (!taken.ok()) finish(reactor, taken);
  return reactor;
}

grpc::ServerUnaryReactor* BillingService::ListMachineCosts(
    Call* call, const v1::ListMachineCostsRequest* request,
    v1::ListMachineCostsResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadAllMoney);
  Status status = caller ? Status::success() : caller.error();
  if (status.ok() && !caller->project.empty()) {
    status =
        error(Code::kPermissionDenied, "what machines cost is not shown to a token of one project");
  }
  if (status.ok()) {
    status = context_.pool.run(runtime::Work::kRead, [this, reactor, request, response] {
      finish(reactor, context_.costs.list_machines(request->month(), context_.now(), *response));
    });
    if (status.ok()) return reactor;
  }
  finish(reactor, status);
  return reactor;
}

grpc::ServerUnaryReactor* BillingService::GetPriceBook(Call* call, const v1::GetPriceBookRequest*,
                                                       v1::PriceBook* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kReadAllMoney);
  if (caller) *response = runtime::price_book_resource(*context_.views.cluster());
  finish(reactor, caller ? Status::success() : caller.error());
  return reactor;
}

grpc::ServerUnaryReactor* BillingService::SetPriceBook(Call* call,
                                                       const v1::SetPriceBookRequest* request,
                                                       v1::PriceBook* response) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context_.authorizer->caller(*call, Permission::kSetPrices);
  Status status = caller ? Status::success() : caller.error();
  if (status.ok() && request->yaml().size() > kYamlBytesMax) {
    status = error(Code::kInvalidArgument, "a price book has at most 1 MiB", "yaml");
  }
  if (status.ok()) {
    status = context_.pool.run(runtime::Work::kPlan, [this, reactor, caller = *caller, response,
                                                      yaml = request->yaml()] {
      const auto message = spec::parse_price_book(yaml);
      if (!message) return finish(reactor, message.error());
      auto book = to_ledger(*message);
      if (!book) return finish(reactor, book.error());
      core::PriceBookSetRequested event;
      event.by = caller;
      event.book = std::move(*book);
      event.source = yaml;
      context_.requests.ask(std::move(event), [this, reactor, response](const core::Reply& reply) {
        if (reply.status.ok()) {
          *response = runtime::price_book_resource(*context_.views.cluster());
        }
        finish(reactor, reply.status);
      });
    });
    if (status.ok()) return reactor;
  }
  finish(reactor, status);
  return reactor;
}

}  // namespace overwinter::rpc
