#include "worker/rpc/output_sender.h"

#include <utility>

#include "common/rpc/sent_file.h"
#include "common/wire/convert.h"

namespace overwinter::worker {

Status OutputSender::put(const Order& order, std::stop_token stop) {
  const auto content = read_content(order.archive, stop);
  if (!content) return content.error();
  v1::PutOutputsRequest::Begin begin;
  *begin.mutable_seat() = wire::to_proto(order.seat);
  begin.set_kind(order.kind == Kind::kOutputs ? v1::PutOutputsRequest::OUTPUTS
                                              : v1::PutOutputsRequest::WORKDIR);
  begin.set_size_bytes(content->size_bytes);
  begin.set_digest(to_hex(content->digest));
  bool told = false;
  return keep_trying(retrying_, stop, [&] {
    const auto client = client_();
    if (!client) return error(Code::kUnavailable, "not connected");
    begin.set_capability(order.capability());
    Status status = client->put_outputs(begin, order.archive, stop);
    if (status.code == Code::kResourceExhausted && !std::exchange(told, true))
      order.no_room(status);
    return status;
  });
}

}  // namespace overwinter::worker
