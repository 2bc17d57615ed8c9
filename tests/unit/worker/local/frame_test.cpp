#include "worker/local/frame.h"

#include <gtest/gtest.h>

#include "overwinter/v1/local.pb.h"

namespace overwinter::worker {
namespace {

v1::LocalRequest hello(std::uint32_t rank) {
  v1::LocalRequest message;
  message.mutable_hello()->set_rank(rank);
  message.mutable_hello()->set_world_size(8);
  return message;
}

TEST(Frame, comes_back_whole_however_it_is_cut) {
  std::string bytes;
  for (std::uint32_t rank = 0; rank < 3; ++rank) ASSERT_TRUE(append_frame(bytes, hello(rank)).ok());
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    FrameReader reader;
    std::uint32_t seen = 0;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      reader.append(std::string_view(bytes).substr(at, piece));
      for (;;) {
        const auto frame = reader.next();
        ASSERT_TRUE(frame);
        if (!frame->has_value()) break;
        v1::LocalRequest message;
        ASSERT_TRUE(message.ParseFromString(std::string(**frame)));
        EXPECT_EQ(message.hello().rank(), seen++);
      }
    }
    EXPECT_EQ(seen, 3U) << "in pieces of " << piece;
  }
}

TEST(Frame, an_impossible_length_is_refused_before_anything_is_held) {
  FrameReader reader;
  reader.append(std::string("\x01\x00\x10\x00", 4));  // one byte more than a MiB
  const auto frame = reader.next();
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code, Code::kDataLoss);
}

TEST(Frame, a_message_that_is_too_large_is_refused_whole) {
  v1::LocalResponse message;
  message.mutable_task()->set_spec(std::string(kFrameBytesMax, 'x'));
  std::string bytes = "before";
  EXPECT_EQ(append_frame(bytes, message).code, Code::kResourceExhausted);
  EXPECT_EQ(bytes, "before");
}

}  // namespace
}  // namespace overwinter::worker
