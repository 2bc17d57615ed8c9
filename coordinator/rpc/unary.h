// The shapes of a unary call. Each resolves the caller from the call's own credential first and
// ends a call that is refused; what is left to a handler is its answer.
#pragma once

#include <grpcpp/server_context.h>

#include <functional>
#include <string>
#include <utility>

#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

using Unary = grpc::ServerUnaryReactor;

// `begin(caller, reactor)`: OK when it ends the call itself, now or later; else the call ends with
// what it returns.
template <class Begin>
Unary* answer_later(ServiceContext& context, grpc::CallbackServerContext* call,
                    Permission permission, Begin begin) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context.authorizer->caller(*call, permission);
  if (const Status status = caller ? begin(*caller, reactor) : caller.error(); !status.ok()) {
    finish(reactor, status);
  }
  return reactor;
}

// The call ends with what `answer(caller)` returns.
template <class Answer>
Unary* answer_now(ServiceContext& context, grpc::CallbackServerContext* call, Permission permission,
                  Answer answer) {
  auto* reactor = call->DefaultReactor();
  const auto caller = context.authorizer->caller(*call, permission);
  finish(reactor, caller ? answer(*caller) : caller.error());
  return reactor;
}

// The same on the pool, for what reads the disk or takes long. A call that was cancelled or whose
// deadline has passed while it waited is not worked on.
template <class Answer>
Unary* answer_on_pool(ServiceContext& context, grpc::CallbackServerContext* call,
                      Permission permission, runtime::Work work, Answer answer) {
  return answer_later(
      context, call, permission, [&](const Principal& caller, Unary* reactor) -> Status {
        return context.pool.run(work, [call, caller, reactor, answer = std::move(answer)] {
          finish(reactor, call->IsCancelled()
                              ? error(Code::kCancelled, "nobody waits for the answer any more")
                              : answer(caller));
        });
      });
}

// Ends the call with what `answer` says of the job of that name: at once when the core holds it,
// else from the pool, where the past is asked.
void answer_of_job(ServiceContext& context, const Principal& caller, const std::string& name,
                   Unary* reactor, std::function<Status(const runtime::JobView&)> answer);

}  // namespace overwinter::rpc
