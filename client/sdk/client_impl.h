// Private to client/sdk: the channel, the stubs and how a single call is made.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "client/sdk/client.h"
#include "common/rpc/artifact_client.h"
#include "common/rpc/checkpoint_client.h"
#include "common/security/tls_credentials.h"
#include "common/wire/status_grpc.h"
#include "overwinter/v1/admin.grpc.pb.h"
#include "overwinter/v1/billing.grpc.pb.h"
#include "overwinter/v1/checkpoint.grpc.pb.h"
#include "overwinter/v1/job.grpc.pb.h"
#include "overwinter/v1/log.grpc.pb.h"
#include "overwinter/v1/secret.grpc.pb.h"

namespace overwinter::client {

inline constexpr Duration kRestart{3000};

struct Client::Impl {
  std::string address;
  std::string token;
  Duration call_timeout{0};
  std::shared_ptr<PeerRefusal> refusal;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::AdminService::Stub> admin;
  std::unique_ptr<v1::BillingService::Stub> billing;
  std::unique_ptr<v1::LogService::Stub> logs;
  std::unique_ptr<ArtifactClient> artifacts;
  std::unique_ptr<v1::CheckpointService::Stub> checkpoints;
  std::unique_ptr<CheckpointClient> checkpoint_files;
  std::unique_ptr<v1::SecretService::Stub> secrets;

  void prepare(grpc::ClientContext& context) const {
    context.AddMetadata("authorization", "Bearer " + token);
  }

  // Says who could not be reached, and why this side refused it if it did.
  [[nodiscard]] Status explained(const grpc::Status& status) const {
    return explained(wire::from_grpc(status));
  }
  [[nodiscard]] Status explained(Status out) const {
    if (out.code != Code::kUnavailable) return out;
    const std::string reason = refusal ? refusal->reason() : std::string();
    if (!reason.empty()) {
      out.message = "the server at " + address + " is not the cluster's coordinator: " + reason;
      out.hint = "check the address; after a reinstallation, `overwinter login` again";
    } else if (out.hint.empty()) {
      out.message = "cannot reach the coordinator at " + address;
      out.hint = "is it running? `overwinter status`; a local cluster starts with `overwinter up`";
    }
    return out;
  }

  // A call that may be repeated: made once more when the coordinator cannot be reached.
  template <class Stub, class Request, class Response>
  [[nodiscard]] Result<Response> call(Stub& stub,
                                      grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                                      const Request& request) const {
    Response response;
    grpc::Status status = attempt(stub, method, request, response, call_timeout, false);
    const bool refused_by_us = refusal && !refusal->reason().empty();
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE && !refused_by_us) {
      // A restart takes a moment. A connection makes progress only while a call waits for it.
      const grpc::Status again =
          attempt(stub, method, request, response, std::min(call_timeout, kRestart), true);
      if (again.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) status = again;
    }
    if (!status.ok()) return fail(explained(status));
    return response;
  }

  // A list, whole. What is not a list is the same on each page.
  template <class Stub, class Request, class Response>
  [[nodiscard]] Result<Response> all_pages(Stub& stub,
                                           grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                        const Request&, Response*),
                                           Request request) const {
    Response all;
    for (;;) {
      Result<Response> page = call(stub, method, request);
      if (!page) return page;
      all.MergeFrom(*page);
      all.clear_next_page_token();
      if (page->next_page_token().empty()) return all;
      request.set_page_token(page->next_page_token());
    }
  }

  template <class Stub, class Request, class Response>
  [[nodiscard]] grpc::Status attempt(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, Response& response, Duration within, bool wait_for_ready) const {
    grpc::ClientContext context;
    prepare(context);
    context.set_wait_for_ready(wait_for_ready);
    context.set_deadline(std::chrono::system_clock::now() + within);
    return (stub.*method)(&context, request, &response);
  }
};

}  // namespace overwinter::client
