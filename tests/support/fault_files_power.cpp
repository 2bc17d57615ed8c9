// What is left when the power is cut or the program is killed.
#include <map>
#include <random>

#include "tests/support/fault_files_node.h"

namespace overwinter::test {
namespace {

constexpr std::size_t kSector = 512;

// A node may have two names, or one now and another durably: it stays one node.
template <class NodePtr>
NodePtr clone(const NodePtr& node, std::map<NodePtr, NodePtr>& done) {
  if (const auto found = done.find(node); found != done.end()) return found->second;
  auto copy = std::make_shared<typename NodePtr::element_type>(*node);
  done.emplace(node, copy);
  for (auto* names : {&copy->now_names, &copy->durable_names}) {
    for (auto& [name, child] : *names) child = clone(child, done);
  }
  return copy;
}

}  // namespace

FaultFiles::NodePtr FaultFiles::Node::after_power_cut(Rest rest, std::mt19937_64& random) const {
  auto copy = std::make_shared<Node>();
  copy->folder = folder;
  const auto survives = [&] {
    return rest == Rest::kKept || (rest == Rest::kRandom && random() % 2 == 0);
  };
  if (folder) {
    Names names = durable_names;
    for (const auto& [name, node] : now_names) {
      const auto old = durable_names.find(name);
      if ((old == durable_names.end() || old->second != node) && survives()) names[name] = node;
    }
    for (const auto& [name, node] : durable_names) {
      if (!now_names.contains(name) && survives()) names.erase(name);
    }
    for (const auto& [name, node] : names)
      copy->now_names.emplace(name, node->after_power_cut(rest, random));
    copy->durable_names = copy->now_names;
    return copy;
  }
  copy->now = durable;
  for (const Write& write : unsynced) {
    for (std::size_t at = 0; at <= write.data.size(); at += kSector) {
      if (!survives()) continue;
      const std::string piece = write.data.substr(at, kSector);
      const std::size_t begin = write.offset + at;
      if (copy->now.size() < begin + piece.size()) copy->now.resize(begin + piece.size(), '\0');
      copy->now.replace(begin, piece.size(), piece);
    }
  }
  copy->durable = copy->now;
  return copy;
}

std::unique_ptr<FaultFiles> FaultFiles::after_power_cut(Rest rest, std::uint64_t seed) const {
  std::scoped_lock lock(mutex_);
  std::mt19937_64 random(seed);
  auto files = std::make_unique<FaultFiles>();
  files->root_ = root_->after_power_cut(rest, random);
  files->capacity_ = capacity_;
  return files;
}

std::unique_ptr<FaultFiles> FaultFiles::after_kill() const {
  std::scoped_lock lock(mutex_);
  auto files = std::make_unique<FaultFiles>();
  std::map<NodePtr, NodePtr> done;
  files->root_ = clone(root_, done);
  files->capacity_ = capacity_;
  files->skip_file_sync = skip_file_sync;
  files->skip_folder_sync = skip_folder_sync;
  return files;
}

}  // namespace overwinter::test
