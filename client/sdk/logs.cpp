// What a job prints and measures.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"

namespace overwinter::client {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kFollowPoll = std::chrono::milliseconds(100);
constexpr auto kPauseMax = std::chrono::milliseconds(2000);

bool is_away(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::CANCELLED ||
         status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

}  // namespace

Status Client::read_logs(v1::ReadLogsRequest request, Duration outage,
                         const std::function<void(const v1::ReadLogsResponse&)>& seen,
                         const std::function<bool()>& stopped,
                         const std::function<void(const Status&)>& away) {
  auto last_contact = Clock::now();
  bool told = false;
  auto pause = kFollowPoll;
  for (;;) {
    grpc::ClientContext context;
    impl_->prepare(context);
    context.set_wait_for_ready(told);
    // A thread of its own asks whether to stop: a stream without news blocks in Read.
    std::mutex mutex;
    std::condition_variable_any wake;
    const auto give_up = told ? last_contact + outage : Clock::time_point::max();
    std::jthread stopper([&](const std::stop_token& token) {
      std::unique_lock lock(mutex);
      while (!token.stop_requested()) {
        if ((stopped && stopped()) || Clock::now() > give_up) {
          context.TryCancel();
          return;
        }
        wake.wait_for(lock, token, kFollowPoll, [] { return false; });
      }
    });
    const auto stream = impl_->logs->ReadLogs(&context, request);
    v1::ReadLogsResponse response;
    while (stream->Read(&response)) {
      if (told) stopper.request_stop();  // it is back: no end to this stream
      last_contact = Clock::now();
      told = false;
      pause = kFollowPoll;
      // Where a stream that breaks off goes on. The last lines were counted once, at its beginning.
      request.set_after(response.next());
      request.clear_tail();
      seen(response);
    }
    const grpc::Status status = stream->Finish();
    stopper.request_stop();
    stopper.join();
    if (stopped && stopped())
      return error(Code::kCancelled, "stopped reading the logs of " + request.name());
    if (status.ok()) return Status::success();
    if (!request.follow() || !is_away(status)) return impl_->explained(status);
    if (away && !told) away(impl_->explained(status));
    told = true;
    if (Clock::now() - last_contact > outage) return impl_->explained(status);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kPauseMax);
  }
}

Result<v1::ListCurvesResponse> Client::list_curves(const std::string& job) {
  v1::ListCurvesRequest request;
  request.set_name(job);
  return impl_->call(*impl_->logs, &v1::LogService::Stub::ListCurves, request);
}

Result<v1::ReadCurveResponse> Client::read_curve(const v1::ReadCurveRequest& request) {
  return impl_->call(*impl_->logs, &v1::LogService::Stub::ReadCurve, request);
}

}  // namespace overwinter::client
