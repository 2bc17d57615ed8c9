#include "coordinator/runtime/requests.h"

#include <utility>

namespace overwinter::runtime {

core::ReplyId Requests::remember(Answer answer) {
  MutexLock lock(mutex_);
  const core::ReplyId id(next_++);
  waiting_.emplace(id, std::move(answer));
  return id;
}

void Requests::refuse(core::ReplyId id, Status status) {
  core::Reply reply;
  reply.reply = id;
  reply.status = std::move(status);
  deliver(reply);
}

void Requests::deliver(const core::Reply& reply) {
  Answer answer;
  {
    MutexLock lock(mutex_);
    const auto it = waiting_.find(reply.reply);
    if (it == waiting_.end()) return;
    answer = std::move(it->second);
    waiting_.erase(it);
  }
  answer(reply);
}

Status Requests::stopping() {
  return error(Code::kUnavailable, "the coordinator is stopping");
}

void Requests::fail_all() {
  std::map<core::ReplyId, Answer> waiting;
  {
    MutexLock lock(mutex_);
    waiting.swap(waiting_);
  }
  core::Reply reply;
  reply.status = stopping();
  for (const auto& [id, answer] : waiting) {
    reply.reply = id;
    answer(reply);
  }
}

}  // namespace overwinter::runtime
