#include "coordinator/dashboard/event_stream.h"

#include <gmock/gmock.h>

#include "coordinator/runtime/credentials.h"
#include "tests/unit/coordinator/dashboard/router_fixture.h"

namespace overwinter::dashboard {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

struct Told {
  std::string event;
  std::string id;
  nlohmann::json data;
};

std::vector<Told> events_of(const std::string& text) {
  std::vector<Told> out;
  std::istringstream lines(text);
  Told told;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("id: ")) told.id = line.substr(4);
    if (line.starts_with("event: ")) told.event = line.substr(7);
    if (line.starts_with("data: ")) told.data = nlohmann::json::parse(line.substr(6));
    if (line.empty()) out.push_back(std::exchange(told, {}));
  }
  return out;
}

// Before the fixture, which fills them as it is made.
struct Followed {
  std::string operator_;
  std::vector<std::string> live_;
};

class EventStreamTest : protected Followed, public RouterFixture {
 protected:
  EventStreamTest()
      : RouterFixture([this](TestCluster& cluster) {
          operator_ = add_token(Role::kOperator, "default");
          for (int i = 0; i < 2; ++i) {
            const JobId job =
                cluster.submit(a_job().in("default").with_units(40).with_memory(8 * kGiB));
            live_.push_back("projects/default/jobs/" + cluster.job(job).name);
          }
        }) {
    start();
  }

  Principal caller(const std::string& token) {
    const auto person =
        runtime::person_of(sources_->views, "Bearer " + token, sources_->loop.now());
    EXPECT_TRUE(person);
    return *person;
  }
  Result<EventStream::Wish> wish(const std::string& query, const std::string& last = {}) {
    return EventStream::wish_of(*sources_, caller(operator_), query, last);
  }
  std::unique_ptr<EventStream> open(const std::string& query) {
    auto wanted = wish(query);
    EXPECT_TRUE(wanted) << wanted.error().message;
    auto stream = std::make_unique<EventStream>(*sources_, texts_, caller(operator_), *wanted,
                                                nullptr, [this] { return still_; });
    stream->start([this] { ++woken_; });
    return stream;
  }
  void act(const std::string& job, const std::string& verb) {
    Request request = from_page("POST", "/api/v1/" + job + ":" + verb);
    request.authorization = "Bearer " + operator_;
    EXPECT_EQ(ask(request).status, 200U) << verb;
  }

  std::atomic<int> woken_ = 0;
  Status still_;
  JobTexts texts_{views_};
};

TEST_F(EventStreamTest, BeginsWithANumberAndTellsOfChanges) {
  const auto stream = open("topics=jobs");
  const auto hello = events_of(stream->next().text);
  ASSERT_EQ(hello.size(), 1U);
  EXPECT_EQ(hello[0].event, "hello");
  EXPECT_EQ(hello[0].id, std::to_string(views_.next_event("default") - 1));
  EXPECT_THAT(stream->next().text, IsEmpty());
  act(live_[0], "cancel");
  // The loop wakes who listens once it has answered.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (woken_ == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_GT(woken_, 0);
  const auto told = events_of(stream->next().text);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].event, "job");
  EXPECT_EQ(told[0].data.at("name"), live_[0]);
  EXPECT_EQ(told[0].data.at("state"), "CANCELLED");
}

TEST_F(EventStreamTest, AResourceIsSentFourTimesASecondAtMostAndItsNewestState) {
  const auto stream = open("topics=" + live_[0]);
  (void)stream->next();
  act(live_[0], "pause");
  EXPECT_EQ(events_of(stream->next().text).size(), 1U);
  act(live_[1], "pause");  // not asked for
  act(live_[0], "resume");
  act(live_[0], "cancel");
  const auto early = stream->next();
  EXPECT_THAT(early.text, IsEmpty());
  EXPECT_EQ(early.again, kResourceEvery);
  clock_->advance(kResourceEvery);
  const auto late = events_of(stream->next().text);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].data.at("state"), "CANCELLED");
}

TEST_F(EventStreamTest, WhoFollowsOneJobRestsUntilItMayBeSentAgain) {
  const auto one = open("topics=" + live_[0]);
  EXPECT_EQ(one->next().rest, Duration(0));
  act(live_[0], "pause");
  EXPECT_EQ(one->next().rest, kResourceEvery);
  clock_->advance(Duration(100));
  EXPECT_EQ(one->next().rest, kResourceEvery - Duration(100));
  clock_->advance(kResourceEvery);
  EXPECT_EQ(one->next().rest, Duration(0));
  const auto all = open("topics=jobs");
  (void)all->next();
  act(live_[0], "resume");
  EXPECT_EQ(all->next().rest, Duration(0)) << "another job may come at any time";
}

TEST_F(EventStreamTest, WhoFollowsWorkersAloneIsNotWokenByJobs) {
  const auto stream = open("topics=workers");
  act(live_[0], "pause");
  EXPECT_EQ(woken_, 0);
}

TEST_F(EventStreamTest, AnotherJobOfTheSameEndingIsNotTaken) {
  const auto stream = open("topics=" + live_[0]);
  (void)stream->next();
  act(live_[1], "pause");
  EXPECT_THAT(stream->next().text, IsEmpty());
}

TEST_F(EventStreamTest, WhoComesBackWithItsNumberMissesNothing) {
  auto first = open("topics=jobs");
  (void)first->next();
  act(live_[0], "pause");
  EXPECT_EQ(events_of(first->next().text).size(), 1U);
  act(live_[0], "resume");  // waits: that job was sent just now
  act(live_[1], "pause");
  const auto told = events_of(first->next().text);
  ASSERT_EQ(told.size(), 1U);
  first.reset();
  const auto again = open("topics=jobs&after=" + told[0].id);
  std::set<std::string> names;
  for (const Told& one : events_of(again->next().text))
    if (one.event == "job") names.insert(one.data.at("name"));
  EXPECT_TRUE(names.contains(live_[0]));
  EXPECT_EQ(*wish("topics=jobs&after=7", "9")->after, 9U) << "the header is the newer word";
}

TEST_F(EventStreamTest, ANumberOfAnotherHistoryIsAReset) {
  const auto stream = open("topics=jobs&after=1000000");
  const auto told = events_of(stream->next().text);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].event, "reset");
  act(live_[0], "pause");
  EXPECT_EQ(events_of(stream->next().text).size(), 1U);
}

TEST_F(EventStreamTest, BeatsAndEndsWithItsToken) {
  const auto stream = open("topics=jobs");
  (void)stream->next();
  clock_->advance(kHeartbeatEvery);
  const auto beat = stream->next();
  EXPECT_EQ(events_of(beat.text).at(0).event, "heartbeat");
  EXPECT_FALSE(beat.end);
  still_ = error(Code::kUnauthenticated, "the token has ended");
  clock_->advance(kHeartbeatEvery);
  EXPECT_TRUE(stream->next().end);
}

TEST_F(EventStreamTest, TopicsThatMakeNoSenseAreRefused) {
  EXPECT_EQ(wish("").error().field, "topics");
  EXPECT_EQ(wish("topics=nonsense").error().code, Code::kInvalidArgument);
  EXPECT_EQ(wish("topics=" + jobs_[1]).error().code, Code::kNotFound) << "another project's";
  EXPECT_EQ(wish("topics=jobs&sooner=1").error().field, "query");
  EXPECT_EQ(wish("topics=jobs", "x").error().field, "Last-Event-ID");
  EXPECT_THAT(ask("/api/v1/events", operator_).body, HasSubstr("topics"));
}

TEST_F(EventStreamTest, StreamsHaveABound) {
  const auto count = std::make_shared<StreamCount>();
  std::vector<std::shared_ptr<void>> held;
  for (std::size_t i = 0; i < kStreamsOfOneMax; ++i) held.push_back(*StreamCount::take(count, 7));
  EXPECT_EQ(StreamCount::take(count, 7).error().code, Code::kResourceExhausted);
  EXPECT_TRUE(StreamCount::take(count, 8));
  held.pop_back();
  EXPECT_TRUE(StreamCount::take(count, 7));
}

}  // namespace
}  // namespace overwinter::dashboard
