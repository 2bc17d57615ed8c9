// ByteStream: answers a call with content from the disk, a piece a message.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "coordinator/rpc/pooled_stream.h"

namespace overwinter::rpc {

// What is read from. Used by one thread at a time.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out`; returns how much, less than out.size() only at the end.
  [[nodiscard]] virtual Result<std::size_t> next(std::span<std::byte> out) = 0;
  [[nodiscard]] virtual std::uint64_t bytes_left() const = 0;
};

// `Response` has a field `data`. `open` runs on the pool, may block, and may fill the first
// message. `sent` is called at the end of an answer that came whole.
template <class Response>
class ByteStream final : public PooledStream<Response> {
 public:
  using Open = std::function<Result<std::unique_ptr<ByteSource>>(Response&)>;

  using Sent = std::function<void(std::uint64_t bytes, std::chrono::nanoseconds took)>;
  // Called on the pool before each piece is read: what goes with it. A message with something of it
  // and no content does not end the answer.
  using Announce = std::function<void(Response&)>;

  ByteStream(ServiceContext& context, const Principal& caller, Open open, Sent sent = {},
             Announce announce = {})
      : PooledStream<Response>(context, {}),
        open_(std::move(open)),
        sent_(std::move(sent)),
        announce_(std::move(announce)) {
    this->begin(caller);
  }

 private:
  using Next = typename PooledStream<Response>::Next;

  Result<Next> make(Response& message) override {
    message.Clear();
    const bool first = source_ == nullptr;
    if (first) {
      auto source = open_(message);
      if (!source) return fail(source.error());
      source_ = std::move(*source);
      began_ = std::chrono::steady_clock::now();
    }
    if (announce_) announce_(message);
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, source_->bytes_left()));
    std::string& data = *message.mutable_data();
    data.resize(size);
    const auto got = source_->next({reinterpret_cast<std::byte*>(data.data()), size});
    if (!got) return fail(got.error());
    data.resize(*got);
    bytes_ += *got;
    if (first || message.ByteSizeLong() != 0) return Next::kWrite;
    if (sent_) sent_(bytes_, std::chrono::steady_clock::now() - began_);
    return Next::kEnd;
  }

  static constexpr std::size_t kPieceBytes = std::size_t{1024} * 1024;

  const Open open_;
  const Sent sent_;
  const Announce announce_;
  std::unique_ptr<ByteSource> source_;
  std::uint64_t bytes_ = 0;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace overwinter::rpc
