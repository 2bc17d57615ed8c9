// A checkpoint that is being written, and its files on their way. Internal to CheckpointStore.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "coordinator/artifacts/checkpoint_store.h"
#include "coordinator/artifacts/incoming_file.h"

namespace overwinter::artifacts {

inline const std::string kCheckpointManifestName = "manifest";

// All but what never changes is guarded by the store's mutex_.
struct CheckpointStore::Open {
  const JobId job;
  const CheckpointKey key;
  const std::string folder;

  std::uint64_t total_bytes = 0;  // announced
  std::uint64_t begun_bytes = 0;  // of the files that arrived or are on their way: on the disk
  std::map<Digest, std::uint64_t> arrived;  // with their sizes
  std::set<std::shared_ptr<CheckpointUpload::Session>> uploads;
  Time last_sign;
  bool closed = false;  // being committed or given up: nothing more arrives
};

struct CheckpointUpload::Session {
  CheckpointStore::OpenPtr open;
  std::string path;
  Digest digest;
  std::uint64_t size_bytes = 0;

  Mutex mutex;                                              // taken before the store's
  std::unique_ptr<IncomingFile> file OW_GUARDED_BY(mutex);  // null: ended
  Status ended OW_GUARDED_BY(mutex);                        // why, for the calls that follow

  void end(Status why) OW_REQUIRES(mutex) {
    file.reset();
    if (ended.ok()) ended = std::move(why);
  }
};

}  // namespace overwinter::artifacts
