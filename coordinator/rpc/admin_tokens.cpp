// AdminService: tokens, join files and the exchange of login codes.
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "common/security/join_file.h"
#include "common/security/token.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/admin_service.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/audit.h"
#include "coordinator/runtime/pages.h"

namespace overwinter::rpc {
namespace {

constexpr std::uint32_t kJoinUsesMax = 10'000;
constexpr Duration kJoinLife = std::chrono::hours(24);
constexpr Duration kJoinLifeMax = std::chrono::hours(24 * 30);
constexpr Duration kTokenLifeMax = std::chrono::hours(24 * 3650);
constexpr std::size_t kNameBytesMax = 80;

Result<Duration> lifetime(const google::protobuf::Duration& ttl, Duration most) {
  const auto duration = wire::from_proto(ttl);
  if (!duration) return fail(duration.error());
  if (duration->count() < 0 || *duration > most) {
    return fail(Code::kInvalidArgument, "ttl is between nothing and " + format_duration(most),
                "ttl");
  }
  return *duration;
}

Status check_name(const std::string& name) {
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return error(Code::kInvalidArgument, "a name holds no control characters", "name");
    }
  }
  if (name.size() <= kNameBytesMax) return Status::success();
  return error(Code::kInvalidArgument, "a name has at most 80 characters", "name");
}

// Who is bound to a project makes nothing beyond it.
Status check_reach(const ServiceContext& context, const Principal& caller,
                   const std::string& project) {
  if (!project.empty()) return check_project(context, caller, project);
  if (caller.project.empty()) return Status::success();
  return error(Code::kPermissionDenied,
               "a token of project " + caller.project + " makes tokens of that project alone",
               "project");
}

Result<core::TokenCreateRequested> read_token_request(const ServiceContext& context,
                                                      const Principal& caller,
                                                      const v1::CreateTokenRequest& request) {
  core::TokenCreateRequested event;
  event.by = caller;
  const auto role = parse_role(request.role());
  if (!role) return fail(role.error());
  event.role = *role;
  event.project = request.project();
  // Viewers and submitters belong to a project; the others see all unless told otherwise.
  if (event.project.empty() && (*role == Role::kViewer || *role == Role::kSubmitter)) {
    event.project = caller.project.empty() ? "default" : caller.project;
  }
  if (Status status = check_reach(context, caller, event.project); !status.ok()) {
    return fail(std::move(status));
  }
  if (Status status = check_name(request.name()); !status.ok()) return fail(std::move(status));
  event.name = request.name();
  const auto life = lifetime(request.ttl(), kTokenLifeMax);
  if (!life) return fail(life.error());
  if (life->count() > 0) event.expires = context.now() + *life;
  return event;
}

}  // namespace

Unary* AdminService::CreateToken(Call* call, const v1::CreateTokenRequest* request,
                                 v1::CreateTokenResponse* response) {
  return answer_later(
      context_, call, Permission::kManageTokens,
      [&](const Principal& caller, Unary* reactor) -> Status {
        auto event = read_token_request(context_, caller, *request);
        if (!event) return event.error();
        std::string token = make_token();
        event->hash = token_hash(token);
        context_.requests.ask(
            std::move(*event), [this, reactor, response, token](const core::Reply& reply) {
              finish(reactor,
                     reply.status.ok() ? hand_over(token, reply.token, *response) : reply.status);
            });
        return Status::success();
      });
}

// A new token as its resource and the line that fetches it.
Status AdminService::hand_over(const std::string& token, TokenId id,
                               v1::CreateTokenResponse& response) {
  if (const auto view = context_.views.token(id)) {
    *response.mutable_token() = runtime::token_resource(*view);
  }
  const auto code = codes_.add(token, id, context_.now());
  if (!code) return code.error();
  const auto fingerprint = parse_digest(context_.authority.root_fingerprint_hex());
  if (!fingerprint) return fingerprint.error();
  const auto line = encode_login_line({context_.people_address, *fingerprint, *code});
  if (!line) return line.error();
  response.set_login(*line);
  return Status::success();
}

Result<std::string> AdminService::exchange(std::string_view code) {
  auto waiting = codes_.take(code, context_.now());
  if (!waiting) return fail(waiting.error());
  const auto view = context_.views.token(waiting->id);
  if (!view || view->revoked) return fail(Code::kUnauthenticated, "that token was revoked");
  const Principal who{PrincipalKind::kPerson, view->id.value(), view->role, view->project,
                      view->name};
  auto event = runtime::audit_event(&who, context_.now());
  event.action = "login.exchange";
  event.object = event.actor;
  event.project = view->project;
  event.after = "the code is used up";
  context_.audit.decided(std::move(event));
  return std::move(waiting->token);
}

Unary* AdminService::ExchangeLoginCode(Call* call, const v1::ExchangeLoginCodeRequest* request,
                                       v1::ExchangeLoginCodeResponse* response) {
  auto* reactor = call->DefaultReactor();
  const auto token = exchange(request->code());
  if (!token) {
    finish(reactor, token.error());
    return reactor;
  }
  response->set_token(*token);
  const auto view = context_.views.token(token_hash(*token));
  if (!view) {
    finish(reactor, error(Code::kUnauthenticated, "that token was revoked"));
    return reactor;
  }
  response->set_role(std::string(role_name(view->role)));
  response->set_project(view->project);
  finish(reactor, Status::success());
  return reactor;
}

namespace {

Result<core::JoinFileCreateRequested> read_join_request(const ServiceContext& context,
                                                        const Principal& caller,
                                                        const v1::CreateJoinFileRequest& request) {
  core::JoinFileCreateRequested event;
  event.by = caller;
  event.uses = request.uses() == 0 ? 1 : request.uses();
  if (event.uses > kJoinUsesMax) {
    return fail(Code::kInvalidArgument, "a join file is good for at most 10,000 machines", "uses");
  }
  const auto life = lifetime(request.ttl(), kJoinLifeMax);
  if (!life) return fail(life.error());
  event.expires = context.now() + (life->count() > 0 ? *life : kJoinLife);
  if (Status status = check_name(request.name()); !status.ok()) return fail(std::move(status));
  event.name = request.name();
  for (const auto& project : request.projects()) {
    if (Status status = check_project(context, caller, project); !status.ok()) {
      return fail(std::move(status));
    }
    event.projects.push_back(project);
  }
  if (!caller.project.empty() && event.projects.empty()) event.projects = {caller.project};
  event.may_set_price = request.may_set_price();
  return event;
}

Result<std::string> make_join_file(const ServiceContext& context, JoinFileId id, Time expires) {
  const Time now = context.now();
  const std::string name = std::to_string(id.value());
  auto leaf = context.authority.issue_join(name, now, expires - now);
  if (!leaf) return fail(leaf.error());
  const auto fingerprint = parse_digest(context.authority.root_fingerprint_hex());
  if (!fingerprint) return fail(fingerprint.error());
  JoinFile file;
  file.cluster = context.authority.cluster();
  file.id = name;
  file.addresses = context.worker_addresses;
  file.root_fingerprint = *fingerprint;
  file.root_pem = context.authority.root_pem();
  file.leaf = std::move(*leaf);
  file.expires = expires;
  return encode_join_file(file);
}

}  // namespace

Unary* AdminService::CreateJoinFile(Call* call, const v1::CreateJoinFileRequest* request,
                                    v1::CreateJoinFileResponse* response) {
  return answer_later(
      context_, call, Permission::kManageTokens,
      [&](const Principal& caller, Unary* reactor) -> Status {
        auto event = read_join_request(context_, caller, *request);
        if (!event) return event.error();
        const Time expires = event->expires;
        context_.requests.ask(
            std::move(*event), [this, reactor, response, expires](const core::Reply& reply) {
              if (!reply.status.ok()) return finish(reactor, reply.status);
              if (const auto view = context_.views.join_file(reply.join_file)) {
                *response->mutable_token() = runtime::join_file_resource(*view);
              }
              // Making a key and a signature is no work for the loop's thread.
              const Status taken = context_.pool.run(
                  runtime::Work::kPlan, [this, reactor, response, expires, id = reply.join_file] {
                    auto text = make_join_file(context_, id, expires);
                    if (text) response->set_join_file(std::move(*text));
                    finish(reactor, text ? Status::success() : text.error());
                  });
              if (!taken.ok()) finish(reactor, taken);
            });
        return Status::success();
      });
}

namespace {

// What is listed: tokens first, then join files; each has a key that does not change.
std::vector<std::pair<std::string, v1::Token>> tokens_of(const runtime::Views& views,
                                                         const Principal& caller) {
  std::vector<std::pair<std::string, v1::Token>> out;
  for (const auto& token : views.tokens()) {
    if (!caller.project.empty() && caller.project != token.project) continue;
    out.emplace_back("token " + std::to_string(token.id.value()), runtime::token_resource(token));
  }
  if (!caller.project.empty()) return out;
  for (const auto& file : views.join_files()) {
    out.emplace_back("join file " + std::to_string(file.id.value()),
                     runtime::join_file_resource(file));
  }
  return out;
}

}  // namespace

Unary* AdminService::ListTokens(Call* call, const v1::ListTokensRequest* request,
                                v1::ListTokensResponse* response) {
  return answer_now(
      context_, call, Permission::kManageTokens, [&](const Principal& caller) -> Status {
        const std::string mark = "tokens\n" + caller.project;
        const auto page = runtime::read_page(request->page_size(), request->page_token(), mark);
        if (!page) return page.error();
        bool shown_before = !page->after.empty();
        std::string last;
        for (auto& [key, token] : tokens_of(context_.views, caller)) {
          if (shown_before) {
            shown_before = key != page->after;
            continue;
          }
          if (response->tokens_size() == page->size) {
            response->set_next_page_token(runtime::page_token(mark, last));
            break;
          }
          *response->add_tokens() = std::move(token);
          last = key;
        }
        return Status::success();
      });
}

Unary* AdminService::RevokeToken(Call* call, const v1::RevokeTokenRequest* request,
                                 v1::RevokeTokenResponse*) {
  return answer_later(
      context_, call, Permission::kManageTokens,
      [&](const Principal& caller, Unary* reactor) -> Status {
        core::TokenRevokeRequested event;
        event.by = caller;
        bool known = false;
        if (request->join_file()) {
          event.join_file = JoinFileId(request->id());
          known = caller.project.empty() && context_.views.join_file(event.join_file).has_value();
        } else {
          event.token = TokenId(request->id());
          const auto token = context_.views.token(event.token);
          known = token && (caller.project.empty() || caller.project == token->project);
        }
        if (!known) {
          return error(Code::kNotFound, "there is no token " + std::to_string(request->id()), "id",
                       "overwinter tokens list shows them");
        }
        context_.requests.ask(std::move(event), [reactor](const core::Reply& reply) {
          finish(reactor, reply.status);
        });
        return Status::success();
      });
}

}  // namespace overwinter::rpc
