#include "coordinator/policy/placement.h"

#include <gtest/gtest.h>

#include "common/base/bytes.h"

namespace overwinter::policy {
namespace {

struct Fixture {
  DeviceInfo device{"cpu", "model", 4 * kGiB, 4, 10, 5};
  std::vector<std::string> projects;
  Demand demand;
  Fixture() {
    demand.memory_bytes = kGiB;
    demand.threads = 1;
  }
  [[nodiscard]] Candidate candidate() const {
    Candidate c;
    c.worker = WorkerId(1);
    c.worker_name = "box";
    c.projects = &projects;
    c.device = &device;
    return c;
  }
  [[nodiscard]] Verdict verdict(const Candidate& c) const { return can_hold({&demand, "p"}, c); }
};

TEST(Placement, ASeatsShareIsTheLargerOfItsParts) {
  Fixture f;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 250'000U);
  f.demand.memory_bytes = 3 * kGiB;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 750'000U);
  f.demand.threads = 0;
  EXPECT_EQ(seat_size(f.demand, f.device).threads, 4U);
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 1'000'000U);
}

TEST(Placement, EachHardConstraintSaysItsNumbers) {
  Fixture f;
  EXPECT_TRUE(f.verdict(f.candidate()).fits());
  Candidate c = f.candidate();
  c.not_ready = "is lost";
  EXPECT_EQ(f.verdict(c).why, Why::kNotReady);
  c = f.candidate();
  c.spot = true;
  f.demand.spot = SpotUse::kNever;
  EXPECT_EQ(f.verdict(c).why, Why::kSpot);
  f.demand.spot = SpotUse::kOnly;
  EXPECT_EQ(f.verdict(f.candidate()).why, Why::kSpot);
  f.demand.spot = SpotUse::kAllowed;
  f.projects = {"q"};
  EXPECT_EQ(f.verdict(f.candidate()).why, Why::kProject);
  f.projects = {"q", "p"};
  f.demand.device_kind = "H100";
  EXPECT_EQ(f.verdict(f.candidate()).why, Why::kKind);
  f.demand.device_kind = "cpu";
  c = f.candidate();
  c.host = {8 * kGiB, 4};
  f.demand.host = {16 * kGiB, 0};
  EXPECT_EQ(f.verdict(c).why, Why::kHostMemory);
  EXPECT_EQ(f.verdict(c).has, 8 * kGiB);
  f.demand.host = {8 * kGiB, 5};
  EXPECT_EQ(f.verdict(c).why, Why::kHostCpus);
  EXPECT_EQ(f.verdict(c).needs, 5U);
  f.demand.host = {};
  f.demand.memory_bytes = 5 * kGiB;
  Verdict v = f.verdict(f.candidate());
  EXPECT_EQ(v.why, Why::kMemoryTotal);
  EXPECT_EQ(v.has, 4 * kGiB);
  EXPECT_EQ(v.needs, 5 * kGiB);
  f.demand.memory_bytes = 2 * kGiB;
  c = f.candidate();
  c.memory_used = 3 * kGiB;
  v = f.verdict(c);
  EXPECT_EQ(v.why, Why::kMemoryFree);
  EXPECT_EQ(v.has, kGiB);
  c = f.candidate();
  c.threads_used = 4;
  EXPECT_EQ(f.verdict(c).why, Why::kThreadsFree);
  c = f.candidate();
  c.share_used_ppm = 600'000;  // 60 % of another's memory, 50 % of ours
  EXPECT_EQ(f.verdict(c).why, Why::kShareFree);
}

TEST(Placement, CheaperThenFasterThenTheSmallerId) {
  Fixture f;
  Candidate a = f.candidate();
  Candidate b = f.candidate();
  b.worker = WorkerId(2);
  EXPECT_LT(score(a), score(b));
  DeviceInfo fast = f.device;
  fast.gflops_fp32 = 20;
  b.device = &fast;
  EXPECT_LT(score(b), score(a));
  a.price_per_hour = Money{1};
  b.price_per_hour = Money{2};
  EXPECT_LT(score(a), score(b));
}

TEST(Placement, WhoHoldsNothingComesFirstThenPriorityThenSubmission) {
  Demand normal;
  Demand high;
  high.priority = Priority::kHigh;
  EXPECT_LT(rank(high, JobId(9), false), rank(normal, JobId(1), false));
  EXPECT_LT(rank(normal, JobId(1), false), rank(normal, JobId(2), false));
  EXPECT_LT(rank(normal, JobId(2), false), rank(high, JobId(1), true));
}

TEST(Placement, WhatFillsADeviceExactlyFits) {
  Fixture f;
  f.demand.memory_bytes = 4 * kGiB;
  f.demand.threads = 4;
  EXPECT_TRUE(f.verdict(f.candidate()).fits()) << "the whole device";
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 1'000'000U);
  f.demand.threads = 5;
  const Verdict total = f.verdict(f.candidate());
  EXPECT_EQ(total.why, Why::kThreadsTotal);
  EXPECT_EQ(total.has, 4U);
  EXPECT_EQ(total.needs, 5U);
  f.demand.memory_bytes = kGiB;
  f.demand.threads = 1;
  Candidate rest = f.candidate();
  rest.memory_used = 3 * kGiB;
  rest.threads_used = 3;
  rest.share_used_ppm = 750'000;
  EXPECT_TRUE(f.verdict(rest).fits()) << "the rest of it";
  rest.share_used_ppm = 750'001;
  const Verdict share = f.verdict(rest);
  EXPECT_EQ(share.why, Why::kShareFree);
  EXPECT_EQ(share.has, 249'999U);
  EXPECT_EQ(share.needs, 250'000U);
  // More may be reserved than a device has now: it has come back with less.
  rest.memory_used = 9 * kGiB;
  EXPECT_EQ(f.verdict(rest).has, 0U);
  rest.memory_used = 0;
  rest.threads_used = 9;
  EXPECT_EQ(f.verdict(rest).why, Why::kThreadsFree);
  EXPECT_EQ(f.verdict(rest).has, 0U);
  rest.threads_used = 0;
  rest.share_used_ppm = 1'200'000;
  EXPECT_EQ(f.verdict(rest).has, 0U);
}

TEST(Placement, EverySeatHasAShare) {
  Fixture f;
  f.demand.memory_bytes = 1;
  f.device.threads = 4'000'000;
  f.demand.threads = 1;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 1U) << "as little as it is";
  f.device.memory_bytes = 0;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 1'000'000U) << "of what there is not";
  f.demand.memory_bytes = 0;
  EXPECT_EQ(seat_size(f.demand, f.device).share_ppm, 1U);
}

TEST(Placement, ASpotWorkerIsForWhoAllowsItAndAnAvoidedOrHeldDeviceIsNotFree) {
  Fixture f;
  Candidate c = f.candidate();
  c.spot = true;
  f.demand.spot = SpotUse::kOnly;
  EXPECT_TRUE(f.verdict(c).fits());
  f.demand.spot = SpotUse::kNever;
  EXPECT_TRUE(f.verdict(f.candidate()).fits());
  c = f.candidate();
  c.avoided = true;
  EXPECT_EQ(f.verdict(c).why, Why::kAvoided);
  c.avoided = false;
  c.held = true;
  EXPECT_EQ(f.verdict(c).why, Why::kHeld);
  f.demand.device_kind = "any";
  c = f.candidate();
  c.projects = nullptr;
  EXPECT_TRUE(f.verdict(c).fits()) << "no list: every project";
}

TEST(Placement, AReasonWithoutNumbersHasNone) {
  Fixture f;
  const auto numbers = [](const Verdict& v) { return v.has + v.needs; };
  EXPECT_EQ(numbers(f.verdict(f.candidate())), 0U);
  Candidate c = f.candidate();
  c.not_ready = "is lost";
  EXPECT_EQ(numbers(f.verdict(c)), 0U);
  f.projects = {"q"};
  EXPECT_EQ(numbers(f.verdict(c)), 0U);
}

TEST(Placement, WhatIsNotSaidOfADeviceASeatOrAJobIsNothing) {
  EXPECT_EQ(Candidate{}.index + Candidate{}.threads_used + Candidate{}.share_used_ppm, 0U);
  EXPECT_EQ(Candidate{}.memory_used, 0U);
  EXPECT_EQ(SeatSize{}.memory_bytes, 0U);
  EXPECT_EQ(SeatSize{}.threads + SeatSize{}.share_ppm, 0U);
  EXPECT_EQ(Score{}, (Score{0, 0, WorkerId(), 0}));
  EXPECT_EQ(Rank{}, (Rank{0, 0, JobId()}));
  EXPECT_EQ(Explanation::Line{}.device, 0U);
}

TEST(Placement, TheFasterOfItsPrecisionsCounts) {
  Fixture f;
  DeviceInfo doubles = f.device;
  doubles.gflops_fp32 = 1;
  doubles.gflops_fp64 = 12;
  Candidate b = f.candidate();
  b.device = &doubles;
  b.worker = WorkerId(2);
  EXPECT_LT(score(b), score(f.candidate()));
}

TEST(Placement, AnExplanationNamesTheNearestDeviceAndWhatWouldHelp) {
  Fixture f;
  f.demand.memory_bytes = 5 * kGiB;
  const DeviceInfo small{"cpu", "model", kGiB, 4, 10, 5};
  Candidate other = f.candidate();
  other.worker_name = "small";
  other.device = &small;
  const Explanation e = explain({&f.demand, "p"}, {other, f.candidate()});
  EXPECT_FALSE(e.could_start);
  ASSERT_EQ(e.lines.size(), 2U);
  EXPECT_NE(e.summary.find("box"), std::string::npos) << e.summary;
  EXPECT_NE(e.would_help.find("1.0 GiB more than box"), std::string::npos) << e.would_help;
  EXPECT_EQ(explain({&f.demand, "p"}, {}).summary, "no worker is known");
}

// One device that holds nothing because of `spoil`; the sentence of it, and what would help.
template <class Spoil>
std::pair<std::string, std::string> explained(Spoil spoil) {
  Fixture f;
  Candidate c = f.candidate();
  spoil(f, c);
  const Explanation e = explain({&f.demand, "p"}, {c});
  EXPECT_FALSE(e.could_start);
  return {e.lines.at(0).why, e.would_help};
}
using Sentences = std::pair<std::string, std::string>;

TEST(Placement, EachReasonHasItsSentenceAndItsHelp) {
  EXPECT_EQ(explained([](Fixture&, Candidate& c) { c.not_ready = "is draining"; }),
            Sentences("is draining", "overwinter workers resume box"));
  EXPECT_EQ(explained([](Fixture&, Candidate& c) { c.not_ready = "is lost"; }),
            Sentences("is lost", "start or reconnect the daemon of box"));
  EXPECT_EQ(explained([](Fixture& f, Candidate&) { f.projects = {"q"}; }),
            Sentences("is not for project \"p\"", "a worker for project \"p\""));
  EXPECT_EQ(explained([](Fixture& f, Candidate&) { f.demand.threads = 6; }),
            Sentences("has 4 threads; a seat needs 6", "a device with 6 threads; box has 4"));
  EXPECT_EQ(
      explained([](Fixture&, Candidate& c) { c.threads_used = 4; }),
      Sentences("has 0 threads free; a seat needs 1", "it starts on box when seats there end"));
  EXPECT_EQ(explained([](Fixture&, Candidate& c) { c.share_used_ppm = 800'000; }),
            Sentences("has 20 % of itself free; a seat needs 25 %",
                      "it starts on box when seats there end"));
  EXPECT_EQ(explained([](Fixture& f, Candidate& c) {
              c.spot = true;
              f.demand.spot = SpotUse::kNever;
            }).first,
            "is spot, and the job never uses spot");
  EXPECT_EQ(explained([](Fixture& f, Candidate&) { f.demand.spot = SpotUse::kOnly; }).first,
            "is not spot, and the job uses only spot");
}

TEST(Placement, TheNearestIsWhatWaitingMendsThenWhatMissesLeast) {
  Fixture f;
  f.demand.memory_bytes = 2 * kGiB;
  Candidate busy = f.candidate();
  busy.worker_name = "busy";
  busy.memory_used = 4 * kGiB;
  Candidate nearly = f.candidate();
  nearly.worker_name = "nearly";
  nearly.memory_used = 3 * kGiB;
  Candidate gone = f.candidate();
  gone.worker_name = "gone";
  gone.not_ready = "is lost";
  const Want want{&f.demand, "p"};
  EXPECT_EQ(explain(want, {gone, busy, nearly}).would_help,
            "it starts on nearly when seats there end");
  EXPECT_EQ(explain(want, {nearly, busy, gone}).summary,
            "none of 3 devices can hold a seat; nearest is nearly: has 1.0 GiB of memory free; a "
            "seat needs 2.0 GiB");
  // Of equals the first.
  Candidate twin = nearly;
  twin.worker_name = "twin";
  EXPECT_EQ(explain(want, {nearly, twin}).would_help, "it starts on nearly when seats there end");
}

TEST(Placement, AnExplanationCountsTheSeatsThatAreNeededAtOnce) {
  Fixture f;
  const Want want{&f.demand, "p"};
  f.demand.seats_min = 0;
  EXPECT_TRUE(explain(want, {f.candidate()}).could_start);
  f.demand.seats_min = 2;
  EXPECT_TRUE(explain(want, {f.candidate(), f.candidate()}).could_start);
  const Explanation few = explain(want, {f.candidate()});
  EXPECT_FALSE(few.could_start);
  EXPECT_EQ(few.summary, "it needs 2 seats at once, and 1 devices can hold one now");
  EXPECT_EQ(few.would_help, "workers.min of at most 1, or more workers");
  f.demand.seats_min = 0;
  f.demand.threads = 5;
  EXPECT_FALSE(explain(want, {f.candidate()}).could_start) << "no seat is not enough";
}

}  // namespace
}  // namespace overwinter::policy
