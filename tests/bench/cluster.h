// A cluster of its own for a suite: the programs beside this one, in a temporary folder on free
// ports. Everything it started is ended, and the folder removed, with the object.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "client/sdk/client.h"
#include "tests/bench/child.h"
#include "tests/bench/suites.h"

namespace overwinter::bench {

inline constexpr const char* kProject = "default";
inline constexpr const char* kTestCoordinator = "overwinter-coordinator-test";
inline constexpr const char* kTestWorker = "overwinter-worker-test";

// A temporary folder that goes with the object.
class Folder {
 public:
  [[nodiscard]] static Result<Folder> make();
  Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Folder& operator=(Folder&&) = delete;
  ~Folder();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

class Cluster {
 public:
  // `overwinter up` with this many workers, each with this device.
  [[nodiscard]] static Result<std::unique_ptr<Cluster>> up(const Settings& settings,
                                                           unsigned workers,
                                                           const std::string& device);
  // The coordinator of the test build, which takes units that do nothing, and shipped workers; or
  // those of the test build, of which each tells of so many units a second (0: all that it gets).
  [[nodiscard]] static Result<std::unique_ptr<Cluster>> up_for_test_workloads(
      const Settings& settings, unsigned workers, const std::string& device,
      unsigned units_per_second = 0);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] client::Client& client() { return *client_; }
  [[nodiscard]] const client::Credentials& credentials() const { return credentials_; }
  [[nodiscard]] const std::string& home() const { return folder_.path(); }
  [[nodiscard]] std::string path(const std::string& name) const { return home() + "/" + name; }
  [[nodiscard]] std::string coordinator_folder() const;
  // HOST:PORT of the page.
  [[nodiscard]] Result<std::string> dashboard() const;
  // "coordinator", "worker-1", …
  [[nodiscard]] Result<pid_t> pid(const std::string& program) const;

  // Runs `overwinter ARGUMENTS` against it.
  [[nodiscard]] Result<Finished> command(const std::vector<std::string>& arguments) const;
  // Whether workers of this machine may ask for descriptors of blobs from now on; without, every
  // byte goes over TLS. A seat asks when it begins.
  Status share_descriptors(bool on);

  // Submits and waits for the end; the job as it ended. An error unless it succeeded.
  [[nodiscard]] Result<v1::Job> run_job(const v1::JobSpec& spec);

 private:
  Cluster(Settings settings, Folder folder);
  Status connect(const client::Context& context);
  Status start_worker(unsigned number, const std::string& device, unsigned units_per_second);
  Status wait_for_workers(unsigned workers);
  [[nodiscard]] std::string log_end(const std::string& file) const;

  const Settings settings_;
  Folder folder_;
  Environment environment_;
  bool with_command_ = false;     // `overwinter down` ends it
  std::vector<Running> running_;  // else these are ours
  client::Credentials credentials_;
  std::unique_ptr<client::Client> client_;
};

// A product of one unit, its inputs uploaded.
[[nodiscard]] Result<v1::JobSpec> one_unit_job(Cluster& cluster, const std::string& job);

// True once the user asked to end (SIGINT, SIGTERM).
[[nodiscard]] bool interrupted();
void watch_for_interrupts();

}  // namespace overwinter::bench
