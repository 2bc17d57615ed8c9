// When a user's program has left a whole checkpoint in its checkpoint_dir (INTERFACE §3). Pure:
// what lies there comes in as a snapshot with the time, what is to be collected goes out.
//
// A file is whole when it was renamed into place; or, for the rest, when no process of the job has
// it open for writing, it has not changed for 5 s, and its format says that it is complete. A
// folder right below checkpoint_dir is whole when it was renamed into place, when its file DONE is
// not older than the rest of it, or when all its files are whole. Then the set to collect is
//   files alone          all of them, once all are whole (or DONE is there and not older than them)
//   folders alone        the one changed last among the whole (a program that makes one a
//   checkpoint) files and folders    everything, once everything is whole: a file may name a folder
// Names that are passing (.x, x.tmp, x.part, x~) are no part of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "worker/exec/inside.h"

namespace overwinter::worker::exec {

inline constexpr std::chrono::milliseconds kCheckpointQuiet{5000};

struct CheckpointFile {
  InsideFile file;  // path relative to checkpoint_dir
  bool open_for_writing = false;
  bool complete = true;  // as far as its format tells (checkpoint_files.h)
};

struct CheckpointSnapshot {
  std::vector<CheckpointFile> files;
  // First parts of paths that were renamed into place since the snapshot before.
  std::set<std::string> renamed;
};

struct CheckpointSet {
  std::vector<InsideFile> files;  // by path
  [[nodiscard]] std::uint64_t bytes() const;
};

// Of one attempt. One thread.
class CheckpointWatch {
 public:
  // What lies there at the start (restored) is no news.
  explicit CheckpointWatch(const CheckpointSnapshot& at_start);

  // A whole set that differs from the one before; times may not go back.
  [[nodiscard]] std::optional<CheckpointSet> step(std::chrono::milliseconds now,
                                                  const CheckpointSnapshot& snapshot);

  // Whether the set, once read, is still what was read.
  [[nodiscard]] static bool unchanged(const CheckpointSet& set, const CheckpointSnapshot& now);

 private:
  struct Seen {
    InsideFile file;
    std::chrono::milliseconds changed_at{0};
    bool renamed = false;
  };
  struct Group {  // a folder, or all files beside the folders
    std::vector<const CheckpointFile*> files;
    bool whole = false;
    std::int64_t newest_ns = 0;
  };

  void note(std::chrono::milliseconds now, const CheckpointSnapshot& snapshot);
  [[nodiscard]] bool file_whole(std::chrono::milliseconds now, const CheckpointFile& file) const;
  [[nodiscard]] std::map<std::string, Group> groups(std::chrono::milliseconds now,
                                                    const CheckpointSnapshot& snapshot) const;

  std::map<std::string, Seen> seen_;
  std::vector<InsideFile> last_;
};

}  // namespace overwinter::worker::exec
