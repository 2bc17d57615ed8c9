// CheckpointService for people.
#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "common/base/log.h"
#include "common/wire/checkpoint.h"
#include "coordinator/rpc/blob_source.h"
#include "coordinator/rpc/byte_stream.h"
#include "coordinator/rpc/checkpoint_service.h"
#include "coordinator/rpc/unary.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/pages.h"
#include "coordinator/runtime/resources.h"

namespace overwinter::rpc {
namespace {

constexpr int kPageSize = 100;
constexpr std::string_view kCollection = "/checkpoints/";

struct CheckpointName {
  std::string job;                    // projects/P/jobs/J
  std::optional<std::uint64_t> step;  // none: the latest
};

Result<CheckpointName> parse_checkpoint_name(std::string_view name) {
  const auto bad = [] {
    return fail(Code::kInvalidArgument,
                "a checkpoint is named projects/P/jobs/J/checkpoints/STEP, or …/latest", "name");
  };
  const std::size_t at = name.rfind(kCollection);
  if (at == std::string_view::npos) return bad();
  CheckpointName out{std::string(name.substr(0, at)), std::nullopt};
  const std::string_view step = name.substr(at + kCollection.size());
  if (step == "latest") return out;
  std::uint64_t number = 0;
  const auto [stop, problem] = std::from_chars(step.begin(), step.end(), number);
  if (problem != std::errc{} || stop != step.end()) return bad();
  out.step = number;
  return out;
}

struct Found {
  runtime::JobViewPtr job;
  artifacts::StoredCheckpoint checkpoint;
};

// On the pool: an ended job is looked for on the disk.
Result<Found> find_checkpoint(const ServiceContext& context,
                              const artifacts::CheckpointStore& store, const Principal& caller,
                              const std::string& text) {
  const auto name = parse_checkpoint_name(text);
  if (!name) return fail(name.error());
  auto job = runtime::find_any_job(context.views, context.store.history(), caller, name->job);
  if (!job) return fail(job.error());
  auto checkpoint = store.get((*job)->id, name->step);
  if (!checkpoint) {
    return fail(Code::kNotFound,
                name->step ? "job " + (*job)->name + " has no checkpoint at step " +
                                 std::to_string(*name->step)
                           : "job " + (*job)->name + " has no checkpoint",
                "name", "`overwinter checkpoints list` shows those that are kept");
  }
  return Found{std::move(*job), std::move(*checkpoint)};
}

v1::Checkpoint resource(const runtime::JobView& job, const artifacts::StoredCheckpoint& stored,
                        bool with_files) {
  const CheckpointManifest& manifest = *stored.manifest;
  auto out = wire::to_proto(manifest, checkpoint_resource_name(job, manifest.step), with_files);
  out.set_damage(stored.damage);
  return out;
}

// Sorts as the list does, backwards: "ATTEMPT-STEP".
std::string page_key(const CheckpointKey& key) {
  return std::to_string(key.attempt) + "-" + std::to_string(key.step);
}
CheckpointKey parse_page_key(const std::string& text) {
  CheckpointKey key;
  const char* end = text.data() + text.size();
  const auto [dash, problem] = std::from_chars(text.data(), end, key.attempt);
  if (problem == std::errc{} && dash != end) std::from_chars(dash + 1, end, key.step);
  return key;
}

// The files of a checkpoint, one after another.
class FilesSource final : public ByteSource {
 public:
  FilesSource(artifacts::CheckpointStore& store, JobId job, const CheckpointManifest& manifest,
              std::vector<CheckpointFile> files)
      : store_(store),
        job_(job),
        key_(manifest.key()),
        files_(std::move(files)),
        pin_(store, job, manifest.key()) {
    for (const CheckpointFile& file : files_) total_ += file.size_bytes;
  }

  // Names the file that the next piece belongs to, if it is a new one.
  void announce(v1::DownloadCheckpointResponse& message) {
    if (blob_ && blob_->bytes_left() != 0) return;
    blob_.reset();
    if (at_ == files_.size()) return;
    const CheckpointFile& file = files_[at_++];
    auto opened = store_.open_file(job_, key_, file.name);
    if (!opened) {
      broken_ = opened.error();
      return;
    }
    *message.mutable_begin()->mutable_file() = wire::to_proto(file);
    message.mutable_begin()->set_total_bytes(total_);
    total_ -= file.size_bytes;
    blob_.emplace(std::move(*opened));
  }

  Result<std::size_t> next(std::span<std::byte> out) override {
    if (!broken_.ok()) return fail(broken_);
    return blob_ ? blob_->next(out) : 0;
  }
  std::uint64_t bytes_left() const override { return blob_ ? blob_->bytes_left() : 0; }

 private:
  artifacts::CheckpointStore& store_;
  const JobId job_;
  const CheckpointKey key_;
  const std::vector<CheckpointFile> files_;
  const artifacts::CheckpointStore::Pin pin_;
  std::size_t at_ = 0;
  std::uint64_t total_ = 0;  // of what was not announced yet
  std::optional<BlobSource> blob_;
  Status broken_;
};

}  // namespace

std::string checkpoint_resource_name(const runtime::JobView& job, std::uint64_t step) {
  return runtime::job_resource_name(job) + std::string(kCollection) + std::to_string(step);
}

Unary* CheckpointService::ListCheckpoints(Call* call, const v1::ListCheckpointsRequest* request,
                                          v1::ListCheckpointsResponse* response) {
  return answer_on_pool(
      context_, call, Permission::kReadJobs, runtime::Work::kRead,
      [this, request, response](const Principal& caller) -> Status {
        const auto job = runtime::find_any_job(context_.views, context_.store.history(), caller,
                                               request->parent());
        if (!job) return job.error();
        const std::string mark = "checkpoints of " + request->parent() + " for " + caller.project;
        const auto page =
            runtime::read_page(request->page_size(), request->page_token(), mark, kPageSize);
        if (!page) return page.error();
        const CheckpointKey after = parse_page_key(page->after);
        CheckpointKey last;
        for (const auto& stored : checkpoints_.list((*job)->id)) {
          if (!page->after.empty() && !(stored.manifest->key() < after)) continue;
          if (response->checkpoints_size() == page->size) {
            response->set_next_page_token(runtime::page_token(mark, page_key(last)));
            break;
          }
          last = stored.manifest->key();
          *response->add_checkpoints() = resource(**job, stored, false);
        }
        return Status::success();
      });
}

Unary* CheckpointService::GetCheckpoint(Call* call, const v1::GetCheckpointRequest* request,
                                        v1::Checkpoint* response) {
  return answer_on_pool(context_, call, Permission::kReadJobs, runtime::Work::kRead,
                        [this, request, response](const Principal& caller) -> Status {
                          const auto found =
                              find_checkpoint(context_, checkpoints_, caller, request->name());
                          if (!found) return found.error();
                          *response = resource(*found->job, found->checkpoint, true);
                          return Status::success();
                        });
}

grpc::ServerWriteReactor<v1::DownloadCheckpointResponse>* CheckpointService::DownloadCheckpoint(
    Call* call, const v1::DownloadCheckpointRequest* request) {
  using Response = v1::DownloadCheckpointResponse;
  const auto caller = context_.authorizer->caller(*call, Permission::kReadJobs);
  if (!caller) return new RefusedStream<Response>(caller.error());
  // The stream owns the source; what announces its files looks at it from the same thread.
  const auto source = std::make_shared<FilesSource*>(nullptr);
  return new ByteStream<Response>(
      context_, *caller,
      [this, source, caller = *caller,
       asked = *request](Response&) -> Result<std::unique_ptr<ByteSource>> {
        const auto found = find_checkpoint(context_, checkpoints_, caller, asked.name());
        if (!found) return fail(found.error());
        const CheckpointManifest& manifest = *found->checkpoint.manifest;
        std::set<int> kinds(asked.kinds().begin(), asked.kinds().end());
        std::vector<CheckpointFile> files;
        for (const CheckpointFile& file : manifest.files) {
          if (kinds.empty() || kinds.contains(static_cast<int>(file.kind))) files.push_back(file);
        }
        if (files.empty()) {
          return fail(Code::kNotFound, "the checkpoint has no file of that kind", "kinds");
        }
        auto made =
            std::make_unique<FilesSource>(checkpoints_, found->job->id, manifest, std::move(files));
        *source = made.get();
        return made;
      },
      ByteStream<Response>::Sent{}, [source](Response& message) { (*source)->announce(message); });
}

Unary* CheckpointService::VerifyCheckpoint(Call* call, const v1::VerifyCheckpointRequest* request,
                                           v1::VerifyCheckpointResponse* response) {
  return answer_on_pool(
      context_, call, Permission::kReadJobs, runtime::Work::kCheck,
      [this, request, response](const Principal& caller) -> Status {
        const auto found = find_checkpoint(context_, checkpoints_, caller, request->name());
        if (!found) return found.error();
        const CheckpointManifest& manifest = *found->checkpoint.manifest;
        const Status status = checkpoints_.verify(found->job->id, manifest.key());
        if (status.code == Code::kNotFound) return status;
        if (!status.ok()) {
          log_error("a checkpoint of job {} is damaged: {}", found->job->name, status.message);
        }
        response->set_good(status.ok());
        response->set_damage(status.message);
        response->set_size_bytes(manifest.total_bytes());
        return Status::success();
      });
}

}  // namespace overwinter::rpc
