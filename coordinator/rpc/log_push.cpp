// LogService: what workers push. Nothing here waits: a batch is handed to telemetry, which drops
// what it has no room for, and the next one is read.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/mutex.h"
#include "common/wire/convert.h"
#include "coordinator/rpc/log_service.h"
#include "coordinator/rpc/pooled_upload.h"
#include "coordinator/rpc/seat_access.h"

namespace overwinter::rpc {
namespace {

constexpr int kLinesMax = 50'000;  // of a message
constexpr int kPushedPointsMax = 5'000;
constexpr std::uint32_t kRanksMax = 65'536;

telemetry::Stream stream_of(v1::LogLine::Stream stream) {
  if (stream == v1::LogLine::ERR) return telemetry::Stream::kErr;
  return stream == v1::LogLine::SYSTEM ? telemetry::Stream::kSystem : telemetry::Stream::kOut;
}

class LogPush final : public grpc::ServerReadReactor<v1::PushLogsRequest> {
 public:
  LogPush(ServiceContext& context, telemetry::Telemetry& telemetry,
          const CapabilityVerifier& verifier, const Principal& caller,
          v1::PushLogsResponse* response)
      : context_(context),
        telemetry_(telemetry),
        verifier_(verifier),
        worker_(caller.id),
        response_(response) {
    stream_ =
        context_.streams.add(caller.kind, caller.id, [this](const Status& status) { end(status); });
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return end(Status::success());
    const Status status = job_ ? take() : begin();
    if (!status.ok()) return end(status);
    StartRead(&message_);
  }
  void OnCancel() override { end(error(Code::kCancelled, "the call was cancelled")); }
  void OnDone() override {
    context_.streams.remove(stream_);
    { MutexLock lock(mutex_); }  // whoever ended the call has let go of it
    delete this;
  }

 private:
  Status begin() {
    if (!message_.has_begin())
      return error(Code::kInvalidArgument, "the first message names the seat", "begin");
    const auto seat = wire::from_proto(message_.begin().seat());
    if (!seat) return seat.error();
    // The last words of a process come after its seat: what the capability says is enough.
    const auto capability =
        seat_capability(verifier_, message_.begin().capability(), worker_, *seat, context_.now());
    if (!capability) return capability.error();
    job_ = telemetry::JobKey{capability->project, seat->job};
    attempt_ = seat->attempt;
    seat_ = seat->number;
    return Status::success();
  }

  Status take() {
    if (!message_.has_logs()) return error(Code::kInvalidArgument, "a push begins once", "begin");
    v1::PushedLogs& logs = *message_.mutable_logs();
    if (logs.lines_size() > kLinesMax || logs.points_size() > kPushedPointsMax)
      return error(Code::kInvalidArgument, "at most 50,000 lines and 5,000 points come at once",
                   "logs");
    const Time now = context_.now();
    telemetry::JobBatch batch{.job = *job_};
    for (v1::PushedLine& line : *logs.mutable_lines()) {
      if (line.rank() >= kRanksMax)
        return error(Code::kInvalidArgument, "a rank is below 65,536", "logs.lines.rank");
      batch.entries.push_back({.attempt = attempt_,
                               .rank = line.rank(),
                               .stream = stream_of(line.stream()),
                               .time = std::min(wire::from_proto(line.time()), now),
                               .text = std::move(*line.mutable_text()),
                               .lines_lost = line.lines_lost(),
                               .bytes_lost = line.bytes_lost()});
      if (batch.entries.back().is_gap()) batch.entries.back().text.clear();
    }
    for (v1::PushedPoint& point : *logs.mutable_points()) {
      context_.views.note_metric(job_->project, job_->job, point.metric(), point.value());
      batch.points.push_back({.name = std::move(*point.mutable_metric()),
                              .attempt = attempt_,
                              .step = point.step(),
                              .time = std::min(wire::from_proto(point.time()), now),
                              .value = point.value(),
                              .seat = seat_});
    }
    response_->set_lines(response_->lines() + batch.entries.size());
    telemetry_.push(std::move(batch));
    return Status::success();
  }

  void end(const Status& status) {
    MutexLock lock(mutex_);
    if (std::exchange(ended_, true)) return;
    Finish(to_grpc(status));
  }

  ServiceContext& context_;
  telemetry::Telemetry& telemetry_;
  const CapabilityVerifier& verifier_;
  const WorkerId worker_;
  v1::PushLogsResponse* const response_;
  v1::PushLogsRequest message_;
  std::uint64_t stream_ = 0;
  std::optional<telemetry::JobKey> job_;
  AttemptNumber attempt_ = 0;
  std::uint32_t seat_ = 0;
  Mutex mutex_;
  bool ended_ OW_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerReadReactor<v1::PushLogsRequest>* push_logs(ServiceContext& context,
                                                        telemetry::Telemetry& telemetry,
                                                        const CapabilityVerifier& verifier,
                                                        const Result<Principal>& caller,
                                                        v1::PushLogsResponse* response) {
  if (!caller) return new RefusedUpload<v1::PushLogsRequest>(caller.error());
  return new LogPush(context, telemetry, verifier, *caller, response);
}

}  // namespace overwinter::rpc
