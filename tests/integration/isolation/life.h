// What one tenant does, drawn from a seed: every call that its roles offer. The answers are kept as
// text, without what every caller may be told differently (Life::comparable).
#pragma once

#include <random>
#include <string>
#include <vector>

#include "overwinter/v1/job.pb.h"
#include "tests/integration/isolation/tenants.h"

namespace overwinter::test {

class Life {
 public:
  Life(Tenants& tenants, std::string project, std::uint64_t seed)
      : tenants_(tenants), project_(std::move(project)), random_(seed) {}

  // One call, and its answer as it came.
  std::string step();
  // Names of jobs that others have: this tenant acts on them too.
  void envy(std::vector<std::string> jobs) { envied_ = std::move(jobs); }

  // The answer without what says nothing of others: the random end of a job's name, secrets that
  // were made, page tokens (they hold a name), and numbers of tokens, which count over the cluster
  // and are shown to admins alone.
  [[nodiscard]] std::string comparable(std::string text) const;

  [[nodiscard]] const std::vector<std::string>& jobs() const { return jobs_; }
  [[nodiscard]] const std::vector<std::string>& digests() const { return digests_; }
  [[nodiscard]] const std::string& page_token() const { return page_token_; }
  // Content that only this tenant has, and content that both have.
  std::string upload(bool shared);

 private:
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }
  Role role() { return kRoles.at(draw(kRoles.size())); }
  std::string some_job();
  std::string some_digest();
  std::string call(const std::string& method, const google::protobuf::Message& request,
                   std::size_t most = 1'000);
  void learn_jobs(const Answer& answer, const std::string& method);
  v1::JobSpec some_spec();
  std::string submit();
  std::string plan();
  std::string read_job();
  std::string list_jobs();
  std::string watch();
  std::string act();
  std::string update();
  std::string money();
  std::string people();
  std::string machines();
  std::string contents();
  std::string page();

  Tenants& tenants_;
  const std::string project_;
  std::mt19937_64 random_;
  std::vector<std::string> jobs_;  // resource names, as they were made
  std::vector<std::string> envied_;
  std::vector<std::string> digests_;
  std::vector<std::uint64_t> token_ids_;
  std::string page_token_;
};

}  // namespace overwinter::test
