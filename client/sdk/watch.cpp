// Finding a job by what people type, and following it through restarts of the coordinator.
#include <chrono>
#include <mutex>
#include <thread>

#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"

namespace overwinter::client {
namespace {

constexpr int kPageSize = 1000;
constexpr auto kStopPoll = std::chrono::milliseconds(100);

std::string last_part(const std::string& name) {
  return name.substr(name.rfind('/') + 1);
}

}  // namespace

Result<std::string> Client::resolve_job(const std::string& text) {
  if (text.rfind("projects/", 0) == 0) return text;
  if (text.empty()) return fail(Code::kInvalidArgument, "a job's name is empty", "job");
  v1::ListJobsRequest request;
  request.set_parent("projects/-");
  request.set_page_size(text == "@last" ? 1 : kPageSize);
  std::string found;
  std::size_t matches = 0;
  for (;;) {
    auto page = list_jobs(request);
    if (!page) return fail(page.error());
    for (const v1::Job& job : page->jobs()) {
      const std::string last = last_part(job.name());
      if (text == "@last" || last == text) return job.name();
      if (last.rfind(text, 0) == 0) {
        ++matches;
        found = job.name();
      }
    }
    if (page->next_page_token().empty() || text == "@last") break;
    request.set_page_token(page->next_page_token());
  }
  if (matches == 1) return found;
  if (matches > 1) {
    return fail(Code::kNotFound,
                "\"" + text + "\" begins the names of " + std::to_string(matches) + " jobs", "job",
                "write more of the name; `overwinter jobs list` shows them");
  }
  return fail(
      Code::kNotFound,
      text == "@last" ? std::string("there is no job yet") : "there is no job \"" + text + "\"",
      "job", "`overwinter jobs list` shows what there is");
}

Status Client::watch(const std::string& name, Duration outage, const JobSeen& seen,
                     const std::function<bool()>& stopped,
                     const std::function<void(const Status&)>& away) {
  using Clock = std::chrono::steady_clock;
  auto last_contact = Clock::now();
  bool told = false;
  auto pause = std::chrono::milliseconds(100);
  for (;;) {
    grpc::ClientContext context;
    impl_->prepare(context);
    // A connection makes progress only while a call waits for it.
    context.set_wait_for_ready(told);
    v1::WatchJobsRequest request;
    request.set_name(name);
    request.set_parent(name.substr(0, name.rfind("/jobs/")));
    // A thread of its own asks whether to stop: a stream without news blocks in Read.
    std::mutex mutex;
    std::condition_variable_any wake;
    std::jthread stopper([&](const std::stop_token& token) {
      std::unique_lock lock(mutex);
      while (!token.stop_requested()) {
        if ((stopped && stopped()) || (told && Clock::now() - last_contact > outage)) {
          context.TryCancel();
          return;
        }
        wake.wait_for(lock, token, kStopPoll, [] { return false; });
      }
    });
    const auto stream = impl_->jobs->WatchJobs(&context, request);
    v1::WatchJobsResponse response;
    bool enough = false;
    while (!enough && stream->Read(&response)) {
      last_contact = Clock::now();
      told = false;
      pause = std::chrono::milliseconds(100);
      enough = !seen(response.job());
    }
    if (enough) context.TryCancel();
    const grpc::Status status = stream->Finish();
    stopper.request_stop();
    stopper.join();
    if (enough) return Status::success();
    if (stopped && stopped()) return error(Code::kCancelled, "stopped watching " + name);
    const bool gone = status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                      status.error_code() == grpc::StatusCode::CANCELLED ||
                      status.error_code() == grpc::StatusCode::OUT_OF_RANGE;
    if (!gone) return impl_->explained(status);
    if (away && !told) away(impl_->explained(status));
    told = true;
    if (Clock::now() - last_contact > outage) return impl_->explained(status);
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::milliseconds(2000));
  }
}

}  // namespace overwinter::client
