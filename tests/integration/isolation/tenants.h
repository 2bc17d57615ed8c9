// Two tenants of one coordinator: the same services, store and loop, a machine each, tokens of
// every role. Time moves by hand, so that the same calls get the same answers.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/dashboard/router.h"
#include "tests/integration/isolation/workers.h"
#include "tests/support/page_parts.h"
#include "tests/support/service_cluster.h"

namespace overwinter::test {

// The tenant that must learn nothing, and the one of which nothing may be learned. The name of the
// second stands in all that it makes, and nowhere else.
inline const std::string kReader = "beta";
inline const std::string kSecret = "zebra";
inline constexpr std::array kRoles{Role::kViewer, Role::kSubmitter, Role::kOperator, Role::kBilling,
                                   Role::kAdmin};

// What a call of any method was answered with.
struct Answer {
  grpc::Status status;
  std::vector<std::string> messages;  // serialised
};

class Tenants {
 public:
  // Makes what stands for the JobService; none: the real one.
  using MakeJobs = std::function<std::unique_ptr<grpc::Service>(ServiceCluster&)>;
  explicit Tenants(const MakeJobs& make_jobs = {});
  ~Tenants();

  // Calls "JobService/GetJob", … with a token of the project; reads at most `most` messages.
  [[nodiscard]] Answer call(const std::string& project, Role role, const std::string& method,
                            const google::protobuf::Message& request, std::size_t most = 1'000);
  // As call(), of a method that takes several messages.
  [[nodiscard]] Answer send(const std::string& project, Role role, const std::string& method,
                            const std::vector<std::string>& messages, std::size_t most);
  // GET; the status and the body.
  [[nodiscard]] std::string get(const std::string& project, Role role, const std::string& target);
  // Time passes, and the machines work.
  void pass(Duration duration);
  // Waits until everything that was said has had its effect.
  void settle();

 private:
  void prepare();
  void ask_core();

  StoredCluster stored_;
  PageParts page_{stored_.folder()};
  std::map<std::pair<std::string, Role>, std::string> tokens_;
  std::vector<std::pair<WorkerId, core::test::WorkerBuilder>> machines_;
  Daemons daemons_;
  std::unique_ptr<ManualClock> clock_;
  std::unique_ptr<ServiceCluster> services_;
  std::unique_ptr<grpc::Service> jobs_;
  std::unique_ptr<dashboard::Router> router_;
};

// An answer as text: the status with its details, and each message field by field.
[[nodiscard]] std::string text_of(const std::string& method, const Answer& answer);

}  // namespace overwinter::test
