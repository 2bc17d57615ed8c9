#include "coordinator/dashboard/event_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "coordinator/dashboard/session_routes.h"
#include "coordinator/runtime/credentials.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::dashboard {
namespace {

constexpr std::size_t kEventsAtOnce = 256;
constexpr std::size_t kSentAtOnceMax = 64;
constexpr std::size_t kTopicsMax = 64;

void add_event(std::string& out, std::string_view kind, std::string_view data,
               std::optional<std::uint64_t> id = std::nullopt) {
  if (id) out += fmt::format("id: {}\n", *id);
  while (data.ends_with('\n')) data.remove_suffix(1);
  out += fmt::format("event: {}\ndata: {}\n\n", kind, data);
}

std::vector<std::string> split_topics(const std::string& text) {
  std::vector<std::string> out;
  for (std::string_view rest = text; !rest.empty();) {
    const auto comma = rest.find(',');
    out.emplace_back(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<void>> StreamCount::take(const std::shared_ptr<StreamCount>& of,
                                                std::uint64_t token) {
  const MutexLock lock(of->mutex_);
  const auto own = of->open_.find(token);
  const bool too_many = own != of->open_.end() && own->second >= kStreamsOfOneMax;
  if (of->all_ >= kStreamsMax || too_many) {
    return fail(Code::kResourceExhausted,
                too_many ? "this token follows from too many places already"
                         : "too many pages follow this coordinator already",
                {}, "close some of them; what is asked for once is still answered");
  }
  ++of->open_[token];
  ++of->all_;
  return std::shared_ptr<void>(nullptr, [of, token](void*) {
    const MutexLock done(of->mutex_);
    --of->all_;
    if (--of->open_[token] == 0) of->open_.erase(token);
  });
}

Result<EventStream::Wish> EventStream::wish_of(const Sources& sources, const Principal& caller,
                                               std::string_view query,
                                               const std::string& last_event_id) {
  const auto read = Query::read(query, {"topics", "after"});
  if (!read) return fail(read.error());
  Wish out;
  const auto topics = split_topics(read->text("topics"));
  if (topics.empty() || topics.size() > kTopicsMax)
    return fail(Code::kInvalidArgument, "topics are 1 to 64: jobs, workers, projects/P/jobs/J",
                "topics");
  for (const std::string& topic : topics) {
    if (topic == "jobs") {
      out.jobs = true;
    } else if (topic == "workers") {
      if (!may(caller, Permission::kReadWorkers))
        return fail(Code::kPermissionDenied, "workers are not for this token to see", "topics");
      out.workers = true;
    } else {
      const auto job = runtime::find_job(sources.views, caller, topic);
      if (!job) return fail(job.error());
      out.names.insert(topic);
    }
  }
  const auto after = read->number("after");
  if (!after) return fail(after.error());
  out.after = *after;
  if (!last_event_id.empty()) {
    const auto given = Query::read("after=" + last_event_id, {"after"});
    const auto number = given ? given->number("after") : Result<std::optional<std::uint64_t>>();
    if (!given || !number)
      return fail(Code::kInvalidArgument, "Last-Event-ID is a number", "Last-Event-ID");
    out.after = *number;
  }
  return out;
}

EventStream::EventStream(const Sources& sources, JobTexts& texts, Principal caller, Wish wish,
                         std::shared_ptr<void> place, std::function<Status()> still)
    : sources_(sources),
      texts_(texts),
      caller_(std::move(caller)),
      wish_(std::move(wish)),
      place_(std::move(place)),
      still_(std::move(still)) {}

EventStream::~EventStream() {
  if (listener_) sources_.views.unlisten(*listener_);
}

void EventStream::start(std::function<void()> wake) {
  // The number is taken first: a change in between is shown twice rather than never.
  next_ = wish_.after ? *wish_.after + 1 : sources_.views.next_event(caller_.project);
  began_ = next_ - 1;
  // Workers are looked at by the clock.
  if (!wish_.jobs && wish_.names.empty()) return;
  listener_ = sources_.views.listen(caller_.project, std::move(wake));
}

// Asked of every event of the project, by every stream: nothing is put together for it.
bool EventStream::wanted(const runtime::JobView& job) const {
  if (wish_.jobs) return true;
  return std::ranges::any_of(wish_.names, [&](std::string_view name) {
    if (!name.ends_with(job.name)) return false;
    name.remove_suffix(job.name.size());
    constexpr std::string_view kBefore = "projects/";
    constexpr std::string_view kBetween = "/jobs/";
    return name.size() == kBefore.size() + job.project.size() + kBetween.size() &&
           name.substr(kBefore.size()).starts_with(job.project) && name.ends_with(kBetween);
  });
}

Stream::Piece EventStream::next() {
  Piece piece;
  const Time now = sources_.loop.now();
  if (!std::exchange(greeted_, true)) {
    heartbeat_at_ = now + kHeartbeatEvery;
    add_event(piece.text, "hello", "{}", next_ - 1);
  }
  if (wish_.jobs || !wish_.names.empty()) {
    take_events(piece.text);
    send_jobs(now, piece.text);
  }
  if (wish_.workers && now >= workers_at_) send_workers(now, piece.text);
  if (now >= heartbeat_at_) {
    // A token that was revoked, or has ended, follows no longer.
    piece.end = !still_().ok();
    heartbeat_at_ = now + kHeartbeatEvery;
    add_event(piece.text, "heartbeat", nlohmann::json{{"now", format_time(now)}}.dump());
  }
  piece.again = until_next(now);
  piece.rest = rest(now);
  return piece;
}

void EventStream::take_events(std::string& out) {
  for (;;) {
    auto events = sources_.views.events(caller_.project, next_, kEventsAtOnce);
    if (events && events->empty()) return;
    if (events) {
      for (auto& event : *events) {
        next_ = event.number + 1;
        if (wanted(*event.job)) waiting_[event.job->id] = {event.number, event.job};
      }
    }
    if (!events || waiting_.size() > kJobsWaitingMax) {
      waiting_.clear();
      next_ = sources_.views.next_event(caller_.project);
      add_event(out, "reset", "{}", next_ - 1);
      return;
    }
  }
}

void EventStream::send_jobs(Time now, std::string& out) {
  if (sent_.size() > kJobsWaitingMax) {
    std::erase_if(sent_, [&](const auto& sent) {
      return now - sent.second.at >= kResourceEvery && !waiting_.contains(sent.first);
    });
  }
  std::vector<std::pair<std::uint64_t, JobId>> due;
  for (const auto& [id, waiting] : waiting_)
    if (due_at(id) <= now) due.emplace_back(waiting.number, id);
  std::ranges::sort(due);
  if (due.size() > kSentAtOnceMax) due.resize(kSentAtOnceMax);
  for (const auto& [number, id] : due) {
    Sent& sent = sent_.try_emplace(id, Sent{now, began_}).first->second;
    const JobTexts::Told told =
        texts_.recent(caller_.project.empty(), number, sent.number, waiting_.at(id).job, now);
    sent = {now, told.number};
    if (told.number == number) waiting_.erase(id);
    // Whoever comes back with this number still gets what waits.
    std::uint64_t seen = told.number;
    for (const auto& [other, waiting] : waiting_) seen = std::min(seen, waiting.number - 1);
    add_event(out, "job", *told.text, seen);
  }
}

void EventStream::send_workers(Time now, std::string& out) {
  workers_at_ = now + kWorkersEvery;
  for (const auto& worker : sources_.views.workers()) {
    if (!runtime::sees_worker(caller_, *worker)) continue;
    runtime::WorkerViewPtr& sent = workers_[worker->id];
    if (sent == worker) continue;
    // The first look is the page's own question.
    if (const bool first = std::exchange(sent, worker) == nullptr; first) continue;
    add_event(out, "worker",
              as_json(runtime::worker_resource(sources_.views, caller_, *worker, now)).body);
  }
}

Response follow_events(const Sources& sources, JobTexts& texts,
                       const std::shared_ptr<StreamCount>& streams, const Request& request,
                       std::string_view query, const Principal& caller) {
  auto wish = EventStream::wish_of(sources, caller, query, request.last_event_id);
  if (!wish) return refusal(wish.error());
  auto place = StreamCount::take(streams, caller.id);
  if (!place) return refusal(place.error());
  const auto still = [&sources, request]() -> Status {
    const auto known = caller_of(sources, request, sources.loop.now());
    if (!known) return known.error();
    return runtime::require(*known, Permission::kReadJobs);
  };
  Response response;
  response.content_type = "text/event-stream";
  response.stream = std::make_shared<EventStream>(sources, texts, caller, std::move(*wish),
                                                  std::move(*place), still);
  return response;
}

Time EventStream::due_at(JobId id) const {
  const auto sent = sent_.find(id);
  return sent == sent_.end() ? Time{} : sent->second.at + kResourceEvery;
}

Duration EventStream::until_next(Time now) const {
  Time at = heartbeat_at_;
  if (wish_.workers) at = std::min(at, workers_at_);
  for (const auto& [id, waiting] : waiting_) at = std::min(at, due_at(id));
  return std::max(at - now, Duration(0));
}

// Who follows single jobs alone has nothing to look for until one of them may be sent again.
Duration EventStream::rest(Time now) const {
  if (wish_.jobs || wish_.workers || sent_.size() < wish_.names.size()) return Duration(0);
  Time at = heartbeat_at_;
  for (const auto& [id, sent] : sent_) at = std::min(at, sent.at + kResourceEvery);
  return std::max(at - now, Duration(0));
}

}  // namespace overwinter::dashboard
