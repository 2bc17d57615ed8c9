// Descriptors over a Unix socket, and reading a matrix from one: against the same matrix in memory.
#include "worker/rpc/descriptor_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/worker/rpc/fake_coordinator.h"
#include "worker/rpc/matrix_reader.h"
#include "worker/rpc/seat_artifacts.h"

namespace overwinter::worker {
namespace {

// Answers each question with the next answer, and with a descriptor of `file` when that is not
// empty.
class DescriptorServer {
 public:
  DescriptorServer(const std::filesystem::path& path, std::string answer,
                   std::filesystem::path file)
      : answer_(std::move(answer)), file_(std::move(file)) {
    socket_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.string().size() + 1);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(socket_, 8), 0);
    thread_ = std::thread([this] { run(); });
  }
  ~DescriptorServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  std::string question;

 private:
  void run() {
    for (int peer = ::accept(socket_, nullptr, nullptr); peer >= 0;
         peer = ::accept(socket_, nullptr, nullptr)) {
      std::string asked(4096, '\0');
      const ssize_t n = ::recv(peer, asked.data(), asked.size(), 0);
      question = asked.substr(0, n > 0 ? static_cast<std::size_t>(n) : 0);
      answer(peer);
      ::close(peer);
    }
  }
  void answer(int peer) {
    iovec part{answer_.data(), answer_.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    int file = -1;
    if (!file_.empty()) {
      file = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* c = CMSG_FIRSTHDR(&message);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(c), &file, sizeof(int));
    }
    ::sendmsg(peer, &message, MSG_NOSIGNAL);
    if (file >= 0) ::close(file);
  }
  std::string answer_;
  std::filesystem::path file_;
  int socket_ = -1;
  std::thread thread_;
};

class DescriptorTest : public ::testing::Test {
 protected:
  DescriptorTest() : folder_(fresh_folder()) {}
  ~DescriptorTest() override { std::filesystem::remove_all(folder_); }

  // rows x columns of row * 1000 + column behind a header of 128 bytes.
  std::filesystem::path blob(std::uint64_t rows, std::uint64_t columns, bool fortran) {
    std::vector<float> values(rows * columns);
    for (std::uint64_t r = 0; r < rows; ++r) {
      for (std::uint64_t c = 0; c < columns; ++c) {
        values[fortran ? c * rows + r : r * columns + c] = static_cast<float>(r * 1000 + c);
      }
    }
    const auto path = folder_ / "blob.npy";
    std::ofstream out(path, std::ios::binary);
    out << std::string(128, 'h');
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(float)));
    return path;
  }
  static std::string describe(std::uint64_t rows, std::uint64_t columns, bool fortran,
                              const std::string& dtype = "f4") {
    return R"({"ok":true,"rows":)" + std::to_string(rows) + R"(,"columns":)" +
           std::to_string(columns) + R"(,"dtype":")" + dtype + R"(","fortran_order":)" +
           (fortran ? "true" : "false") + R"(,"data_offset":128})";
  }
  Result<MatrixFile> ask(const std::string& answer, const std::filesystem::path& file) {
    const auto socket = folder_ / "s";
    std::filesystem::remove(socket);
    DescriptorServer server(socket, answer, file);
    auto asked = ask_for_matrix(socket.string(), "cap", "dig", Duration(5000));
    question_ = server.question;
    return asked;
  }
  std::filesystem::path folder_;
  std::string question_;
};

TEST_F(DescriptorTest, AsksInOneLineAndGetsAFile) {
  auto file = ask(describe(30, 50, false), blob(30, 50, false));
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(question_, "{\"capability\":\"cap\",\"digest\":\"dig\"}\n");
  EXPECT_EQ(file->rows, 30U);
  EXPECT_GE(file->descriptor(), 0);
}

TEST_F(DescriptorTest, TwoQuestionsAreUnderWayAtOnce) {
  const auto socket = folder_ / "s";
  const DescriptorServer server(socket, describe(30, 50, false), blob(30, 50, false));
  auto a = MatrixQuestion::ask(socket.string(), "cap", "a", Duration(5000));
  auto b = MatrixQuestion::ask(socket.string(), "cap", "b", Duration(5000));
  ASSERT_TRUE(a.has_value() && b.has_value());
  for (auto* question : {&*b, &*a}) {
    auto file = question->answer();
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->columns, 50U);
  }
}

TEST_F(DescriptorTest, RefusalsAndNonsenseAreErrors) {
  const auto path = blob(30, 50, false);
  EXPECT_EQ(ask(R"({"ok":false,"message":"the capability has ended"})", {}).error().message,
            "the capability has ended");
  EXPECT_EQ(ask("no json", path).error().code, Code::kDataLoss);
  EXPECT_EQ(ask(R"({"ok":true,"rows":3})", path).error().code, Code::kDataLoss);
  EXPECT_EQ(ask(R"({"ok":true,"rows":"x"})", path).error().code, Code::kDataLoss);
  EXPECT_EQ(ask(describe(31, 50, false), path).error().code, Code::kDataLoss);  // shorter than said
  EXPECT_EQ(ask(describe(1ULL << 62, 1ULL << 62, false), path).error().code, Code::kDataLoss);
  EXPECT_EQ(ask(describe(30, 50, false, "i4"), path).error().code, Code::kDataLoss);
  EXPECT_EQ(ask(describe(30, 50, false), {}).error().code, Code::kDataLoss);  // no descriptor
  EXPECT_EQ(ask_for_matrix("/nowhere/at/all", "c", "d", Duration(100)).error().code,
            Code::kUnavailable);
  EXPECT_EQ(ask_for_matrix(std::string(500, 'x'), "c", "d", Duration(100)).error().code,
            Code::kUnavailable);
}

TEST_F(DescriptorTest, BlocksAndTheMapAreTheMatrixInEitherOrder) {
  for (const bool fortran : {false, true}) {
    for (const bool map : {false, true}) {
      auto file = ask(describe(37, 53, fortran), blob(37, 53, fortran));
      ASSERT_TRUE(file.has_value());
      const MatrixReader reader(std::move(*file), map);
      ASSERT_EQ(reader.mapped() != nullptr, map);
      for (const Block& block : {Block{0, 37, 0, 53}, Block{3, 20, 0, 53}, Block{5, 6, 7, 8},
                                 Block{30, 37, 17, 53}, Block{4, 4, 0, 53}, Block{0, 37, 2, 35}}) {
        std::vector<float> out(block.rows() * block.columns());
        ASSERT_TRUE(reader.read(block, std::as_writable_bytes(std::span(out))).ok());
        const float* got = out.data();
        for (std::uint64_t r = block.row_begin; r < block.row_end; ++r) {
          for (std::uint64_t c = block.column_begin; c < block.column_end; ++c) {
            ASSERT_EQ(*got++, static_cast<float>(r * 1000 + c));
            if (!map) continue;
            const MappedMatrix& m = *reader.mapped();
            const auto* values = reinterpret_cast<const float*>(m.data);
            ASSERT_EQ(values[fortran ? c * m.rows + r : r * m.columns + c],
                      static_cast<float>(r * 1000 + c));
          }
        }
      }
      std::vector<float> wrong(10);
      EXPECT_EQ(reader.read({0, 38, 0, 1}, std::as_writable_bytes(std::span(wrong))).code,
                Code::kOutOfRange);
      EXPECT_EQ(reader.read({0, 3, 0, 3}, std::as_writable_bytes(std::span(wrong))).code,
                Code::kOutOfRange);
    }
  }
}

TEST_F(DescriptorTest, TallColumnMajorBlocksAreTurnedInStrips) {
  auto file = ask(describe(3000, 19, true), blob(3000, 19, true));
  ASSERT_TRUE(file.has_value());
  const MatrixReader reader(std::move(*file), false);
  std::vector<float> out(2990 * 18);
  ASSERT_TRUE(reader.read({5, 2995, 1, 19}, std::as_writable_bytes(std::span(out))).ok());
  for (std::uint64_t r = 0; r < 2990; ++r) {
    for (std::uint64_t c = 0; c < 18; ++c) {
      ASSERT_EQ(out[r * 18 + c], static_cast<float>((r + 5) * 1000 + c + 1));
    }
  }
}

TEST_F(DescriptorTest, AFileThatShrinksIsAnErrorAndNoCrash) {
  const auto path = blob(30, 50, false);
  auto file = ask(describe(30, 50, false), path);
  ASSERT_TRUE(file.has_value());
  const MatrixReader reader(std::move(*file), false);
  std::filesystem::resize_file(path, 1000);
  std::vector<float> out(30 * 50);
  EXPECT_EQ(reader.read({0, 30, 0, 50}, std::as_writable_bytes(std::span(out))).code,
            Code::kDataLoss);
}

TEST_F(DescriptorTest, ASeatMapsWhatFitsItsMemoryAndReadsTheRest) {
  const auto path = blob(30, 50, false);
  const auto socket = folder_ / "s";
  DescriptorServer server(socket, describe(30, 50, false), path);
  RemoteArtifacts artifacts({[] { return nullptr; }, [&] { return socket.string(); }});
  SeatAccess access;
  access.in_place_bytes_max = 30 * 50 * 4 + 100;  // one factor, not both
  auto seat = artifacts.open(access).value();
  EXPECT_NE(seat->mapped(Operand::kA), nullptr);
  EXPECT_EQ(seat->mapped(Operand::kB), nullptr);
  std::vector<float> out(2);
  ASSERT_TRUE(
      seat->read(Operand::kB, {7, 8, 3, 5}, std::as_writable_bytes(std::span(out)), {}).ok());
  EXPECT_EQ(out, (std::vector<float>{7003, 7004}));
}

TEST_F(DescriptorTest, ASeatWithoutAConnectionWaitsUntilItIsStopped) {
  RemoteArtifacts artifacts(
      {[] { return nullptr; }, [] { return std::string(); }, Duration(1), Duration(5)});
  auto seat = artifacts.open(SeatAccess{}).value();
  std::stop_source stop;
  std::vector<std::byte> out(4);
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(seat->read(Operand::kA, {0, 1, 0, 1}, out, stop.get_token()).code, Code::kCancelled);
  EXPECT_EQ(seat->put(0, out, stop.get_token()).error().code, Code::kCancelled);
}

}  // namespace
}  // namespace overwinter::worker
