// A coordinator with one credential of every kind, in this process.
#pragma once

#include <grpcpp/channel.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/security/ca.h"
#include "coordinator/app/coordinator.h"

namespace overwinter::test {

// What somebody shows: a token on the people's port, or a certificate on the workers' port.
struct Credential {
  std::string name;
  std::string token;                       // with the people's channel
  std::shared_ptr<grpc::Channel> channel;  // to the port that the credential is for
};

class Fixture {
 public:
  Fixture();
  ~Fixture();

  // A status of a call of any method with an empty message.
  [[nodiscard]] static grpc::Status call(const Credential& credential, const std::string& path);
  // The status of GET over HTTPS; 0 when the connection failed.
  [[nodiscard]] int get(const std::string& path, const std::string& token) const;

  [[nodiscard]] const Credential& person(const std::string& name) const { return people_.at(name); }
  [[nodiscard]] const std::map<std::string, Credential>& people() const { return people_; }
  [[nodiscard]] const std::map<std::string, Credential>& workers() const { return workers_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  // A token of this role, fetched with its login code.
  [[nodiscard]] std::string make_token(const std::string& role, const std::string& project,
                                       int ttl_seconds) const;
  void revoke(const std::string& name) const;

 private:
  void make_people();
  void make_workers();
  [[nodiscard]] std::shared_ptr<grpc::Channel> people_channel() const;
  [[nodiscard]] std::shared_ptr<grpc::Channel> worker_channel(const CertifiedKey& leaf) const;
  [[nodiscard]] CertifiedKey signed_worker(const CertificateAuthority& authority,
                                           const std::string& id, Time now) const;

  std::filesystem::path folder_;
  std::unique_ptr<app::Coordinator> coordinator_;
  std::string people_address_;
  std::string workers_address_;
  std::string dashboard_address_;
  std::string root_pem_;
  std::map<std::string, Credential> people_;
  std::map<std::string, Credential> workers_;
};

}  // namespace overwinter::test
