#include "worker/rpc/seat_artifacts.h"

#include <array>
#include <functional>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/wire/convert.h"
#include "worker/rpc/keep_trying.h"
#include "worker/rpc/matrix_reader.h"

namespace overwinter::worker {
namespace {

constexpr Duration kDescriptorWait{2000};

class RemoteSeat final : public SeatArtifacts {
 public:
  RemoteSeat(const ArtifactSetting& setting, const SeatAccess& access)
      : setting_(setting), access_(access), capability_(access.capability) {}

  void open_files() {
    const std::string socket = setting_.descriptor_socket ? setting_.descriptor_socket() : "";
    if (socket.empty()) return;
    std::uint64_t room = access_.in_place_bytes_max;
    const auto ask = [&](Operand operand) {
      return MatrixQuestion::ask(socket, access_.capability, digest(operand), kDescriptorWait);
    };
    std::array<Result<MatrixQuestion>, 2> questions{ask(Operand::kA), ask(Operand::kB)};
    for (const Operand operand : {Operand::kA, Operand::kB}) {
      auto& question = questions[static_cast<std::size_t>(operand)];
      auto file = question ? question->answer() : Result<MatrixFile>(fail(question.error()));
      if (!file) {
        log_debug("no descriptor of a factor, it is read over TLS: {}", file.error().message);
        continue;
      }
      if (MatrixReader::element_bytes(*file) != access_.element_bytes) continue;
      // In place while the pages stay inside the seat's memory even when they are counted.
      const std::uint64_t bytes = MatrixReader::bytes(*file);
      const bool map = bytes <= room;
      if (map) room -= bytes;
      readers_[static_cast<std::size_t>(operand)] =
          std::make_unique<MatrixReader>(std::move(*file), map);
    }
  }

  const MappedMatrix* mapped(Operand operand) const override {
    const auto& reader = readers_[static_cast<std::size_t>(operand)];
    return reader ? reader->mapped() : nullptr;
  }

  Status read(Operand operand, const Block& block, std::span<std::byte> out,
              std::stop_token stop) override {
    if (const auto& reader = readers_[static_cast<std::size_t>(operand)])
      return reader->read(block, out);
    v1::ReadBlockRequest request;
    request.set_digest(digest(operand));
    request.set_row_begin(block.row_begin);
    request.set_row_end(block.row_end);
    request.set_column_begin(block.column_begin);
    request.set_column_end(block.column_end);
    return keep_trying(stop, [&](ArtifactClient& client) {
      request.set_capability(capability());
      return client.read_block(request, out, stop);
    });
  }

  Result<TileAnswer> put(UnitNumber unit, std::span<const std::byte> tile,
                         std::stop_token stop) override {
    v1::PutTileRequest::Begin begin;
    *begin.mutable_seat() = wire::to_proto(access_.seat);
    begin.set_unit(unit);
    begin.set_size_bytes(tile.size());
    TileAnswer answer;
    const Status done = keep_trying(stop, [&](ArtifactClient& client) {
      begin.set_capability(capability());
      auto response = client.put_tile(begin, tile, stop);
      if (!response) return response.error();
      answer.message = response->message();
      return outcome(*response, answer);
    });
    if (!done.ok()) return fail(done);
    return answer;
  }

  void renew(const std::string& capability) override {
    const MutexLock lock(mutex_);
    capability_ = capability;
  }

  bool connected() const override { return !setting_.connected || setting_.connected(); }

 private:
  static Status outcome(const v1::PutTileResponse& response, TileAnswer& answer) {
    switch (response.outcome()) {
      case v1::PutTileResponse::LANDED:
        answer.outcome = TileOutcome::kLanded;
        return Status::success();
      case v1::PutTileResponse::REPEATED:
        answer.outcome = TileOutcome::kRepeated;
        return Status::success();
      case v1::PutTileResponse::REJECTED:
        answer.outcome = TileOutcome::kRejected;
        return Status::success();
      case v1::PutTileResponse::STALE:
        answer.outcome = TileOutcome::kStale;
        return Status::success();
      default:
        return error(Code::kUnimplemented, "the coordinator answered a tile in an unknown way");
    }
  }

  [[nodiscard]] const std::string& digest(Operand operand) const {
    return operand == Operand::kA ? access_.a_digest : access_.b_digest;
  }
  [[nodiscard]] std::string capability() const {
    const MutexLock lock(mutex_);
    return capability_;
  }

  Status keep_trying(const std::stop_token& stop,
                     const std::function<Status(ArtifactClient&)>& attempt) {
    return worker::keep_trying({setting_.first_pause, setting_.longest_pause,
                                access_.seat.job.value() * 31 + access_.seat.number},
                               stop, [&] {
                                 const auto client = setting_.client();
                                 return client ? attempt(*client)
                                               : error(Code::kUnavailable, "not connected");
                               });
  }

  const ArtifactSetting setting_;
  const SeatAccess access_;
  std::unique_ptr<MatrixReader> readers_[2];  // null: over TLS
  mutable Mutex mutex_;
  std::string capability_ OW_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<SeatArtifacts>> RemoteArtifacts::open(const SeatAccess& access) {
  auto seat = std::make_unique<RemoteSeat>(setting_, access);
  seat->open_files();
  return std::unique_ptr<SeatArtifacts>(std::move(seat));
}

}  // namespace overwinter::worker
