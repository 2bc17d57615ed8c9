// Channels as all our programs use them: messages of at most 4 MiB, no compression, quick
// reconnects.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "common/base/result.h"
#include "common/base/time.h"

namespace grpc {
class Channel;
class ChannelCredentials;
class ClientContext;
class Status;
}  // namespace grpc

namespace overwinter {

inline constexpr int kMessageBytesMax = 4 << 20;
// What data is cut into: smaller wastes calls, larger is slower (FACTS §4).
inline constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

// Dials when first used. A channel of its own connection: two of the same address share nothing.
[[nodiscard]] std::shared_ptr<grpc::Channel> make_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials);

// The call fails with DEADLINE_EXCEEDED after this.
void set_deadline(grpc::ClientContext& context, Duration within);

// How a transfer ended; CANCELLED in our words when we stopped it.
[[nodiscard]] Status finished_transfer(const grpc::Status& status, const std::stop_token& stop);

}  // namespace overwinter
