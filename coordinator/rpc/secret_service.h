// SecretService: on the people's port secrets are set, listed and deleted, on the workers' port
// those of a held seat are read. One object serves one port; what the port's table does not name
// never reaches it. Values go from the request to the store and from the store to the answer, and
// nowhere else: no line of a log and no error is made of them.
#pragma once

#include "common/security/capability.h"
#include "coordinator/rpc/service_context.h"
#include "coordinator/secrets/secret_store.h"
#include "overwinter/v1/secret.grpc.pb.h"

namespace overwinter::rpc {

class SecretService final : public v1::SecretService::CallbackService {
 public:
  using Unary = grpc::ServerUnaryReactor;
  using Call = grpc::CallbackServerContext;

  // Context and store outlive it.
  SecretService(ServiceContext& context, secrets::SecretStore& secrets, CapabilityVerifier verifier)
      : context_(context), secrets_(secrets), verifier_(std::move(verifier)) {}

  Unary* SetSecret(Call* call, const v1::SetSecretRequest* request, v1::Secret* response) override;
  Unary* ListSecrets(Call* call, const v1::ListSecretsRequest* request,
                     v1::ListSecretsResponse* response) override;
  Unary* DeleteSecret(Call* call, const v1::DeleteSecretRequest* request,
                      v1::DeleteSecretResponse* response) override;
  Unary* ReadSecrets(Call* call, const v1::ReadSecretsRequest* request,
                     v1::ReadSecretsResponse* response) override;

 private:
  ServiceContext& context_;
  secrets::SecretStore& secrets_;
  const CapabilityVerifier verifier_;
};

// What a seat of `worker` may know. Blocks.
[[nodiscard]] Result<v1::ReadSecretsResponse> secrets_of_seat(
    const ServiceContext& context, const secrets::SecretStore& secrets,
    const CapabilityVerifier& verifier, WorkerId worker, const v1::ReadSecretsRequest& request);

}  // namespace overwinter::rpc
