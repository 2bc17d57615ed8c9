// Projects, tokens and join files. The permission itself is checked where a call enters (TRUST §2);
// here is what depends on the state.
#include "coordinator/core/engine.h"

namespace overwinter::core {

void Engine::on(const ProjectCreateRequested& event) {
  if (state_.projects.contains(event.project)) {
    reply(event.reply, error(Code::kAlreadyExists,
                             "there is a project \"" + event.project + "\" already", "project"));
    return;
  }
  emit(ProjectCreated{event.project, event.by.id});
  reply(event.reply, Status::success());
}

void Engine::on(const TokenCreateRequested& event) {
  if (!event.project.empty() && !state_.projects.contains(event.project)) {
    reply(event.reply, error(Code::kNotFound, "there is no project \"" + event.project + "\"",
                             "project", "overwinter projects list"));
    return;
  }
  const TokenId id(fresh_id(state_.next_token));
  emit(TokenCreated{id, event.hash, event.role, event.project, event.name, event.expires,
                    event.by.id});
  Reply answer;
  answer.reply = event.reply;
  answer.token = id;
  effect(std::move(answer));
}

void Engine::on(const TokenRevokeRequested& event) {
  if (event.token.valid()) {
    const auto it = state_.tokens.find(event.token);
    if (it == state_.tokens.end()) {
      reply(event.reply, error(Code::kNotFound, "there is no such token", "token"));
      return;
    }
    if (!it->second.revoked_at) emit(TokenRevoked{event.token, event.by.id});
    effect(EndPrincipal{PrincipalKind::kPerson, event.token.value()});
  } else {
    const auto it = state_.join_files.find(event.join_file);
    if (it == state_.join_files.end()) {
      reply(event.reply, error(Code::kNotFound, "there is no such join file", "join_file"));
      return;
    }
    if (!it->second.revoked_at) emit(JoinFileRevoked{event.join_file, event.by.id});
    effect(EndPrincipal{PrincipalKind::kJoin, event.join_file.value()});
  }
  reply(event.reply, Status::success());
}

void Engine::on(const JoinFileCreateRequested& event) {
  for (const std::string& project : event.projects) {
    if (state_.projects.contains(project)) continue;
    reply(event.reply, error(Code::kNotFound, "there is no project \"" + project + "\"", "projects",
                             "overwinter projects list"));
    return;
  }
  const JoinFileId id(fresh_id(state_.next_join_file));
  emit(JoinFileCreated{id, event.uses, event.expires, event.name, event.projects,
                       event.may_set_price, event.by.id});
  Reply answer;
  answer.reply = event.reply;
  answer.join_file = id;
  effect(std::move(answer));
}

}  // namespace overwinter::core
