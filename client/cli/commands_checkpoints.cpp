// checkpoints list|get|verify
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/model_files.h"
#include "client/cli/progress.h"
#include "common/base/bytes.h"

namespace overwinter::cli {
namespace {

namespace fs = std::filesystem;

// JOB[@STEP] to projects/P/jobs/J/checkpoints/STEP. "@last" is a job, not a step.
Result<std::string> checkpoint_name(client::Client& client, const std::string& text) {
  const std::size_t at = text.rfind('@');
  const bool has_step = at != std::string::npos && at != 0;
  const std::string step = has_step ? text.substr(at + 1) : "latest";
  const bool digits =
      std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (has_step && (step.empty() || !digits)) {
    return fail(Code::kInvalidArgument, "a checkpoint is JOB or JOB@STEP, and STEP a number",
                "CHECKPOINT", "`overwinter checkpoints list JOB` shows the steps");
  }
  auto job = client.resolve_job(has_step ? text.substr(0, at) : text);
  if (!job) return job;
  return *job + "/checkpoints/" + step;
}

std::string job_of(const std::string& checkpoint) {
  return checkpoint.substr(0, checkpoint.rfind("/checkpoints/"));
}

// A folder beside the output that goes with this object, so that a rename is enough at the end.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path& beside) {
    std::random_device random;
    const fs::path parent = beside.has_parent_path() ? beside.parent_path() : fs::path(".");
    path_ = parent / fmt::format(".overwinter-{:08x}", random());
    std::error_code ignored;
    fs::create_directories(path_, ignored);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Status get_weights(const Globals& globals, client::Client& client, const std::string& name,
                   const fs::path& to) {
  const ScratchFolder scratch(to);
  Progress bar("download", globals.output.quiet);
  const auto files = client.download_checkpoint(
      name, {CheckpointFileKind::kWeights}, scratch.path().string(),
      [&](std::uint64_t done, std::uint64_t total) { bar.bytes(done, total); });
  if (!files && files.error().code == Code::kNotFound && files.error().field == "kinds") {
    return error(Code::kInvalidArgument,
                 "the checkpoint has no weights of its own: the program chose its files", "-o",
                 "name a folder: -o DIR/");
  }
  if (!files) return files.error();
  std::vector<fs::path> shards;
  for (const CheckpointFile& file : *files) shards.push_back(scratch.path() / file.name);
  return merge_shards(shards, to);
}

Status write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file ? Status::success() : error(Code::kInvalidArgument, "cannot write " + path.string());
}

Status get_model(const Globals& globals, client::Client& client, const std::string& name,
                 const fs::path& folder) {
  auto job = client.get_job(job_of(name));
  if (!job) return std::move(job.error());
  if (Status status = get_weights(globals, client, name, folder / "model.safetensors");
      !status.ok())
    return status;
  auto header = read_header(folder / "model.safetensors");
  if (!header) return std::move(header.error());
  return write_text(folder / "config.json", model_config(job->spec().train().model(), *header));
}

Status get_files(const Globals& globals, client::Client& client, const std::string& name,
                 const fs::path& folder) {
  Progress bar("download", globals.output.quiet);
  const auto files = client.download_checkpoint(
      name, {}, folder.string(),
      [&](std::uint64_t done, std::uint64_t total) { bar.bytes(done, total); });
  return files ? Status::success() : files.error();
}

}  // namespace

int run_checkpoints_list(const Globals& globals, const std::string& job) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const auto name = (*client)->resolve_job(job);
  if (!name) return report(name.error());
  const auto list = (*client)->list_checkpoints(*name);
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  if (list->checkpoints().empty()) {
    say(globals.output, "the job has no checkpoint yet");
    return kDone;
  }
  Table table({"STEP", "ATTEMPT", "RANKS", "LOSS", "SIZE", "STORED", "DAMAGE"});
  for (const v1::Checkpoint& one : list->checkpoints()) {
    table.add(
        {std::to_string(one.step()), std::to_string(one.attempt()),
         std::to_string(one.world_size()), one.has_loss() ? fmt::format("{:.4f}", one.loss()) : "-",
         format_bytes(one.size_bytes()), time_text(one.create_time()), printable(one.damage())});
  }
  table.print(globals.output);
  return kDone;
}

int run_checkpoints_get(const Globals& globals, const std::string& checkpoint,
                        const std::string& output) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const auto name = checkpoint_name(**client, checkpoint);
  if (!name) return report(name.error());
  const auto found = (*client)->get_checkpoint(*name);
  if (!found) return report(found.error());
  const bool is_model =
      std::any_of(found->files().begin(), found->files().end(),
                  [](const auto& file) { return file.kind() == v1::CheckpointFile::WEIGHTS; });
  // From here on it is that one, though a newer may come.
  const std::string& fixed = found->name();
  std::error_code problem;
  Status status;
  if (!output.ends_with('/') && !fs::is_directory(output, problem)) {
    status = get_weights(globals, **client, fixed, output);
  } else {
    fs::create_directories(output, problem);
    status = problem    ? error(Code::kInvalidArgument, "cannot make the folder " + output)
             : is_model ? get_model(globals, **client, fixed, output)
                        : get_files(globals, **client, fixed, output);
  }
  if (!status.ok()) return report(status);
  print_line(output);
  return kDone;
}

int run_checkpoints_verify(const Globals& globals, const std::string& checkpoint) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const auto name = checkpoint_name(**client, checkpoint);
  if (!name) return report(name.error());
  const auto answer = (*client)->verify_checkpoint(*name);
  if (!answer) return report(answer.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *answer);
  } else if (answer->good()) {
    print_line(fmt::format("good: {}", format_bytes(answer->size_bytes())));
  } else {
    print_line("damaged: " + printable(answer->damage()));
  }
  return answer->good() ? kDone : kJobFailed;
}

}  // namespace overwinter::cli
