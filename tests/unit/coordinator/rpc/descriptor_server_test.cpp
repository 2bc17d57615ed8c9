// The descriptor server over its socket, as a worker speaks to it.
#include "coordinator/rpc/descriptor_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/formats/digest.h"
#include "common/formats/npy.h"

namespace overwinter::rpc {
namespace {

constexpr std::uint64_t kMine = 7;       // on the coordinator's machine
constexpr std::uint64_t kElsewhere = 8;  // on another

struct Answer {
  nlohmann::json json;
  int descriptor = -1;
};

class DescriptorServerTest : public testing::Test {
 protected:
  DescriptorServerTest() {
    std::string pattern = "/dev/shm/ow-desc-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    blobs_ = std::move(artifacts::BlobStore::open(artifacts::posix_files(), folder_.string(),
                                                  {.free_bytes_min = 0})
                           .value());
    signer_.emplace(CapabilitySigner::open(folder_ / "key").value());
    content_ = formats::write_npy_header(formats::Dtype::kFloat32, 2, 3, false);
    content_.append(24, 'x');
    digest_ = store("p", content_);
    add_worker(kMine, true, core::WorkerState::kReady);
    add_worker(kElsewhere, false, core::WorkerState::kReady);
    server_ = std::move(
        DescriptorServer::start(folder_ / "socket", views_, *blobs_, signer_->verifier(), [this] {
          return now_.load();
        }).value());
  }
  ~DescriptorServerTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  Digest store(const std::string& project, const std::string& content) {
    const std::span<const std::byte> bytes = std::as_bytes(std::span(content));
    formats::BlobDigester digester;
    digester.update(bytes);
    const Digest digest = digester.finish();
    auto upload = blobs_->begin_upload({project, digest}, bytes.size(), now_);
    EXPECT_TRUE(upload.has_value());
    EXPECT_TRUE((*upload)->write(bytes, now_).ok());
    EXPECT_TRUE((*upload)->finish().ok());
    return digest;
  }
  void add_worker(std::uint64_t id, bool same_host, core::WorkerState state) {
    auto worker = std::make_shared<runtime::WorkerView>();
    worker->id = WorkerId(id);
    worker->state = state;
    worker->machine.same_host_as_coordinator = same_host;
    runtime::ViewChange change;
    change.workers = {worker};
    views_.apply(change);
  }
  std::string capability(std::uint64_t holder, std::vector<Digest> read,
                         const std::string& project = "p") {
    Capability capability;
    capability.holder = std::to_string(holder);
    capability.project = project;
    capability.job = "1";
    capability.attempt = 1;
    capability.read = std::move(read);
    capability.end = now_.load() + Duration(1000);
    return signer_->sign(capability).value();
  }
  Answer ask_text(const std::string& question) {
    const int socket = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (folder_ / "socket").c_str());
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::send(socket, question.data(), question.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(question.size()));
    std::array<char, 4096> text{};
    iovec piece{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    ::close(socket);
    Answer answer;
    if (size <= 0) return answer;
    answer.json = nlohmann::json::parse(std::string(text.data(), static_cast<std::size_t>(size)));
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      std::memcpy(&answer.descriptor, CMSG_DATA(header), sizeof(int));
    }
    return answer;
  }
  Answer ask(const std::string& capability, const Digest& digest) {
    return ask_text(nlohmann::json{{"capability", capability}, {"digest", to_hex(digest)}}.dump());
  }
  void expect_refused(const Answer& answer, const char* why) {
    EXPECT_EQ(answer.descriptor, -1) << why;
    EXPECT_EQ(answer.json.value("ok", true), false) << why;
    EXPECT_FALSE(answer.json.value("message", "").empty()) << why;
  }

  std::filesystem::path folder_;
  std::atomic<Time> now_ = time_from_unix_ms(1'796'000'000'000);
  std::unique_ptr<artifacts::BlobStore> blobs_;
  std::optional<CapabilitySigner> signer_;
  runtime::Views views_{1};
  std::string content_;
  Digest digest_;
  std::unique_ptr<DescriptorServer> server_;
};

TEST_F(DescriptorServerTest, AWorkerHereReadsTheMatrixInPlace) {
  const Answer answer = ask(capability(kMine, {digest_}), digest_);
  ASSERT_GE(answer.descriptor, 0) << answer.json;
  EXPECT_EQ(answer.json["ok"], true);
  EXPECT_EQ(answer.json["rows"], 2);
  EXPECT_EQ(answer.json["columns"], 3);
  EXPECT_EQ(answer.json["dtype"], "f4");
  EXPECT_EQ(answer.json["fortran_order"], false);
  std::string read(content_.size() + 1, '\0');
  EXPECT_EQ(::pread(answer.descriptor, read.data(), read.size(), 0),
            static_cast<ssize_t>(content_.size()));
  read.resize(content_.size());
  EXPECT_EQ(read, content_);
  EXPECT_EQ(read.substr(answer.json["data_offset"].get<std::size_t>()), std::string(24, 'x'));
  // And no more than that.
  EXPECT_LT(::pwrite(answer.descriptor, "y", 1, 0), 0);
  EXPECT_NE(::ftruncate(answer.descriptor, 0), 0);
  ::close(answer.descriptor);
}

TEST_F(DescriptorServerTest, NobodyElseGetsADescriptor) {
  const Digest other = store("p", content_ + "another");
  expect_refused(ask(capability(kMine, {digest_}), other), "a blob that it does not name");
  expect_refused(ask(capability(kElsewhere, {digest_}), digest_), "a worker of another machine");
  expect_refused(ask(capability(9, {digest_}), digest_), "nobody's");
  expect_refused(ask(capability(kMine, {digest_}, "q"), digest_), "another project");
  expect_refused(ask("owc1_forged", digest_), "forged");
  expect_refused(ask_text("{"), "no question");
  expect_refused(ask_text("[]"), "no question");
  expect_refused(ask_text(R"({"capability": 7, "digest": []})"), "numbers");
  const std::string good = capability(kMine, {digest_});
  now_ = now_.load() + Duration(2000);
  expect_refused(ask(good, digest_), "past its end");
  now_ = now_.load() - Duration(2000);
  add_worker(kMine, true, core::WorkerState::kRemoved);
  expect_refused(ask(good, digest_), "removed");
}

// The signature of a text is checked once; its end, its holder and its blobs each time.
TEST_F(DescriptorServerTest, WhatWasAdmittedOnceStillEnds) {
  const Digest other =
      store("p", formats::write_npy_header(formats::Dtype::kFloat32, 1, 1, false) + "four");
  const std::string good = capability(kMine, {digest_});
  const auto expect_given = [&] {
    const Answer answer = ask(good, digest_);
    EXPECT_GE(answer.descriptor, 0) << answer.json;
    ::close(answer.descriptor);
  };
  expect_given();
  expect_given();
  expect_refused(ask(good, other), "a blob that it does not name");
  expect_refused(ask("", digest_), "nobody profits from the last question");
  expect_refused(ask(good + "x", digest_), "nor one that looks alike");
  expect_given();
  add_worker(kMine, true, core::WorkerState::kRemoved);
  expect_refused(ask(good, digest_), "removed");
  add_worker(kMine, true, core::WorkerState::kReady);
  expect_given();
  now_ = now_.load() + Duration(1000);
  expect_refused(ask(good, digest_), "past its end");
}

TEST_F(DescriptorServerTest, TheSocketIsTheOwnersAndIsReplacedAtAStart) {
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "socket").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "socket"));
  // What a killed coordinator leaves.
  {
    const int left = ::open((folder_ / "socket").c_str(), O_CREAT | O_WRONLY, 0600);
    ::close(left);
  }
  auto again = DescriptorServer::start(folder_ / "socket", views_, *blobs_, signer_->verifier(),
                                       [this] { return now_.load(); });
  ASSERT_TRUE(again.has_value()) << again.error().message;
  server_ = std::move(*again);
  const Answer answer = ask(capability(kMine, {digest_}), digest_);
  EXPECT_GE(answer.descriptor, 0);
  ::close(answer.descriptor);
}

}  // namespace
}  // namespace overwinter::rpc
