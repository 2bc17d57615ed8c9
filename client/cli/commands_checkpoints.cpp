// checkpoints list|get|verify
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "client/cli/checkpoint_files.h"
#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/cli/model_files.h"
#include "client/cli/progress.h"
#include "common/base/bytes.h"

namespace overwinter::cli {
namespace {

namespace fs = std::filesystem;

std::string job_of(const std::string& checkpoint) {
  return checkpoint.substr(0, checkpoint.rfind("/checkpoints/"));
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
  if (Status status = download_weights(globals, client, name, folder / "model.safetensors");
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
    status = download_weights(globals, **client, fixed, output);
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
