#include "tests/support/fault_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

#include "tests/support/fault_files_node.h"

namespace overwinter::test {
namespace {

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Status missing(const std::string& path) {
  return error(Code::kNotFound, fmt::format("{} is not there.", path));
}

Status no_power() {
  return error(Code::kUnavailable, "The power is gone.");
}

}  // namespace

class FaultFiles::Handle final : public artifacts::File {
 public:
  Handle(FaultFiles& owner, NodePtr node, std::string path)
      : owner_(owner), node_(std::move(node)), path_(std::move(path)) {}

  Status read_at(std::uint64_t offset, std::span<std::byte> out) const override {
    if (owner_.before_read) owner_.before_read();
    std::scoped_lock lock(owner_.mutex_);
    if (Status status = owner_.start(FileOp::kRead, {}); !status.ok()) return status;
    if (offset > node_->now.size() || out.size() > node_->now.size() - offset)
      return error(Code::kOutOfRange, fmt::format("{} ends before.", path_));
    if (!out.empty()) std::memcpy(out.data(), node_->now.data() + offset, out.size());
    return Status::success();
  }
  Status write_at(std::uint64_t offset, std::span<const std::byte> data) override {
    std::scoped_lock lock(owner_.mutex_);
    return owner_.write(node_, path_, offset, data);
  }
  Status allocate(std::uint64_t size) override {
    std::scoped_lock lock(owner_.mutex_);
    return owner_.allocate(node_, path_, size);
  }
  Status sync() override {
    std::scoped_lock lock(owner_.mutex_);
    return owner_.sync(node_, path_);
  }
  Result<std::uint64_t> size_bytes() const override {
    std::scoped_lock lock(owner_.mutex_);
    return node_->now.size();
  }
  int descriptor() const override { return -1; }

 private:
  FaultFiles& owner_;
  const NodePtr node_;
  const std::string path_;
};

FaultFiles::FaultFiles()
    : root_(std::make_shared<Node>()),
      crash_at_(std::numeric_limits<std::uint64_t>::max()),
      capacity_(std::uint64_t{1} << 40U) {
  root_->folder = true;
  auto data = std::make_shared<Node>();
  data->folder = true;
  root_->now_names.emplace("data", data);
  root_->durable_names = root_->now_names;
}

FaultFiles::~FaultFiles() = default;

void FaultFiles::crash_after(std::uint64_t operations) {
  std::scoped_lock lock(mutex_);
  crash_at_ = operations;
}

bool FaultFiles::crashed() const {
  std::scoped_lock lock(mutex_);
  return crashed_;
}

std::uint64_t FaultFiles::operations() const {
  std::scoped_lock lock(mutex_);
  return operations_;
}

void FaultFiles::fail_once(FileOp op, Status status, std::uint64_t skip) {
  std::scoped_lock lock(mutex_);
  faults_.push_back({op, skip, std::move(status)});
}

void FaultFiles::set_capacity(std::uint64_t bytes) {
  std::scoped_lock lock(mutex_);
  capacity_ = bytes;
}

std::uint64_t FaultFiles::syncs() const {
  std::scoped_lock lock(mutex_);
  return syncs_;
}

bool FaultFiles::faults_spent() const {
  std::scoped_lock lock(mutex_);
  return faults_.empty();
}

bool FaultFiles::skips_this_sync() {
  return syncs_++ == skip_one_sync;
}

std::vector<std::string> FaultFiles::log() const {
  std::scoped_lock lock(mutex_);
  return log_;
}

std::map<std::string, std::string> FaultFiles::contents() const {
  std::scoped_lock lock(mutex_);
  std::map<std::string, std::string> found;
  const std::function<void(const std::string&, const Node&)> walk = [&](const std::string& path,
                                                                        const Node& node) {
    for (const auto& [name, child] : node.now_names) {
      const std::string at = path + "/" + name;
      if (child->folder) {
        walk(at, *child);
      } else {
        found.emplace(at, child->now);
      }
    }
  };
  walk("", *root_);
  return found;
}

void FaultFiles::overwrite(const std::string& path, std::string content) {
  std::scoped_lock lock(mutex_);
  const NodePtr node = find(path);
  node->now = content;
  node->durable = std::move(content);
  node->unsynced.clear();
}

// Counts, records, and says whether the operation happens. `line` is empty for reads.
Status FaultFiles::start(FileOp op, const std::string& line) {
  if (crashed_) return no_power();
  if (!line.empty()) {
    if (operations_ == crash_at_) {
      crashed_ = true;
      return no_power();
    }
    ++operations_;
    log_.push_back(line);
  }
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->op != op) continue;
    if (fault->skip-- != 0) continue;
    Status status = std::move(fault->status);
    faults_.erase(fault);
    return status;
  }
  return Status::success();
}

FaultFiles::NodePtr FaultFiles::find(const std::string& path) const {
  NodePtr node = root_;
  std::size_t at = 1;
  while (node && at < path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const auto child = node->now_names.find(path.substr(at, end - at));
    node = child == node->now_names.end() ? nullptr : child->second;
    at = end + 1;
  }
  return node;
}

FaultFiles::NodePtr FaultFiles::folder_of(const std::string& path) const {
  NodePtr folder = find(path.substr(0, path.rfind('/')));
  return folder && folder->folder ? folder : nullptr;
}

std::uint64_t FaultFiles::used() const {
  const std::function<std::uint64_t(const Node&)> walk = [&](const Node& node) {
    std::uint64_t bytes = node.now.size();
    for (const auto& [name, child] : node.now_names) bytes += walk(*child);
    return bytes;
  };
  return walk(*root_);
}

Status FaultFiles::write(const NodePtr& node, const std::string& path, std::uint64_t offset,
                         std::span<const std::byte> data) {
  const bool was_crashed = crashed_;
  Status status = start(FileOp::kWrite, fmt::format("write {} {}+{}", path, offset, data.size()));
  // The write during which the power goes may reach the disk in part.
  const bool in_part = !status.ok() && crashed_ && !was_crashed;
  if (!status.ok() && !crashed_ && short_writes) data = data.first(data.size() / 2);
  if (!status.ok() && !in_part && !short_writes) return status;
  const std::uint64_t end = offset + data.size();
  if (end > node->now.size() && used() + end - node->now.size() > capacity_)
    return error(Code::kResourceExhausted, fmt::format("No space for {}.", path));
  if (end > node->now.size()) node->now.resize(end, '\0');
  std::string text(reinterpret_cast<const char*>(data.data()), data.size());
  node->now.replace(offset, text.size(), text);
  node->unsynced.push_back({offset, std::move(text)});
  return status;
}

Status FaultFiles::allocate(const NodePtr& node, const std::string& path, std::uint64_t size) {
  if (Status status = start(FileOp::kAllocate, fmt::format("allocate {} {}", path, size));
      !status.ok())
    return status;
  if (size <= node->now.size()) return Status::success();
  if (used() + size - node->now.size() > capacity_)
    return error(Code::kResourceExhausted, fmt::format("No space for {}.", path));
  node->now.resize(size, '\0');
  node->unsynced.push_back({size, {}});
  return Status::success();
}

Status FaultFiles::sync(const NodePtr& node, const std::string& path) {
  if (Status status = start(FileOp::kSync, "sync " + path); !status.ok()) {
    node->lost |= !crashed_;
    return status;
  }
  if (skips_this_sync() || skip_file_sync || node->lost) return Status::success();
  node->durable = node->now;
  node->unsynced.clear();
  return Status::success();
}

Result<std::unique_ptr<artifacts::File>> FaultFiles::open(const std::string& path,
                                                          artifacts::OpenMode mode) {
  std::scoped_lock lock(mutex_);
  const bool create = mode == artifacts::OpenMode::kCreate;
  if (Status status = start(FileOp::kOpen, create ? "create " + path : ""); !status.ok())
    return fail(std::move(status));
  NodePtr node = find(path);
  if (create) {
    const NodePtr folder = folder_of(path);
    if (!folder) return fail(missing(path));
    if (node) return fail(Code::kAlreadyExists, fmt::format("{} is there already.", path));
    node = std::make_shared<Node>();
    folder->now_names.emplace(name_of(path), node);
  }
  if (!node || node->folder) return fail(missing(path));
  return std::make_unique<Handle>(*this, node, path);
}

Status FaultFiles::rename(const std::string& from, const std::string& to) {
  std::scoped_lock lock(mutex_);
  if (Status status = start(FileOp::kRename, "rename " + from + " " + to); !status.ok())
    return status;
  const NodePtr node = find(from);
  const NodePtr target = folder_of(to);
  if (!node || !target) return missing(from);
  folder_of(from)->now_names.erase(name_of(from));
  target->now_names[name_of(to)] = node;
  return Status::success();
}

Status FaultFiles::remove(const std::string& path) {
  std::scoped_lock lock(mutex_);
  if (Status status = start(FileOp::kRemove, "remove " + path); !status.ok()) return status;
  const NodePtr node = find(path);
  if (!node || node->folder) return missing(path);
  folder_of(path)->now_names.erase(name_of(path));
  return Status::success();
}

Status FaultFiles::make_folder(const std::string& path) {
  std::scoped_lock lock(mutex_);
  if (Status status = start(FileOp::kMakeFolder, "make_folder " + path); !status.ok())
    return status;
  if (const NodePtr there = find(path))
    return there->folder ? Status::success()
                         : error(Code::kAlreadyExists, fmt::format("{} is a file.", path));
  const NodePtr parent = folder_of(path);
  if (!parent) return missing(path);
  auto node = std::make_shared<Node>();
  node->folder = true;
  parent->now_names.emplace(name_of(path), std::move(node));
  return Status::success();
}

Status FaultFiles::remove_folder(const std::string& path) {
  std::scoped_lock lock(mutex_);
  if (Status status = start(FileOp::kRemoveFolder, "remove_folder " + path); !status.ok())
    return status;
  const NodePtr node = find(path);
  if (!node || !node->folder) return missing(path);
  if (!node->now_names.empty())
    return error(Code::kInternal, fmt::format("{} is not empty.", path));
  folder_of(path)->now_names.erase(name_of(path));
  return Status::success();
}

Status FaultFiles::sync_folder(const std::string& path) {
  std::scoped_lock lock(mutex_);
  if (Status status = start(FileOp::kSyncFolder, "sync_folder " + path); !status.ok())
    return status;
  const NodePtr node = find(path);
  if (!node || !node->folder) return missing(path);
  if (!skips_this_sync() && !skip_folder_sync) node->durable_names = node->now_names;
  return Status::success();
}

Result<std::vector<std::string>> FaultFiles::list(const std::string& path) const {
  std::scoped_lock lock(mutex_);
  if (crashed_) return fail(no_power());
  const NodePtr node = find(path);
  if (!node || !node->folder) return fail(missing(path));
  std::vector<std::string> names;
  for (const auto& [name, child] : node->now_names) names.push_back(name);
  return names;
}

Result<std::uint64_t> FaultFiles::file_size(const std::string& path) const {
  std::scoped_lock lock(mutex_);
  if (crashed_) return fail(no_power());
  const NodePtr node = find(path);
  if (!node || node->folder) return fail(missing(path));
  return node->now.size();
}

Result<std::uint64_t> FaultFiles::free_bytes(const std::string& /*path*/) const {
  std::scoped_lock lock(mutex_);
  if (crashed_) return fail(no_power());
  const std::uint64_t bytes = used();
  return bytes > capacity_ ? 0 : capacity_ - bytes;
}

}  // namespace overwinter::test
