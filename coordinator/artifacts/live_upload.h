// LiveUpload: an upload that somebody is sending now. Internal to this room; each store's sessions
// are made of it.
#pragma once

#include <memory>
#include <span>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "coordinator/artifacts/incoming_file.h"

namespace overwinter::artifacts {

// The file exists exactly as long as the upload is live. `mutex` is taken before the store's.
struct LiveUpload {
  Mutex mutex;
  std::unique_ptr<IncomingFile> file OW_GUARDED_BY(mutex);  // null: ended
  Time last_sign OW_GUARDED_BY(mutex);
  Status ended OW_GUARDED_BY(mutex);  // why, for the calls that follow

  void begin(Time now);
  // A piece that does not fit is refused and may be sent anew; an error of the disk ends it.
  [[nodiscard]] Status write(std::span<const std::byte> data, Time now);
  // Closes and removes the file. What cannot be removed now is removed at the next start.
  void end(Status why) OW_REQUIRES(mutex);
  void give_up();
  // Ends it when nothing was sent for longer than that; false also while it is being written or
  // published.
  [[nodiscard]] bool end_if_idle(Time now, Duration idle_max);
};

}  // namespace overwinter::artifacts
