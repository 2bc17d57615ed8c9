#include "client/cli/secret_input.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <future>
#include <thread>

namespace overwinter::cli {
namespace {

// What the command reads when a program writes this and closes.
Result<std::string> piped(const std::string& text) {
  std::array<int, 2> ends{};
  EXPECT_EQ(::pipe(ends.data()), 0);
  std::thread writer([&] {
    std::size_t done = 0;
    while (done < text.size()) {
      const ssize_t n = ::write(ends[1], text.data() + done, text.size() - done);
      if (n <= 0) break;
      done += static_cast<std::size_t>(n);
    }
    ::close(ends[1]);
  });
  auto value = read_secret(ends[0], -1, "NAME");
  // What was not read is taken away, so that the writer ends.
  std::array<char, 4096> rest{};
  while (::read(ends[0], rest.data(), rest.size()) > 0) {
  }
  writer.join();
  ::close(ends[0]);
  return value;
}

TEST(SecretInput, OneLineEndIsDropped) {
  EXPECT_EQ(piped("value\n").value(), "value");
  EXPECT_EQ(piped("value").value(), "value");
  EXPECT_EQ(piped("value\n\n").value(), "value\n");
  EXPECT_EQ(piped("two\nlines").value(), "two\nlines");
  EXPECT_EQ(piped("").value(), "");
  EXPECT_EQ(piped(std::string("a\0b", 3)).value(), std::string("a\0b", 3));
}

TEST(SecretInput, TooLongIsRefusedWithoutTheValue) {
  const std::string longest(65'536, 'x');
  EXPECT_EQ(piped(longest).value(), longest);
  EXPECT_EQ(piped(longest + "\n").value(), longest);
  for (const std::size_t more : {std::size_t{1}, std::size_t{300'000}}) {
    const auto refused = piped(longest + std::string(more, 'x'));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
    EXPECT_EQ(refused.error().message.find("xxx"), std::string::npos);
  }
}

TEST(SecretInput, ATerminalShowsNothingOfIt) {
  const int person = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(person, 0);
  ASSERT_EQ(::grantpt(person), 0);
  ASSERT_EQ(::unlockpt(person), 0);
  const int terminal = ::open(::ptsname(person), O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  auto reading = std::async(std::launch::async,
                            [terminal] { return read_secret(terminal, terminal, "HF_TOKEN"); });
  // Typed once the question is there: by then nothing is echoed.
  std::string shown;
  std::array<char, 256> buffer{};
  while (shown.find("(not shown): ") == std::string::npos) {
    const ssize_t n = ::read(person, buffer.data(), buffer.size());
    ASSERT_GT(n, 0);
    shown.append(buffer.data(), static_cast<std::size_t>(n));
  }
  const std::string typed = "canary-42\n";
  ASSERT_EQ(::write(person, typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
  EXPECT_EQ(reading.get().value(), "canary-42");
  while (shown.find('\n') == std::string::npos) {
    const ssize_t n = ::read(person, buffer.data(), buffer.size());
    ASSERT_GT(n, 0);
    shown.append(buffer.data(), static_cast<std::size_t>(n));
  }
  EXPECT_NE(shown.find("value of HF_TOKEN"), std::string::npos);
  EXPECT_EQ(shown.find("canary"), std::string::npos) << shown;
  termios after{};
  ASSERT_EQ(::tcgetattr(terminal, &after), 0);
  EXPECT_NE(after.c_lflag & ECHO, 0U);
  ::close(terminal);
  ::close(person);
}

}  // namespace
}  // namespace overwinter::cli
