#include "coordinator/rpc/log_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/wire/convert.h"
#include "coordinator/rpc/pooled_stream.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/job_queries.h"

namespace overwinter::rpc {
namespace {

// Of a follower: how long it is quiet after the job has ended. Last words come a little later.
constexpr int kQuietPausesMax = 5;
constexpr std::uint32_t kPointsByDefault = 1'000;
constexpr std::uint32_t kPointsMax = 5'000;

// How many bytes of the beginning are one character of UTF-8; 0: none.
std::size_t character_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const bool too_long = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool none = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
  return too_long || none ? 0 : length;
}

// What is no UTF-8 becomes U+FFFD: a message's text has to be.
std::string as_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = character_at(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

void to_message(const telemetry::LogItem& item, v1::LogLine& out) {
  out.set_attempt(item.entry.attempt);
  out.set_rank(item.entry.rank);
  out.set_stream(static_cast<v1::LogLine::Stream>(item.entry.stream));
  *out.mutable_time() = wire::to_proto(item.entry.time);
  out.set_text(as_utf8(item.entry.text));
  out.set_cut(item.cut);
  out.set_lines_lost(item.entry.lines_lost);
  out.set_bytes_lost(item.entry.bytes_lost);
}

void to_message(const telemetry::CurveValue& value, v1::CurvePoint& out) {
  out.set_step(value.step);
  *out.mutable_time() = wire::to_proto(value.time);
  out.set_value(value.value);
  out.set_attempt(value.attempt);
}

Result<telemetry::LogQuery> query_of(const v1::ReadLogsRequest& request, Time now) {
  telemetry::LogQuery query;
  if (request.has_rank()) query.rank = request.rank();
  if (request.has_attempt()) query.attempt = request.attempt();
  if (request.has_tail()) {
    if (request.tail() > telemetry::kTailMax)
      return fail(Code::kInvalidArgument, "tail is at most 100,000 lines", "tail");
    query.tail = request.tail();
  }
  if (request.has_newer_than()) {
    const auto age = wire::from_proto(request.newer_than());
    if (!age) return fail(age.error());
    query.since = now - *age;
  }
  query.after = request.after();
  return query;
}

// One open reading. A follower that has all pauses and asks again, which costs no look at the disk.
class LogReading final : public PooledStream<v1::ReadLogsResponse> {
 public:
  LogReading(ServiceContext& context, telemetry::Telemetry& telemetry, const Principal& caller,
             const v1::ReadLogsRequest& request, telemetry::LogQuery query)
      : PooledStream(context, request.name()),
        telemetry_(telemetry),
        caller_(caller),
        name_(request.name()),
        follow_(request.follow()),
        query_(std::move(query)) {
    begin(caller);
  }

 private:
  Result<Next> make(v1::ReadLogsResponse& message) override {
    message.Clear();
    // Taken before the lines: what an ended job has said by then is among them.
    if (!key_) {
      const auto job =
          runtime::find_any_job(context_.views, context_.store.history(), caller_, name_);
      if (!job) return fail(job.error());
      key_ = telemetry::JobKey{(*job)->project, (*job)->id};
    }
    const auto view = context_.views.job(key_->job);
    const bool ended = !view || core::is_terminal(view->state);
    const auto page = telemetry_.read_logs(*key_, query_);
    if (!page) return fail(page.error());
    query_.after = page->next;
    query_.tail.reset();
    for (const telemetry::LogItem& item : page->items) to_message(item, *message.add_lines());
    message.set_next(page->next);
    if (!page->items.empty()) {
      quiet_ = 0;
      return Next::kWrite;
    }
    quiet_ = ended ? quiet_ + 1 : 0;
    return !follow_ || quiet_ > kQuietPausesMax ? Next::kEnd : Next::kPause;
  }

  telemetry::Telemetry& telemetry_;
  const Principal caller_;
  const std::string name_;
  const bool follow_;
  telemetry::LogQuery query_;
  std::optional<telemetry::JobKey> key_;
  int quiet_ = 0;
};

}  // namespace

grpc::ServerWriteReactor<v1::ReadLogsResponse>* LogService::ReadLogs(
    grpc::CallbackServerContext* call, const v1::ReadLogsRequest* request) {
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  if (!caller) return new RefusedStream<v1::ReadLogsResponse>(caller.error());
  auto query = query_of(*request, context_.now());
  if (!query) return new RefusedStream<v1::ReadLogsResponse>(query.error());
  return new LogReading(context_, telemetry_, *caller, *request, std::move(*query));
}

grpc::ServerUnaryReactor* LogService::ListCurves(grpc::CallbackServerContext* call,
                                                 const v1::ListCurvesRequest* request,
                                                 v1::ListCurvesResponse* response) {
  return answer_on_pool(context_, call, Permission::kReadJobs, runtime::Work::kRead,
                        [this, request, response](const Principal& caller) -> Status {
                          const auto job = runtime::find_any_job(
                              context_.views, context_.store.history(), caller, request->name());
                          if (!job) return job.error();
                          const auto curves = telemetry_.list_curves({(*job)->project, (*job)->id});
                          if (!curves) return curves.error();
                          for (const telemetry::CurveSummary& summary : *curves) {
                            v1::Curve& curve = *response->add_curves();
                            curve.set_metric(as_utf8(summary.name));
                            curve.set_points(summary.count);
                            to_message(summary.last, *curve.mutable_last());
                          }
                          return Status::success();
                        });
}

grpc::ServerUnaryReactor* LogService::ReadCurve(grpc::CallbackServerContext* call,
                                                const v1::ReadCurveRequest* request,
                                                v1::ReadCurveResponse* response) {
  return answer_on_pool(
      context_, call, Permission::kReadJobs, runtime::Work::kRead,
      [this, request, response](const Principal& caller) -> Status {
        const auto job = runtime::find_any_job(context_.views, context_.store.history(), caller,
                                               request->name());
        if (!job) return job.error();
        if (request->points_max() > kPointsMax)
          return error(Code::kInvalidArgument, "points_max is at most 5,000", "points_max");
        const std::uint32_t points =
            request->points_max() == 0 ? kPointsByDefault : request->points_max();
        const auto curve = telemetry_.read_curve({(*job)->project, (*job)->id}, request->metric(),
                                                 request->from_step(), points);
        if (!curve) return curve.error();
        for (const telemetry::CurveValue& value : *curve)
          to_message(value, *response->add_points());
        return Status::success();
      });
}

grpc::ServerReadReactor<v1::PushLogsRequest>* LogService::PushLogs(
    grpc::CallbackServerContext* call, v1::PushLogsResponse* response) {
  return push_logs(context_, telemetry_, verifier_,
                   context_.authorizer->peer_caller(*call, Permission::kArtifactByCapability),
                   response);
}

}  // namespace overwinter::rpc
