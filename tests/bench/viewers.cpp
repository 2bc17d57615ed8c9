#include "tests/bench/viewers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>
#include <utility>

#include "common/base/mutex.h"
#include "tests/bench/page_client.h"

namespace overwinter::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// lib/events.ts and lib/live.ts
constexpr auto kSilence = seconds(30);
constexpr auto kRetry = seconds(4);
constexpr auto kSettle = milliseconds(100);
constexpr auto kFollowed = seconds(60);

// What a page on a running job asks (job/job.tsx, curves.tsx, log_tail.tsx).
struct Question {
  std::string path;
  milliseconds every{0};
  bool followed = false;  // by the stream: asked seldom while that is there
  Clock::time_point due;
};
std::vector<Question> questions_of(const std::string& job, Clock::time_point now) {
  const std::string path = "/api/v1/" + job;
  return {{path, milliseconds(2000), true, now},
          {path + "/checkpoints", milliseconds(5000), false, now},
          {path + "/timeline", milliseconds(5000), false, now},
          {path + "/series?x=step", milliseconds(10'000), false, now},
          {path + "/logs?lines=12", milliseconds(3000), false, now}};
}

std::string encoded(const std::string& topic) {
  std::string out;
  for (const char c : topic) out += c == '/' ? std::string("%2F") : std::string(1, c);
  return out;
}

}  // namespace

// All of it on the one thread, but for the counts.
struct Viewers::Impl {
  explicit Impl(const PageServer& server) : door(server), guard(door.io.get_executor()) {
    thread = std::thread([this] { door.io.run(); });
  }
  ~Impl() {
    door.io.stop();
    thread.join();
  }

  // ---- a tab
  struct Tab {
    Tab(Impl& of, PageSession who, std::string what)
        : session(std::move(who)), job(std::move(what)), line(of.door), timer(of.door.io) {}
    const PageSession session;
    const std::string job;
    Line line;
    asio::steady_timer timer;  // until the next question
    std::vector<Question> questions;
    std::string after;  // number of the last event that it knows
    bool following = false;
  };
  Await<void> look(std::shared_ptr<Tab> tab, milliseconds after);
  Await<void> answer_next(std::shared_ptr<Tab> tab);
  Await<void> follow(std::shared_ptr<Tab> tab);
  Await<void> follow_once(std::shared_ptr<Tab> tab);
  void take(Tab& tab, std::string_view event);

  // ---- a script
  Await<void> read(PageSession session, std::vector<std::string> paths, std::size_t first,
                   std::chrono::nanoseconds every);

  void note_failure(const std::string& what) {
    const MutexLock lock(mutex);
    if (counts.failed++ == 0) counts.first_failure = what;
  }
  void note(std::uint64_t Counts::*which, std::uint64_t more) {
    const MutexLock lock(mutex);
    counts.*which += more;
  }
  bool note_answer(const Answer& answer, std::uint64_t Counts::*which) {
    if (answer.result_int() != 200) {
      note_failure(fmt::format("{}: {}", answer.result_int(), answer.body()));
      return false;
    }
    note(which, 1);
    note(&Counts::bytes, answer.body().size());
    return true;
  }
  template <class Body>
  void run(Body body) {
    asio::co_spawn(door.io, std::move(body), asio::detached);
  }

  Door door;
  asio::executor_work_guard<asio::io_context::executor_type> guard;
  mutable Mutex mutex;
  Counts counts OW_GUARDED_BY(mutex);
  std::thread thread;
};

Await<void> Viewers::Impl::look(std::shared_ptr<Tab> tab, milliseconds after) {
  tab->timer.expires_after(after);
  co_await tab->timer.async_wait(kHere);
  tab->questions = questions_of(tab->job, Clock::now());
  run([this, tab] { return follow(tab); });
  for (;;) {
    const auto next = std::ranges::min(tab->questions, {}, &Question::due).due;
    if (next > Clock::now()) {
      tab->timer.expires_at(next);
      // Cut short by a reset, which makes a question due.
      (void)co_await tab->timer.async_wait(asio::as_tuple(kHere));
      continue;
    }
    co_await answer_next(tab);
  }
}

Await<void> Viewers::Impl::answer_next(std::shared_ptr<Tab> tab) {
  Question& question = *std::ranges::min_element(tab->questions, {}, &Question::due);
  try {
    const Answer answer =
        co_await tab->line.ask(browser_request_of(door.host, question.path, tab->session));
    if (note_answer(answer, &Counts::questions) && question.followed) {
      tab->after = std::to_string(event_of(answer));
    }
  } catch (const std::exception& problem) {
    note_failure(question.path + ": " + problem.what());
  }
  const bool seldom = question.followed && tab->following;
  question.due = Clock::now() + (seldom ? milliseconds(kFollowed) : question.every);
}

Await<void> Viewers::Impl::follow(std::shared_ptr<Tab> tab) {
  asio::steady_timer timer(door.io);
  for (;;) {
    timer.expires_after(kSettle);
    co_await timer.async_wait(kHere);
    if (tab->after.empty()) continue;
    try {
      co_await follow_once(tab);
      note_failure("a stream was ended by the coordinator");
    } catch (const std::exception& problem) {
      note_failure(std::string("a stream: ") + problem.what());
    }
    tab->following = false;
    timer.expires_after(kRetry);
    co_await timer.async_wait(kHere);
  }
}

Await<void> Viewers::Impl::follow_once(std::shared_ptr<Tab> tab) {
  const auto stream = co_await door.connect();
  const Request request = browser_request_of(
      door.host, "/api/v1/events?topics=" + encoded(tab->job) + "&after=" + tab->after,
      tab->session);
  co_await http::async_write(*stream, request, kHere);
  beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  co_await http::async_read_header(*stream, buffer, parser, kHere);
  if (parser.get().result_int() != 200) {
    throw std::runtime_error(fmt::format("answered {}", parser.get().result_int()));
  }
  std::array<char, 16'384> piece{};
  std::string rest;
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    beast::get_lowest_layer(*stream).expires_after(kSilence);
    const auto [failed, read] =
        co_await http::async_read_some(*stream, buffer, parser, asio::as_tuple(kHere));
    if (failed && failed != http::error::need_buffer) throw beast::system_error(failed);
    const std::size_t got = piece.size() - body.size;
    note(&Counts::bytes, got);
    rest.append(piece.data(), got);
    for (std::size_t end = 0; (end = rest.find("\n\n")) != std::string::npos;) {
      take(*tab, std::string_view(rest).substr(0, end));
      rest.erase(0, end + 2);
    }
  }
}

void Viewers::Impl::take(Tab& tab, std::string_view event) {
  std::string_view kind;
  while (!event.empty()) {
    const std::string_view line = event.substr(0, event.find('\n'));
    if (line.starts_with("id: ")) tab.after = line.substr(4);
    if (line.starts_with("event: ")) kind = line.substr(7);
    event.remove_prefix(std::min(event.size(), line.size() + 1));
  }
  if (kind == "hello") tab.following = true;
  if (kind == "job") note(&Counts::changes, 1);
  if (kind != "reset") return;
  note(&Counts::resets, 1);
  tab.questions.front().due = Clock::now();
  tab.timer.cancel();
}

Await<void> Viewers::Impl::read(PageSession session, std::vector<std::string> paths,
                                std::size_t first, std::chrono::nanoseconds every) {
  Line line(door);
  asio::steady_timer timer(door.io);
  auto due = Clock::now() + every * static_cast<long>(first) / static_cast<long>(paths.size());
  for (std::size_t at = first;; ++at) {
    timer.expires_at(due);
    co_await timer.async_wait(kHere);
    // What the other side does not keep up with is not made good in a burst.
    due = std::max(due + every, Clock::now() - every);
    const std::string& path = paths[at % paths.size()];
    try {
      const Answer answer =
          co_await line.ask(request_of(http::verb::get, door.host, path, session));
      note_answer(answer, &Counts::reads);
    } catch (const std::exception& problem) {
      note_failure(path + ": " + problem.what());
    }
  }
}

Viewers::Viewers(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Viewers::~Viewers() = default;

Result<std::unique_ptr<Viewers>> Viewers::start(const PageServer& server) {
  try {
    return std::unique_ptr<Viewers>(new Viewers(std::make_unique<Impl>(server)));
  } catch (const std::exception& problem) {
    return fail(Code::kUnavailable, std::string("the page cannot be reached: ") + problem.what());
  }
}

void Viewers::open_page(const PageSession& session, const std::string& job,
                        std::uint64_t after_ms) {
  asio::post(impl_->door.io, [impl = impl_.get(), session, job, after_ms] {
    auto tab = std::make_shared<Impl::Tab>(*impl, session, job);
    impl->run([impl, tab, after_ms] { return impl->look(tab, milliseconds(after_ms)); });
  });
}

void Viewers::read(const PageSession& session, const std::vector<std::string>& paths,
                   double per_second, std::size_t connections) {
  const std::chrono::duration<double> every(static_cast<double>(connections) / per_second);
  for (std::size_t i = 0; i < connections; ++i) {
    asio::post(impl_->door.io, [impl = impl_.get(), session, paths, every, i] {
      impl->run([impl, session, paths, every, i] {
        return impl->read(session, paths, i,
                          std::chrono::duration_cast<std::chrono::nanoseconds>(every));
      });
    });
  }
}

Viewers::Counts Viewers::counts() const {
  const MutexLock lock(impl_->mutex);
  return impl_->counts;
}

}  // namespace overwinter::bench
