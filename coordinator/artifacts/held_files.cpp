#include "coordinator/artifacts/held_files.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/log.h"

namespace overwinter::artifacts {
namespace {

// On its way to its name: no copy wants it.
bool half_written(const std::string& path) {
  return path.ends_with(".part") || path.find("/uploads/") != std::string::npos;
}

}  // namespace

Result<std::unique_ptr<HeldFiles>> HeldFiles::open(FilePort& under, std::string root) {
  std::unique_ptr<HeldFiles> out(new HeldFiles(under, std::move(root)));
  if (Status status = under.make_folder(out->folder_); !status.ok()) return fail(std::move(status));
  const auto left = under.list(out->folder_);
  if (!left) return fail(left.error());
  for (const std::string& name : *left) {
    if (Status status = under.remove(fmt::format("{}/{}", out->folder_, name)); !status.ok())
      return fail(std::move(status));
  }
  return out;
}

Result<std::unique_ptr<HeldFiles::Hold>> HeldFiles::hold() {
  MutexLock lock(mutex_);
  if (held_) return fail(Code::kResourceExhausted, "a copy of the files is being made already");
  held_ = true;
  return std::unique_ptr<Hold>(new Hold(*this));
}

HeldFiles::Hold::~Hold() {
  files_.release();
}

Result<std::unique_ptr<File>> HeldFiles::Hold::read(const std::string& path) const {
  MutexLock lock(files_.mutex_);
  auto file = files_.under_.open(path, OpenMode::kRead);
  if (file || file.error().code != Code::kNotFound) return file;
  const auto kept = files_.kept_.find(path);
  return kept == files_.kept_.end() ? std::move(file)
                                    : files_.under_.open(kept->second, OpenMode::kRead);
}

std::vector<std::string> HeldFiles::Hold::removed() const {
  MutexLock lock(files_.mutex_);
  std::vector<std::string> out;
  out.reserve(files_.kept_.size());
  for (const auto& [path, place] : files_.kept_) out.push_back(path);
  return out;
}

void HeldFiles::release() {
  std::map<std::string, std::string> kept;
  {
    MutexLock lock(mutex_);
    kept = std::exchange(kept_, {});
    held_ = false;
  }
  for (const auto& [path, place] : kept) {
    const Status status = under_.remove(place);  // else the next start removes it
    if (!status.ok()) log_warning("a file that was kept for a backup stays: {}", status.message);
  }
}

Status HeldFiles::remove(const std::string& path) {
  MutexLock lock(mutex_);
  // Removed a second time under its name: what a copy may need is the first.
  if (!held_ || half_written(path) || kept_.contains(path)) return under_.remove(path);
  const std::string place = fmt::format("{}/{}", folder_, next_++);
  Status status = under_.rename(path, place);
  if (status.ok()) kept_.emplace(path, place);
  return status;
}

Result<std::unique_ptr<File>> HeldFiles::open(const std::string& path, OpenMode mode) {
  return under_.open(path, mode);
}
Status HeldFiles::rename(const std::string& from, const std::string& to) {
  return under_.rename(from, to);
}
Status HeldFiles::make_folder(const std::string& path) {
  return under_.make_folder(path);
}
Status HeldFiles::remove_folder(const std::string& path) {
  return under_.remove_folder(path);
}
Status HeldFiles::sync_folder(const std::string& path) {
  return under_.sync_folder(path);
}
Result<std::vector<std::string>> HeldFiles::list(const std::string& path) const {
  return under_.list(path);
}
Result<std::uint64_t> HeldFiles::file_size(const std::string& path) const {
  return under_.file_size(path);
}
Result<std::uint64_t> HeldFiles::free_bytes(const std::string& path) const {
  return under_.free_bytes(path);
}

}  // namespace overwinter::artifacts
