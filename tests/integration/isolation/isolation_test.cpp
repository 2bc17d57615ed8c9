// Nothing is told across projects (TRUST §5): whatever one tenant does changes no answer to the
// other and shows in none. Names, numbers and digests; not timing. What is left out of the
// comparison, and why, stands at Life::comparable(); what two tenants' jobs do to each other on a
// machine that both may use is not compared, because each has a machine of its own here: how much
// of a shared machine is free is told to those who may use it, since it is why their jobs wait.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <sstream>

#include "coordinator/runtime/job_queries.h"
#include "tests/integration/isolation/probes.h"

namespace overwinter::test {
namespace {

constexpr int kSteps = 60;
constexpr auto kStepTime = Duration(700);

std::uint64_t seeds() {
  const char* asked = std::getenv("OVERWINTER_SEEDS");
  return asked == nullptr ? 6 : std::strtoull(asked, nullptr, 10);
}

// The reader's answers; with `secret`, between them the other tenant lives too.
struct Told {
  std::vector<std::string> answers;     // comparable
  std::vector<std::string> with_names;  // that hold a word of the other tenant
};

Told live(std::uint64_t seed, bool with_secret, const Tenants::MakeJobs& make_jobs = {}) {
  Tenants tenants(make_jobs);
  Life reader(tenants, kReader, seed);
  Life secret(tenants, kSecret, seed + 1'000'000);
  std::mt19937_64 random(seed + 2'000'000);
  Told told;
  for (int i = 0; i < kSteps; ++i) {
    const auto others = with_secret ? random() % 4 : 0;
    for (std::uint64_t k = 0; k < others; ++k) {
      secret.envy(reader.jobs());
      secret.step();
    }
    const std::string answer = reader.step();
    if (const auto word = secret_in(answer, secrets_of(secret)); !word.empty()) {
      told.with_names.push_back("\"" + word + "\" in " + answer);
    }
    told.answers.push_back(reader.comparable(answer));
    tenants.pass(kStepTime);
  }
  return told;
}

// The first line that the other tenant's life has changed.
std::optional<std::string> difference(const Told& alone, const Told& beside) {
  for (std::size_t i = 0; i < alone.answers.size(); ++i) {
    if (alone.answers[i] == beside.answers[i]) continue;
    std::istringstream one(alone.answers[i]);
    std::istringstream other(beside.answers[i]);
    std::string line;
    std::string changed;
    while (std::getline(one, line) && std::getline(other, changed) && line == changed) {
    }
    return "call " + std::to_string(i) + "\nalone:  " + line + "\nbeside: " + changed + "\nin " +
           beside.answers[i];
  }
  return std::nullopt;
}

TEST(Isolation, NothingThatOneTenantDoesChangesWhatAnotherIsTold) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Told alone = live(seed, false);
    const Told beside = live(seed, true);
    const auto changed = difference(alone, beside);
    ASSERT_FALSE(changed) << *changed;
    ASSERT_TRUE(beside.with_names.empty()) << beside.with_names.front();
  }
}

// A tenant with jobs in every state, and content; and a reader whose jobs wait.
struct Neighbours {
  explicit Neighbours(const Tenants::MakeJobs& make_jobs = {})
      : tenants(make_jobs), secret(tenants, kSecret, 5) {
    secret.upload(true);
    secret.upload(false);
    while (secret.jobs().size() < 4) {
      secret.step();
      tenants.pass(kStepTime);
    }
  }
  Tenants tenants;
  Life secret;
};

TEST(Isolation, WhatAnotherTenantHasIsAnsweredAsWhatDoesNotExist) {
  Neighbours neighbours;
  const Probed probed = probe(neighbours.tenants, neighbours.secret);
  EXPECT_GT(probed.calls, 1'000U);
  for (const auto& told : probed.told) ADD_FAILURE() << told;
}

// A JobService that forgets to look at the project: in the answer to a name, and in a number.
class LeakyJobs final : public v1::JobService::CallbackService {
 public:
  explicit LeakyJobs(ServiceCluster& cluster) : cluster_(cluster) {}

  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  Reactor* SubmitJob(Call* call, const v1::SubmitJobRequest* request, v1::Job* job) override {
    return cluster_.job_service.SubmitJob(call, request, job);
  }
  Reactor* GetJob(Call* call, const v1::GetJobRequest* request, v1::Job* job) override {
    const Principal everybody;
    const auto found = runtime::find_job(cluster_.views, everybody, request->name());
    if (found) *job = runtime::job_resource(cluster_.views, **found);
    auto* reactor = call->DefaultReactor();
    reactor->Finish(rpc::to_grpc(found ? Status::success() : found.error(), request->name()));
    return reactor;
  }
  Reactor* ListJobs(Call* call, const v1::ListJobsRequest*,
                    v1::ListJobsResponse* response) override {
    response->set_event(cluster_.views.next_event(kReader));
    response->set_total_size(static_cast<std::int64_t>(cluster_.views.jobs("").size()));
    auto* reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  ServiceCluster& cluster_;
};

std::unique_ptr<grpc::Service> leaky(ServiceCluster& cluster) {
  return std::make_unique<LeakyJobs>(cluster);
}

TEST(Isolation, APlantedLeakIsFound) {
  EXPECT_TRUE(difference(live(1, false, leaky), live(1, true, leaky))) << "in a number";
  Neighbours neighbours(leaky);
  const Probed probed = probe(neighbours.tenants, neighbours.secret);
  EXPECT_TRUE(std::any_of(probed.told.begin(), probed.told.end(), [](const auto& told) {
    return told.starts_with("JobService/GetJob ");
  })) << "in the answer to a name";
}

}  // namespace
}  // namespace overwinter::test
