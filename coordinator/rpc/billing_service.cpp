#include "coordinator/rpc/billing_service.h"

#include <utility>

#include "common/spec/price_book.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/unary.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kYamlBytesMax = std::size_t{1024} * 1024;

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

Unary* BillingService::ListJobCosts(Call* call, const v1::ListJobCostsRequest* request,
                                    v1::ListJobCostsResponse* response) {
  return answer_on_pool(context_, call, Permission::kReadMoney, runtime::Work::kRead,
                        [this, request, response](const Principal& caller) {
                          return context_.costs.list_jobs(caller, *request, context_.now(),
                                                          *response);
                        });
}

Unary* BillingService::ListMachineCosts(Call* call, const v1::ListMachineCostsRequest* request,
                                        v1::ListMachineCostsResponse* response) {
  return answer_on_pool(
      context_, call, Permission::kReadAllMoney, runtime::Work::kRead,
      [this, request, response](const Principal& caller) -> Status {
        if (!caller.project.empty()) {
          return error(Code::kPermissionDenied,
                       "what machines cost is not shown to a token of one project");
        }
        return context_.costs.list_machines(request->month(), context_.now(), *response);
      });
}

Unary* BillingService::GetPriceBook(Call* call, const v1::GetPriceBookRequest*,
                                    v1::PriceBook* response) {
  return answer_now(context_, call, Permission::kReadAllMoney, [&](const Principal&) {
    *response = runtime::price_book_resource(*context_.views.cluster());
    return Status::success();
  });
}

Unary* BillingService::SetPriceBook(Call* call, const v1::SetPriceBookRequest* request,
                                    v1::PriceBook* response) {
  return answer_later(
      context_, call, Permission::kSetPrices,
      [&](const Principal& caller, Unary* reactor) -> Status {
        if (!caller.project.empty()) {
          return error(Code::kPermissionDenied,
                       "the price book holds for all projects: a token of one may not set it");
        }
        if (request->yaml().size() > kYamlBytesMax) {
          return error(Code::kInvalidArgument, "a price book has at most 1 MiB", "yaml");
        }
        return context_.pool.run(
            runtime::Work::kPlan, [this, reactor, caller, response, yaml = request->yaml()] {
              const auto message = spec::parse_price_book(yaml);
              if (!message) return finish(reactor, message.error());
              auto book = to_ledger(*message);
              if (!book) return finish(reactor, book.error());
              core::PriceBookSetRequested event;
              event.by = caller;
              event.book = std::move(*book);
              event.source = yaml;
              context_.requests.ask(
                  std::move(event), [this, reactor, response](const core::Reply& reply) {
                    if (reply.status.ok()) {
                      *response = runtime::price_book_resource(*context_.views.cluster());
                    }
                    finish(reactor, reply.status);
                  });
            });
      });
}

}  // namespace overwinter::rpc
