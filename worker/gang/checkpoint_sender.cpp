#include "worker/gang/checkpoint_sender.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "common/formats/digest.h"
#include "worker/gang/mapped_file.h"
#include "worker/gang/tensor_files.h"

namespace overwinter::worker {
namespace {

// Of a mapped file; what was read leaves this process's memory again, so that a checkpoint does not
// double what the rank holds. CANCELLED when nobody wants it any more.
Status feed(formats::BlobDigester& digester, std::span<const std::byte> bytes,
            const std::atomic<bool>& give_up) {
  while (!bytes.empty()) {
    if (give_up) return error(Code::kCancelled, "the checkpoint is not wanted any more");
    const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 4 * kMiB));
    digester.update(piece);
    MappedFile::release(piece);
    bytes = bytes.subspan(piece.size());
  }
  return Status::success();
}

// Sizes and digests of the files as they lie there, and the digest of all weights.
Result<v1::RankCheckpoint> take_digests(v1::RankCheckpoint checkpoint,
                                        const std::atomic<bool>& give_up) {
  std::vector<MappedFile> files;
  std::vector<TensorView> weights;
  for (v1::LocalFile& file : *checkpoint.mutable_files()) {
    auto mapped = MappedFile::open(file);
    if (!mapped) return fail(mapped.error());
    formats::BlobDigester digester;
    if (Status fed = feed(digester, mapped->bytes(), give_up); !fed.ok()) return fail(fed);
    file.set_size_bytes(mapped->bytes().size());
    file.set_digest(to_hex(digester.finish()));
    if (file.kind() != checkpoint_file_kind_name(CheckpointFileKind::kWeights)) continue;
    auto tensors = read_tensor_file(mapped->bytes(), file.name());
    if (!tensors) return fail(tensors.error());
    weights.insert(weights.end(), tensors->begin(), tensors->end());
    files.push_back(std::move(*mapped));
  }
  std::ranges::sort(weights, {}, &TensorView::name);
  formats::BlobDigester all;
  for (const TensorView& tensor : weights) {
    if (Status fed = feed(all, tensor.bytes, give_up); !fed.ok()) return fail(fed);
  }
  checkpoint.set_parameters_digest(to_hex(all.finish()));
  return checkpoint;
}

Status outcome_of(const v1::CheckpointKept& kept) {
  return kept.error().empty() ? Status::success() : error(Code::kAborted, kept.error());
}

}  // namespace

CheckpointSender::CheckpointSender(std::filesystem::path job_directory)
    : job_directory_(std::move(job_directory)) {}

CheckpointSender::~CheckpointSender() {
  give_up_ = true;
  if (digests_.valid()) digests_.wait();
}

Status CheckpointSender::write(const Facts& facts, std::span<const TensorView> state) {
  folder_ = job_directory_ / ("checkpoint-" + std::to_string(facts.step));
  std::error_code failed;
  std::filesystem::remove_all(folder_, failed);
  if (!failed) std::filesystem::create_directory(folder_, failed);
  if (failed)
    return error(Code::kInternal, "cannot make " + folder_.string() + ": " + failed.message());
  v1::RankCheckpoint checkpoint;
  checkpoint.set_step(facts.step);
  checkpoint.set_data_position(facts.data_position);
  checkpoint.set_loss(facts.loss);
  for (const TensorFile& file : checkpoint_files(state)) {
    v1::LocalFile& local = *checkpoint.add_files();
    local.set_name(file.name);
    local.set_kind(std::string(checkpoint_file_kind_name(file.kind)));
    local.set_path((folder_ / file.name).string());
    if (Status written = write_tensor_file(local.path(), file.tensors); !written.ok())
      return settle(written);
  }
  step_ = facts.step;
  digests_ = std::async(std::launch::async, [this, checkpoint = std::move(checkpoint)]() mutable {
    return take_digests(std::move(checkpoint), give_up_);
  });
  return Status::success();
}

Status CheckpointSender::send(RankPort& port) {
  const auto checkpoint = digests_.get();
  return checkpoint ? port.send_checkpoint(*checkpoint) : checkpoint.error();
}

bool CheckpointSender::is_mine(const v1::CheckpointKept& kept) const {
  return kept.step() == step_;
}

Status CheckpointSender::settle(Status outcome) {
  step_.reset();
  std::error_code ignored;  // the job's directory goes as a whole in the end
  std::filesystem::remove_all(folder_, ignored);
  return outcome;
}

std::optional<Status> CheckpointSender::poll(RankPort& port) {
  if (!busy()) return std::nullopt;
  if (digests_.valid()) {
    if (digests_.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
      return std::nullopt;
    if (Status sent = send(port); !sent.ok()) return settle(sent);
  }
  while (const auto kept = port.checkpoint_answer()) {
    if (is_mine(*kept)) return settle(outcome_of(*kept));
  }
  return std::nullopt;
}

Status CheckpointSender::wait(RankPort& port, Duration within) {
  const auto end = std::chrono::steady_clock::now() + within;
  if (digests_.valid()) {
    if (Status sent = send(port); !sent.ok()) return settle(sent);
  }
  for (;;) {
    const auto left = std::chrono::ceil<Duration>(end - std::chrono::steady_clock::now());
    const auto kept = port.wait_checkpoint_answer(std::max(left, Duration(0)));
    if (!kept && kept.error().code == Code::kDeadlineExceeded) return kept.error();
    if (!kept) return settle(kept.error());
    if (is_mine(*kept)) return settle(outcome_of(*kept));
  }
}

}  // namespace overwinter::worker
