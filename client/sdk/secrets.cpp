// Secrets of a project.
#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"

namespace overwinter::client {

using SecretStub = v1::SecretService::Stub;

Result<v1::Secret> Client::set_secret(const v1::SetSecretRequest& request) {
  return impl_->call(*impl_->secrets, &SecretStub::SetSecret, request);
}

Result<v1::ListSecretsResponse> Client::list_secrets(const std::string& project) {
  v1::ListSecretsRequest request;
  request.set_project(project);
  return impl_->call(*impl_->secrets, &SecretStub::ListSecrets, request);
}

Status Client::delete_secret(const std::string& project, const std::string& name) {
  v1::DeleteSecretRequest request;
  request.set_project(project);
  request.set_name(name);
  const auto deleted = impl_->call(*impl_->secrets, &SecretStub::DeleteSecret, request);
  return deleted ? Status::success() : deleted.error();
}

}  // namespace overwinter::client
