// BillingService: what jobs and machines cost, and the price book. Methods as in billing.proto.
#pragma once

#include "coordinator/rpc/service_context.h"
#include "overwinter/v1/billing.grpc.pb.h"

namespace overwinter::rpc {

class BillingService final : public v1::BillingService::CallbackService {
 public:
  explicit BillingService(ServiceContext& context) : context_(context) {}
  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;

  Reactor* ListJobCosts(Call* call, const v1::ListJobCostsRequest* request,
                        v1::ListJobCostsResponse* response) override;
  Reactor* ListMachineCosts(Call* call, const v1::ListMachineCostsRequest* request,
                            v1::ListMachineCostsResponse* response) override;
  Reactor* GetPriceBook(Call* call, const v1::GetPriceBookRequest* request,
                        v1::PriceBook* response) override;
  Reactor* SetPriceBook(Call* call, const v1::SetPriceBookRequest* request,
                        v1::PriceBook* response) override;

 private:
  ServiceContext& context_;
};

}  // namespace overwinter::rpc
