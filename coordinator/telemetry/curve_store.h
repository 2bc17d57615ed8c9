// The curves of jobs: a file of points beside the job's logs, and the thinned curves in memory
// while they are asked for or added to. The format is in this room's README. Thread-safe; reads and
// adds may wait for the disk.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "coordinator/telemetry/curve.h"

namespace overwinter::telemetry {

struct CurveSummary {
  std::string name;
  CurveValue last;
  std::uint64_t count = 0;
};

class CurveStore {
 public:
  static constexpr std::size_t kCurvesMax = 32;  // of a job; points of more are dropped
  // Above it, and above twice what it then was, the file is written anew, thinned.
  static constexpr std::size_t kFileBytesMax = 1 << 20;
  static constexpr std::size_t kJobsInMemoryMax = 128;

  // `folder` is the job's (LogStore::folder); it is made when there is none. Points without a good
  // name are dropped, and steps that another seat of the attempt has told already: ranks that all
  // print their loss must not take each other's values back. What the disk does not take stays in
  // memory alone.
  void add(const std::filesystem::path& folder, const std::vector<CurvePoint>& points);
  // By name.
  [[nodiscard]] std::vector<CurveSummary> list(const std::filesystem::path& folder);
  // NOT_FOUND: the job has no such curve.
  [[nodiscard]] Result<std::vector<CurveValue>> read(const std::filesystem::path& folder,
                                                     const std::string& name, std::uint64_t from,
                                                     std::size_t points_max,
                                                     Smoothing smoothing = Smoothing::kNone);
  // What restarts took back of it (Curve::lost).
  [[nodiscard]] std::vector<CurveValue> lost(const std::filesystem::path& folder,
                                             const std::string& name);
  // Forgets what is in memory: the folder has been removed.
  void forget(const std::filesystem::path& folder);

 private:
  struct Teller {  // of a curve's last point
    AttemptNumber attempt = 0;
    std::uint32_t seat = 0;
  };
  struct JobCurves {
    std::map<std::string, Curve> curves;
    std::map<std::string, Teller> tellers;  // since it was read
    std::uint64_t file_bytes = 0;
    std::uint64_t thinned_bytes = 0;  // of the file when it was last written anew
    std::uint64_t used = 0;           // larger: later
  };
  [[nodiscard]] static bool was_told(JobCurves& job, const CurvePoint& point);
  JobCurves& load(const std::filesystem::path& folder) OW_REQUIRES(mutex_);
  static void rewrite(const std::filesystem::path& folder, JobCurves& job);

  Mutex mutex_;
  std::map<std::string, JobCurves> jobs_ OW_GUARDED_BY(mutex_);
  std::uint64_t uses_ OW_GUARDED_BY(mutex_) = 0;
};

}  // namespace overwinter::telemetry
