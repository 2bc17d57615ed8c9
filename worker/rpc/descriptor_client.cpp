#include "worker/rpc/descriptor_client.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/plan/matmul_geometry.h"

namespace overwinter::worker {
namespace {

constexpr std::size_t kAnswerBytesMax = 4096;

Status unreachable(const std::string& path) {
  return error(Code::kUnavailable,
               "cannot ask for descriptors at " + path + ": " + std::strerror(errno));
}

// One message and the descriptor that came with it (-1: none).
std::optional<std::pair<std::string, int>> receive(int socket) {
  std::string text(kAnswerBytesMax, '\0');
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size = 0;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  int descriptor = -1;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
      std::memcpy(&descriptor, CMSG_DATA(c), sizeof(int));
    }
  }
  return std::pair(std::move(text), descriptor);
}

Result<MatrixFile> matrix_from(const std::string& text, MatrixFile file) {
  const auto answer = nlohmann::json::parse(text, nullptr, false);
  if (!answer.is_object()) return fail(Code::kDataLoss, "an answer about a descriptor is not JSON");
  try {
    if (!answer.value("ok", false)) {
      return fail(Code::kPermissionDenied, answer.value("message", "no descriptor is given"));
    }
    file.rows = answer.at("rows").get<std::uint64_t>();
    file.columns = answer.at("columns").get<std::uint64_t>();
    file.dtype = answer.at("dtype").get<std::string>();
    file.fortran_order = answer.at("fortran_order").get<bool>();
    file.data_offset = answer.at("data_offset").get<std::uint64_t>();
  } catch (const nlohmann::json::exception&) {
    return fail(Code::kDataLoss, "an answer about a descriptor lacks a part");
  }
  const std::uint64_t size = file.dtype == "f4"   ? 4
                             : file.dtype == "f8" ? 8
                             : file.dtype == "i1" ? 1
                                                  : 0;
  if (size == 0)
    return fail(Code::kDataLoss, "the matrix of a descriptor has the kind " + file.dtype);
  struct stat info {};
  const std::uint64_t bytes =
      plan::saturating_product(plan::saturating_product(file.rows, file.columns), size);
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &info) != 0 ||
      static_cast<std::uint64_t>(info.st_size) < file.data_offset ||
      static_cast<std::uint64_t>(info.st_size) - file.data_offset < bytes) {
    return fail(Code::kDataLoss, "the file of a descriptor is shorter than its matrix");
  }
  return file;
}

}  // namespace

MatrixFile::MatrixFile(MatrixFile&& other) noexcept {
  *this = std::move(other);
}

MatrixFile& MatrixFile::operator=(MatrixFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  rows = other.rows;
  columns = other.columns;
  dtype = std::move(other.dtype);
  fortran_order = other.fortran_order;
  data_offset = other.data_offset;
  return *this;
}

MatrixFile::~MatrixFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<MatrixQuestion> MatrixQuestion::ask(const std::string& socket_path,
                                           const std::string& capability, const std::string& digest,
                                           Duration within) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return fail(Code::kUnavailable, "the path of the descriptor socket is too long");
  }
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
  MatrixQuestion question(socket_path, ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (question.socket_ < 0) return fail(unreachable(socket_path));
  const timeval limit{within.count() / 1000, (within.count() % 1000) * 1000};
  ::setsockopt(question.socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(question.socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(question.socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
      0) {
    return fail(unreachable(socket_path));
  }
  const std::string text =
      nlohmann::json{{"capability", capability}, {"digest", digest}}.dump() + "\n";
  if (::send(question.socket_, text.data(), text.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(text.size())) {
    return fail(unreachable(socket_path));
  }
  return question;
}

MatrixQuestion::~MatrixQuestion() {
  if (socket_ >= 0) ::close(socket_);
}

Result<MatrixFile> MatrixQuestion::answer() {
  auto answer = receive(socket_);
  if (!answer) return fail(unreachable(socket_path_));
  return matrix_from(answer->first, MatrixFile(answer->second));
}

Result<MatrixFile> ask_for_matrix(const std::string& socket_path, const std::string& capability,
                                  const std::string& digest, Duration within) {
  auto question = MatrixQuestion::ask(socket_path, capability, digest, within);
  if (!question) return fail(question.error());
  return question->answer();
}

}  // namespace overwinter::worker
