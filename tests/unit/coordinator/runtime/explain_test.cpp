#include "coordinator/runtime/explain.h"

#include <gmock/gmock.h>

#include "common/base/bytes.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::runtime {
namespace {

using testing::HasSubstr;

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    auto cluster = std::make_shared<ClusterView>();
    cluster->projects = {"a", "b"};
    change_.cluster = cluster;
  }

  // Of a machine of its own; `address`: of its peer port.
  void add_worker(const std::string& name, const std::string& address) {
    auto worker = std::make_shared<WorkerView>();
    worker->id = WorkerId(change_.workers.size() + 1);
    worker->name = name;
    worker->state = core::WorkerState::kReady;
    worker->machine.host_id = "host of " + name;
    worker->machine.peer_address = address;
    worker->machine.network = address.empty() ? "" : "10.0.0.0/24";
    worker->machine.devices.resize(1);
    worker->machine.devices[0].kind = "cpu";
    worker->machine.devices[0].memory_bytes = 4 * kGiB;
    worker->machine.devices[0].threads = 4;
    worker->uses.resize(1);
    worker->device_prices.resize(1);
    change_.workers.push_back(worker);
  }
  JobViewPtr add_gang(const std::string& project, std::uint32_t workers) {
    auto job = std::make_shared<JobView>();
    job->id = JobId(change_.jobs.size() + 1);
    job->project = project;
    job->name = "job-" + std::to_string(job->id.value());
    job->demand.transport = Transport::kGang;
    job->demand.seats_min = workers;
    job->demand.seats_max = workers;
    job->demand.memory_bytes = kGiB;
    job->demand.threads = 1;
    change_.jobs.push_back(job);
    return job;
  }
  v1::ExplainJobResponse explain(const JobViewPtr& job) {
    views_.apply(change_);
    Principal caller;
    caller.role = Role::kAdmin;
    return explain_job(views_, caller, *job);
  }

  ViewChange change_;
  Views views_{1};
};

TEST_F(ExplainTest, WorkersThatShareNoNetworkFormNoGang) {
  add_worker("w-1", "");
  add_worker("w-2", "");
  const auto why = explain(add_gang("a", 2));
  EXPECT_THAT(why.summary(), HasSubstr("on one private network"));
  EXPECT_THAT(why.smallest_change(), HasSubstr("--peer-address"));
}

TEST_F(ExplainTest, WorkersOnOneNetworkDo) {
  add_worker("w-1", "10.0.0.1:7610");
  add_worker("w-2", "10.0.0.2:7610");
  EXPECT_EQ(explain(add_gang("a", 2)).summary(), "it can start now");
}

TEST_F(ExplainTest, ARunningTrainingSaysWhatItsPlanDecided) {
  v1::Plan plan;
  plan.mutable_train()->set_precision("bf16");
  plan.mutable_train()->set_activations("recomputed");
  auto job = std::make_shared<JobView>(*add_gang("a", 1));
  job->state = core::JobState::kRunning;
  EXPECT_EQ(explain(job).summary(), "it runs on 0 workers, attempt 0, step 0");
  job->plan = std::make_shared<const std::string>(plan.SerializeAsString());
  EXPECT_EQ(explain(job).summary(),
            "it runs on 0 workers, attempt 0, step 0, precision bf16, activations recomputed");
}

TEST_F(ExplainTest, AGangOfAnotherProjectIsWaitedFor) {
  add_worker("w-1", "10.0.0.1:7610");
  add_worker("w-2", "10.0.0.2:7610");
  auto other = std::make_shared<JobView>(*add_gang("b", 1));
  other->state = core::JobState::kRunning;
  other->seats.resize(1);
  other->seats[0].worker = WorkerId(1);
  change_.jobs.back() = other;
  EXPECT_THAT(explain(add_gang("a", 2)).summary(), HasSubstr("a gang of another project"));
}

}  // namespace
}  // namespace overwinter::runtime
