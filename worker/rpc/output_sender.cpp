#include "worker/rpc/output_sender.h"

#include "common/rpc/sent_file.h"
#include "common/wire/convert.h"

namespace overwinter::worker {

Status OutputSender::put(const SeatKey& seat, const std::function<std::string()>& capability,
                         Kind kind, const std::filesystem::path& archive, std::stop_token stop) {
  const auto content = read_content(archive, stop);
  if (!content) return content.error();
  v1::PutOutputsRequest::Begin begin;
  *begin.mutable_seat() = wire::to_proto(seat);
  begin.set_kind(kind == Kind::kOutputs ? v1::PutOutputsRequest::OUTPUTS
                                        : v1::PutOutputsRequest::WORKDIR);
  begin.set_size_bytes(content->size_bytes);
  begin.set_digest(to_hex(content->digest));
  return keep_trying(retrying_, stop, [&] {
    const auto client = client_();
    if (!client) return error(Code::kUnavailable, "not connected");
    begin.set_capability(capability());
    return client->put_outputs(begin, archive, stop);
  });
}

}  // namespace overwinter::worker
