#include "tests/integration/authorisation/fixture.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <system_error>

#include "common/base/version.h"
#include "common/security/certificate.h"
#include "common/security/file_io.h"
#include "common/security/join_file.h"
#include "common/security/process.h"
#include "common/security/tls_credentials.h"
#include "common/security/token.h"
#include "overwinter/v1/admin.grpc.pb.h"
#include "overwinter/v1/worker.grpc.pb.h"

namespace overwinter::test {
namespace {

constexpr auto kCallTime = std::chrono::seconds(5);
constexpr std::size_t kFileBytesMax = 65536;

template <class T>
T must(Result<T> result) {
  if (!result) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(*result);
}

void set_token(grpc::ClientContext& context, const std::string& token) {
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
}

Time now() {
  return system_wall_time();
}

}  // namespace

Fixture::Fixture() {
  std::string name = (std::filesystem::temp_directory_path() / "overwinter-auth-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  folder_ = name;
  EXPECT_TRUE(require_tls13().ok());
  app::Config config;
  config.data_dir = folder_ / "data";
  config.cluster = "auth";
  config.listen_people = config.listen_workers = config.listen_dashboard = "127.0.0.1:0";
  coordinator_ = must(app::Coordinator::start(config));
  const auto json = nlohmann::json::parse(
      must(read_file(config.data_dir / "run" / "endpoints.json", kFileBytesMax)));
  people_address_ = json.at("people").get<std::string>();
  workers_address_ = json.at("workers").get<std::string>();
  dashboard_address_ = json.at("dashboard").get<std::string>();
  root_pem_ = must(read_file(config.data_dir / "ca" / "root.pem", kFileBytesMax));
  make_people();
  make_workers();
}

Fixture::~Fixture() {
  people_.clear();
  workers_.clear();
  coordinator_->stop();
  coordinator_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::shared_ptr<grpc::Channel> Fixture::people_channel() const {
  return grpc::CreateChannel(people_address_, must(people_client_credentials(root_pem_)));
}

std::shared_ptr<grpc::Channel> Fixture::worker_channel(const CertifiedKey& leaf) const {
  return grpc::CreateChannel(workers_address_, must(certified_client_credentials(leaf, root_pem_)));
}

std::string Fixture::make_token(const std::string& role, const std::string& project,
                                int ttl_seconds) const {
  const auto admin = v1::AdminService::NewStub(people_channel());
  v1::CreateTokenRequest request;
  request.set_role(role);
  request.set_project(project);
  request.set_name(role);
  if (ttl_seconds > 0) request.mutable_ttl()->set_seconds(ttl_seconds);
  v1::CreateTokenResponse created;
  grpc::ClientContext context;
  set_token(context, people_.at("admin").token);
  const grpc::Status status = admin->CreateToken(&context, request, &created);
  EXPECT_TRUE(status.ok()) << status.error_message();
  v1::ExchangeLoginCodeRequest code;
  code.set_code(must(decode_login_line(created.login())).code);
  v1::ExchangeLoginCodeResponse exchanged;
  grpc::ClientContext without;
  set_token(without, {});
  const grpc::Status done = admin->ExchangeLoginCode(&without, code, &exchanged);
  EXPECT_TRUE(done.ok()) << done.error_message();
  return exchanged.token();
}

void Fixture::revoke(const std::string& role) const {
  const auto admin = v1::AdminService::NewStub(people_channel());
  v1::ListTokensResponse list;
  grpc::ClientContext context;
  set_token(context, people_.at("admin").token);
  EXPECT_TRUE(admin->ListTokens(&context, {}, &list).ok());
  std::uint64_t last = 0;
  for (const auto& token : list.tokens()) {
    if (token.name() == role && !token.revoked()) last = token.id();
  }
  v1::RevokeTokenRequest request;
  request.set_id(last);
  v1::RevokeTokenResponse response;
  grpc::ClientContext again;
  set_token(again, people_.at("admin").token);
  EXPECT_TRUE(admin->RevokeToken(&again, request, &response).ok());
}

void Fixture::make_people() {
  const auto channel = people_channel();
  const auto add = [&](const std::string& name, const std::string& token) {
    people_[name] = {name, token, channel};
  };
  std::string admin = must(read_file(folder_ / "data" / "admin.token", kFileBytesMax));
  admin.resize(admin.find('\n'));
  add("admin", admin);
  add("nobody", "");
  add("forged", overwinter::make_token());
  for (const char* role : {"viewer", "submitter", "operator", "billing", "auditor"}) {
    add(role, make_token(role, {}, 0));
  }
  add("revoked", make_token("admin", {}, 0));
  revoke("admin");  // the newest of that name
}

CertifiedKey Fixture::signed_worker(const CertificateAuthority& authority, const std::string& id,
                                    Time at) const {
  CertifiedKey leaf;
  leaf.key_pem = must(generate_key());
  leaf.cert_chain_pem = must(authority.sign_worker(must(make_csr(leaf.key_pem, id)), id, at));
  return leaf;
}

void Fixture::make_workers() {
  const auto admin = v1::AdminService::NewStub(people_channel());
  std::uint64_t newest_join = 0;
  const auto join_certificate = [&] {
    v1::CreateJoinFileRequest request;
    request.set_uses(3);
    v1::CreateJoinFileResponse file;
    grpc::ClientContext context;
    set_token(context, people_.at("admin").token);
    EXPECT_TRUE(admin->CreateJoinFile(&context, request, &file).ok());
    newest_join = file.token().id();
    return must(decode_join_file(file.join_file(), now())).leaf;
  };
  workers_["join"] = {"join", {}, worker_channel(join_certificate())};
  workers_["withdrawn join"] = {"withdrawn join", {}, worker_channel(join_certificate())};
  v1::RevokeTokenRequest withdrawal;
  withdrawal.set_id(newest_join);
  withdrawal.set_join_file(true);
  v1::RevokeTokenResponse withdrawn;
  grpc::ClientContext withdrawing;
  set_token(withdrawing, people_.at("admin").token);
  EXPECT_TRUE(admin->RevokeToken(&withdrawing, withdrawal, &withdrawn).ok());

  const auto join_as = [&](const std::string& name) {
    CertifiedKey leaf;
    leaf.key_pem = must(generate_key());
    v1::JoinRequest wish;
    wish.set_csr_pem(must(make_csr(leaf.key_pem, name)));
    wish.set_name(name);
    wish.set_version(kVersion);
    v1::JoinResponse joined;
    grpc::ClientContext joining;
    set_token(joining, {});
    const auto stub = v1::WorkerService::NewStub(workers_.at("join").channel);
    const grpc::Status status = stub->Join(&joining, wish, &joined);
    EXPECT_TRUE(status.ok()) << status.error_message();
    leaf.cert_chain_pem = joined.certificate_chain_pem();
    return leaf;
  };
  workers_["worker"] = {"worker", {}, worker_channel(join_as("good"))};

  // Removed while its certificate is good for a month: the deny list's work.
  workers_["removed"] = {"removed", {}, worker_channel(join_as("gone"))};
  v1::RemoveWorkerRequest removal;
  removal.set_name("workers/gone");
  v1::Worker removed;
  grpc::ClientContext removing;
  set_token(removing, people_.at("admin").token);
  EXPECT_TRUE(admin->RemoveWorker(&removing, removal, &removed).ok());

  const auto ours = must(CertificateAuthority::open(folder_ / "data" / "ca"));
  workers_["expired"] = {
      "expired", {}, worker_channel(signed_worker(ours, "1", now() - std::chrono::hours(24 * 31)))};
  workers_["unknown id"] = {"unknown id", {}, worker_channel(signed_worker(ours, "777", now()))};
  const auto wrong = must(CertificateAuthority::create(folder_ / "wrong", "auth", now()));
  workers_["wrong CA"] = {"wrong CA", {}, worker_channel(signed_worker(wrong, "1", now()))};
  // A person's token is no certificate.
  workers_["token alone"] = {
      "token alone", people_.at("admin").token,
      grpc::CreateChannel(workers_address_, must(people_client_credentials(root_pem_)))};
}

grpc::Status Fixture::call(const Credential& credential, const std::string& path) {
  grpc::GenericStub stub(credential.channel);
  grpc::ClientContext context;
  set_token(context, credential.token);
  grpc::CompletionQueue queue;
  const auto stream = stub.PrepareCall(&context, path, &queue);
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  stream->StartCall(nullptr);
  if (wait()) {
    grpc::Slice empty("");
    stream->WriteLast(grpc::ByteBuffer(&empty, 1), {}, nullptr);
    wait();
    // What is allowed may stream for long (a watch): one answer is enough to know.
    grpc::ByteBuffer answer;
    stream->Read(&answer, nullptr);
    if (wait()) return grpc::Status::OK;
  }
  grpc::Status status;
  stream->Finish(&status, nullptr);
  wait();
  return status;
}

int Fixture::get(const std::string& path, const std::string& token) const {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new_ssl_connect(context.get()),
                                                          &BIO_free_all);
  BIO_set_conn_hostname(bio.get(), dashboard_address_.c_str());
  if (BIO_do_connect(bio.get()) <= 0) return 0;
  std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
  if (!token.empty()) request += "Authorization: Bearer " + token + "\r\n";
  request += "\r\n";
  if (BIO_write(bio.get(), request.data(), static_cast<int>(request.size())) <= 0) return 0;
  std::string head(12, '\0');  // "HTTP/1.1 200"
  if (BIO_read(bio.get(), head.data(), static_cast<int>(head.size())) < 12) return 0;
  return std::atoi(head.c_str() + 9);
}

}  // namespace overwinter::test
