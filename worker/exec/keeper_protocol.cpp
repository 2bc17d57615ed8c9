#include "worker/exec/keeper_protocol.h"

#include <cstring>

namespace overwinter::worker::exec {
namespace {

void put(std::string& out, std::uint64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof bytes);
}
void put(std::string& out, const std::string& text) {
  put(out, std::uint64_t{text.size()});
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    if (rest_.size() < sizeof value) {
      good_ = false;
      return 0;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string text() {
    const std::uint64_t size = number();
    if (size > rest_.size()) {
      good_ = false;
      return {};
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  // How many follow; each takes at least eight bytes.
  std::uint64_t count() {
    const std::uint64_t value = number();
    if (value > rest_.size() / 8) good_ = false;
    return good_ ? value : 0;
  }
  [[nodiscard]] bool done() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string encode_order(const TreeOrder& order) {
  std::string out;
  put(out, std::uint64_t{order.processes.size()});
  for (const ProcessOrder& process : order.processes) {
    put(out, std::uint64_t{process.argv.size()});
    for (const std::string& word : process.argv) put(out, word);
    put(out, std::uint64_t{process.environment.size()});
    for (const auto& [name, value] : process.environment) {
      put(out, name);
      put(out, value);
    }
  }
  put(out, order.folder);
  put(out, std::uint64_t{order.confinement.uid ? 1U : 0U});
  put(out, std::uint64_t{order.confinement.uid.value_or(0)});
  put(out, std::uint64_t{order.confinement.groups.size()});
  for (const gid_t group : order.confinement.groups) put(out, std::uint64_t{group});
  put(out, std::uint64_t{order.confinement.grants.size()});
  for (const Grant& grant : order.confinement.grants) {
    put(out, grant.path);
    put(out, static_cast<std::uint64_t>(grant.access));
  }
  put(out, static_cast<std::uint64_t>(order.memory.support.kind));
  put(out, order.memory.support.memory_folder);
  put(out, order.memory.support.kill_folder);
  put(out, order.memory.limit_bytes);
  put(out, order.memory.name);
  put(out, std::uint64_t{order.mounts.size()});
  for (const Mount& mount : order.mounts) {
    put(out, mount.inside);
    put(out, mount.outside);
    put(out, std::uint64_t{mount.writable ? 1U : 0U});
  }
  return out;
}

Result<TreeOrder> decode_order(std::string_view bytes) {
  Reader in(bytes);
  TreeOrder order;
  order.processes.resize(in.count());
  for (ProcessOrder& process : order.processes) {
    process.argv.resize(in.count());
    for (std::string& word : process.argv) word = in.text();
    for (std::uint64_t left = in.count(); left > 0; --left) {
      std::string name = in.text();
      process.environment[std::move(name)] = in.text();
    }
  }
  order.folder = in.text();
  const bool has_uid = in.number() != 0;
  const auto uid = static_cast<uid_t>(in.number());
  if (has_uid) order.confinement.uid = uid;
  order.confinement.groups.resize(in.count());
  for (gid_t& group : order.confinement.groups) group = static_cast<gid_t>(in.number());
  order.confinement.grants.resize(in.count());
  for (Grant& grant : order.confinement.grants) {
    grant.path = in.text();
    grant.access = in.number() == 0 ? Access::kRead : Access::kReadWrite;
  }
  order.memory.support.kind = static_cast<MemoryKind>(in.number());
  order.memory.support.memory_folder = in.text();
  order.memory.support.kill_folder = in.text();
  order.memory.limit_bytes = in.number();
  order.memory.name = in.text();
  order.mounts.resize(in.count());
  for (Mount& mount : order.mounts) {
    mount.inside = in.text();
    mount.outside = in.text();
    mount.writable = in.number() != 0;
  }
  const bool whole = in.done() && !order.processes.empty() &&
                     order.processes.size() <= kProcessesMax && (!has_uid || uid != 0);
  for (const ProcessOrder& process : order.processes)
    if (process.argv.empty()) return fail(Code::kInvalidArgument, "an order without a command");
  if (!whole) return fail(Code::kInvalidArgument, "an order that is not whole");
  return order;
}

}  // namespace overwinter::worker::exec
