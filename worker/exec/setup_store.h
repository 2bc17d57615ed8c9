// A job's `setup`: run once per worker and digest, its results kept, its failure too. What it
// leaves:
//
//   BASE/KEY/work      the workdir it ran in, with what it made there
//   BASE/KEY/python    PYTHONUSERBASE: where `pip install` puts things
//   BASE/KEY/log       what it printed
//   BASE/KEY/ready, or BASE/KEY/failed with the reason
//
// A daemon that ends in the middle leaves neither: the next one begins anew. A setup that failed is
// not tried again: the same text on the same files fails the same way, and costs money.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "worker/exec/descriptor.h"

namespace overwinter::worker::exec {

[[nodiscard]] Digest setup_key(const std::string& project, const std::string& workdir_digest,
                               const std::string& setup);

// One setup, while this process may decide about it: no other process of the machine has it.
class SetupSlot {
 public:
  enum class State { kToDo, kReady, kFailed };

  // UNAVAILABLE: another attempt is at it now. kToDo: its folder is there, empty but for `work` and
  // `python`, and the caller runs the setup.
  [[nodiscard]] static Result<SetupSlot> open(const std::filesystem::path& base, const Digest& key);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }  // kFailed
  [[nodiscard]] std::filesystem::path folder() const { return folder_; }
  [[nodiscard]] std::filesystem::path work() const { return folder_ / "work"; }
  [[nodiscard]] std::filesystem::path python() const { return folder_ / "python"; }
  [[nodiscard]] std::filesystem::path log() const { return folder_ / "log"; }

  // It went well: made readable for all jobs that are granted the folder, and nobody's to change.
  [[nodiscard]] Status finish();
  [[nodiscard]] Status fail_for_good(const std::string& reason);

  // What setup and the jobs after it get beside their own, so that `pip install` works as an
  // unprivileged user on a system whose Python belongs to its packages.
  [[nodiscard]] std::map<std::string, std::string> environment(bool for_setup) const;

 private:
  SetupSlot() = default;
  std::filesystem::path folder_;
  Descriptor lock_;
  State state_ = State::kToDo;
  std::string reason_;
};

// Into a job's workdir, unpacked from the same archive: a link to everything that setup made beside
// what was there. What setup changed of the archive's own files is not carried over.
[[nodiscard]] Status link_setup(const std::filesystem::path& setup_work,
                                const std::filesystem::path& work);

}  // namespace overwinter::worker::exec
