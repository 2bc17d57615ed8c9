#include "coordinator/telemetry/curve_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <optional>

#include "coordinator/telemetry/little_endian.h"
#include "coordinator/telemetry/log_cursor.h"

namespace overwinter::telemetry {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "OWCURVES";
// The second has points with means. A file of the first is read on, and becomes one of the second
// when it is written anew.
constexpr std::uint32_t kCurvesFormat = 2;
constexpr std::uint32_t kFormatWithoutMeans = 1;
constexpr std::size_t kMeansBytes = 3 * 4;
constexpr std::uint32_t kLostMark = UINT32_MAX;  // in place of a count: the point was taken back
constexpr std::size_t kFileHeaderBytes = 12;
constexpr std::size_t kPointBytes = 8 + 1 + 4 + 8 + 8 + 8;  // without the name

bool is_metric_name(std::string_view name) {
  return !name.empty() && name.size() <= kMetricNameBytesMax &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

fs::path file_of(const fs::path& folder) {
  return folder / "curves";
}

void append_point(std::string& out, std::string_view name, const CurveValue& value,
                  const std::optional<Curve::Means>& means = std::nullopt) {
  std::string body;
  put<std::uint8_t>(body, static_cast<std::uint8_t>(name.size()));
  body += name;
  put(body, value.attempt);
  put(body, value.step);
  put<std::int64_t>(body, unix_ms(value.time));
  put(body, std::bit_cast<std::uint64_t>(value.value));
  if (means) {
    for (const float mean : means->values) put(body, std::bit_cast<std::uint32_t>(mean));
    put(body, means->count);
  }
  put<std::uint32_t>(out, static_cast<std::uint32_t>(body.size()));
  put<std::uint32_t>(out, static_cast<std::uint32_t>(XXH3_64bits(body.data(), body.size())));
  out += body;
}

struct StoredPoint {
  CurvePoint point;
  std::optional<Curve::Means> means;
};

// The point at `at`, which moves behind it; nothing when it is not whole.
std::optional<StoredPoint> read_point(std::string_view data, std::size_t& at) {
  if (data.size() - at < kPointBytes) return std::nullopt;
  const std::size_t length = get<std::uint32_t>(data, at);
  if (length < kPointBytes - 8 || length > kPointBytes - 8 + kMetricNameBytesMax + kMeansBytes ||
      data.size() - at - 8 < length)
    return std::nullopt;
  const std::string_view body = data.substr(at + 8, length);
  if (get<std::uint32_t>(data, at + 4) !=
      static_cast<std::uint32_t>(XXH3_64bits(body.data(), body.size())))
    return std::nullopt;
  const std::size_t name = get<std::uint8_t>(body, 0);
  const std::size_t bare = kPointBytes - 8 + name;
  if (length != bare && length != bare + kMeansBytes) return std::nullopt;
  StoredPoint stored;
  CurvePoint& point = stored.point;
  point.name = body.substr(1, name);
  if (!is_metric_name(point.name)) return std::nullopt;
  point.attempt = get<std::uint32_t>(body, 1 + name);
  point.step = get<std::uint64_t>(body, 5 + name);
  point.time = time_from_unix_ms(get<std::int64_t>(body, 13 + name));
  point.value = std::bit_cast<double>(get<std::uint64_t>(body, 21 + name));
  if (length != bare) {
    Curve::Means& means = stored.means.emplace();
    for (std::size_t i = 0; i < means.values.size(); ++i)
      means.values[i] = std::bit_cast<float>(get<std::uint32_t>(body, bare + 4 * i));
    means.count = get<std::uint32_t>(body, bare + 8);
  }
  at += 8 + length;
  return stored;
}

CurveValue to_value(const CurvePoint& point) {
  return {point.attempt, point.step, point.time, point.value};
}

std::string file_header(std::uint32_t format = kCurvesFormat) {
  std::string out(kMagic);
  put<std::uint32_t>(out, format);
  return out;
}

void take(Curve& curve, const StoredPoint& stored) {
  const CurveValue value = to_value(stored.point);
  if (!stored.means) {
    curve.add(value);
  } else if (stored.means->count == kLostMark) {
    curve.add_lost(value);
  } else {
    curve.add(Curve::Point{value, *stored.means});
  }
}

// False: the file is not as it should be, and its end may be torn.
bool write_at(const fs::path& path, std::uint64_t at, std::string_view data, int flags) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_CREAT | flags, 0600);
  if (fd < 0) return false;
  // What a failed write or a crash left behind the good end goes first.
  bool good = ::ftruncate(fd, static_cast<off_t>(at)) == 0;
  std::size_t done = 0;
  while (good && done < data.size()) {
    const ssize_t n =
        ::pwrite(fd, data.data() + done, data.size() - done, static_cast<off_t>(at + done));
    if (n <= 0) good = false;
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  ::close(fd);
  return good;
}

}  // namespace

CurveStore::JobCurves& CurveStore::load(const fs::path& folder) {
  if (const auto at = jobs_.find(folder.string()); at != jobs_.end()) {
    at->second.used = ++uses_;
    return at->second;
  }
  if (jobs_.size() >= kJobsInMemoryMax) {
    jobs_.erase(std::min_element(jobs_.begin(), jobs_.end(), [](const auto& a, const auto& b) {
      return a.second.used < b.second.used;
    }));
  }
  JobCurves& job = jobs_[folder.string()];
  job.used = ++uses_;
  const std::string data = read_beginning(file_of(folder), 16 * kFileBytesMax);
  const auto header = data.substr(0, kFileHeaderBytes);
  if (header != file_header() && header != file_header(kFormatWithoutMeans)) return job;
  std::size_t at = kFileHeaderBytes;
  while (const auto stored = read_point(data, at)) {
    const std::string& name = stored->point.name;
    if (job.curves.size() < kCurvesMax || job.curves.contains(name))
      take(job.curves[name], *stored);
  }
  job.file_bytes = at;
  return job;
}

void CurveStore::rewrite(const fs::path& folder, JobCurves& job) {
  std::string data = file_header();
  for (const auto& [name, curve] : job.curves) {
    for (const CurveValue& value : curve.lost())
      append_point(data, name, value, Curve::Means{.values = {}, .count = kLostMark});
    for (const Curve::Point& point : curve.points())
      append_point(data, name, point.value, point.means);
  }
  const fs::path part = folder / "curves.part";
  if (!write_at(part, 0, data, O_TRUNC)) return;
  if (std::rename(part.c_str(), file_of(folder).c_str()) == 0)
    job.file_bytes = job.thinned_bytes = data.size();
}

bool CurveStore::was_told(JobCurves& job, const CurvePoint& point) {
  const Teller of{point.attempt, point.seat};
  Teller& teller = job.tellers.try_emplace(point.name, of).first->second;
  const auto last = job.curves[point.name].last();
  if (last && teller.attempt == of.attempt && teller.seat != of.seat && point.step <= last->step)
    return true;
  teller = of;
  return false;
}

void CurveStore::add(const fs::path& folder, const std::vector<CurvePoint>& points) {
  MutexLock lock(mutex_);
  JobCurves& job = load(folder);
  std::string data;
  if (job.file_bytes == 0) data = file_header();
  for (const CurvePoint& point : points) {
    if (!is_metric_name(point.name)) continue;
    if (job.curves.size() >= kCurvesMax && !job.curves.contains(point.name)) continue;
    if (was_told(job, point)) continue;
    job.curves[point.name].add(to_value(point));
    append_point(data, point.name, to_value(point));
  }
  if (job.file_bytes == 0) {
    ::mkdir(folder.parent_path().c_str(), 0700);
    ::mkdir(folder.c_str(), 0700);
  }
  if (write_at(file_of(folder), job.file_bytes, data, 0)) job.file_bytes += data.size();
  if (job.file_bytes > std::max<std::uint64_t>(kFileBytesMax, 2 * job.thinned_bytes))
    rewrite(folder, job);
}

std::vector<CurveSummary> CurveStore::list(const fs::path& folder) {
  MutexLock lock(mutex_);
  std::vector<CurveSummary> out;
  for (const auto& [name, curve] : load(folder).curves)
    if (const auto last = curve.last()) out.push_back({name, *last, curve.count()});
  return out;
}

Result<std::vector<CurveValue>> CurveStore::read(const fs::path& folder, const std::string& name,
                                                 std::uint64_t from, std::size_t points_max,
                                                 Smoothing smoothing) {
  MutexLock lock(mutex_);
  const JobCurves& job = load(folder);
  const auto at = job.curves.find(name);
  if (at == job.curves.end()) return fail(Code::kNotFound, "the job has no such curve", "name");
  return at->second.values(from, points_max, smoothing);
}

std::vector<CurveValue> CurveStore::lost(const fs::path& folder, const std::string& name) {
  MutexLock lock(mutex_);
  const JobCurves& job = load(folder);
  const auto at = job.curves.find(name);
  return at == job.curves.end() ? std::vector<CurveValue>() : at->second.lost();
}

void CurveStore::forget(const fs::path& folder) {
  MutexLock lock(mutex_);
  jobs_.erase(folder.string());
}

}  // namespace overwinter::telemetry
