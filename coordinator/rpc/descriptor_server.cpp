#include "coordinator/rpc/descriptor_server.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "common/base/log.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kQuestionBytesMax = 8192;
constexpr timeval kPatience{2, 0};  // with one who connects and says nothing
constexpr int kWaitingMax = 64;

Status failed(const std::string& doing) {
  return error(Code::kInternal, "cannot " + doing + ": " + std::strerror(errno));
}

void send_answer(int connection, const std::string& text, int descriptor) {
  iovec piece{const_cast<char*>(text.data()), text.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  if (::sendmsg(connection, &message, MSG_NOSIGNAL) < 0) {
    log_debug("a worker did not wait for its descriptor: {}", std::strerror(errno));
  }
}

}  // namespace

Result<std::unique_ptr<DescriptorServer>> DescriptorServer::start(const std::filesystem::path& path,
                                                                  const runtime::Views& views,
                                                                  const artifacts::BlobStore& blobs,
                                                                  CapabilityVerifier verifier,
                                                                  std::function<Time()> now) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof(address.sun_path)) {
    return fail(Code::kInvalidArgument, "the path " + text + " is too long for a socket");
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (listener < 0) return fail(failed("make a socket"));
  ::unlink(text.c_str());
  const mode_t mask = ::umask(0177);
  const bool bound =
      ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::umask(mask);
  if (!bound || ::listen(listener, kWaitingMax) != 0) {
    Status status = failed("listen on " + text);
    ::close(listener);
    return fail(std::move(status));
  }
  return std::unique_ptr<DescriptorServer>(
      new DescriptorServer(listener, path, views, blobs, std::move(verifier), std::move(now)));
}

DescriptorServer::DescriptorServer(int socket, std::filesystem::path path,
                                   const runtime::Views& views, const artifacts::BlobStore& blobs,
                                   CapabilityVerifier verifier, std::function<Time()> now)
    : socket_(socket),
      path_(std::move(path)),
      views_(views),
      blobs_(blobs),
      verifier_(std::move(verifier)),
      now_(std::move(now)),
      thread_([this] { serve(); }) {}

DescriptorServer::~DescriptorServer() {
  stopping_ = true;
  ::shutdown(socket_, SHUT_RDWR);  // wakes accept()
  thread_.join();
  ::close(socket_);
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void DescriptorServer::serve() {
  while (!stopping_) {
    const int connection = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (!stopping_) log_warning("no more descriptors for workers here: {}", std::strerror(errno));
      return;
    }
    ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
    answer(connection);
    ::close(connection);
  }
}

// A seat asks for each of its factors with the same text: its signature is checked once.
Status DescriptorServer::admit(const std::string& text) {
  const Time now = now_();
  if (text != admitted_text_ || now >= admitted_.end) {
    auto capability = verifier_.verify(text, now);
    if (!capability) return capability.error();
    admitted_text_ = text;
    admitted_ = std::move(*capability);
  }
  // Nobody shows a certificate here: the capability must be that of a worker of this machine.
  std::uint64_t id = 0;
  const std::string& holder = admitted_.holder;
  const auto [end, problem] = std::from_chars(holder.data(), holder.data() + holder.size(), id);
  const bool number = problem == std::errc{} && end == holder.data() + holder.size();
  const auto worker = number ? views_.worker(WorkerId(id)) : nullptr;
  if (worker && worker->machine.same_host_as_coordinator &&
      worker->state != core::WorkerState::kRemoved) {
    return Status::success();
  }
  return error(Code::kPermissionDenied, "this capability is of no worker of this machine");
}

Result<artifacts::MatrixBlob> DescriptorServer::find(const std::string& question) {
  const auto json = nlohmann::json::parse(question, nullptr, false);
  const auto text = [&](const char* key) {
    const auto it = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && it != json.end() && it->is_string() ? it->get<std::string>()
                                                                   : std::string();
  };
  const auto digest = parse_digest(text("digest"));
  if (!digest) return fail(digest.error());
  if (Status status = admit(text("capability")); !status.ok()) return fail(std::move(status));
  if (!may_read(admitted_, *digest)) {
    return fail(Code::kPermissionDenied, "this capability is not for that matrix");
  }
  return blobs_.open_matrix({admitted_.project, *digest});
}

void DescriptorServer::answer(int connection) {
  std::string question(kQuestionBytesMax, '\0');
  const ssize_t size = ::recv(connection, question.data(), question.size(), 0);
  if (size <= 0) return;
  question.resize(static_cast<std::size_t>(size));
  const auto matrix = find(question);
  if (!matrix) {
    send_answer(connection,
                nlohmann::json{{"ok", false}, {"message", matrix.error().message}}.dump(), -1);
    return;
  }
  const auto& header = matrix->header;
  const nlohmann::json json{
      {"ok", true},
      {"rows", header.rows},
      {"columns", header.columns},
      {"dtype", std::string(formats::dtype_descriptor(header.dtype).substr(1))},
      {"fortran_order", header.fortran_order},
      {"data_offset", header.data_offset}};
  send_answer(connection, json.dump(), matrix->file->descriptor());
}

}  // namespace overwinter::rpc
