#include "worker/programs/inside_copy.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>
#include <vector>

#include "common/formats/digest.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;

Status disk(const fs::path& path) {
  return error(errno == ENOSPC || errno == EDQUOT ? Code::kResourceExhausted : Code::kInternal,
               fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

Status write_all(int file, std::span<const std::byte> bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return disk(path);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return Status::success();
}

}  // namespace

Result<Digest> copy_inside(const fs::path& folder, const exec::InsideFile& what,
                           const fs::path& to) {
  const auto from = exec::open_inside(folder, what.path);
  if (!from) return fail(from.error());
  std::error_code failed;
  fs::create_directories(to.parent_path(), failed);
  const exec::Descriptor out(
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (failed || !out.valid()) return fail(disk(to));
  formats::BlobDigester digester;
  std::vector<std::byte> buffer(std::min<std::uint64_t>(kCopyBytes, what.size_bytes + 1));
  std::uint64_t done = 0;
  for (;;) {
    const ssize_t n = ::read(from->get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return fail(Code::kInternal,
                  fmt::format("cannot read {}: {}", what.path, std::strerror(errno)));
    if (n == 0) break;
    done += static_cast<std::uint64_t>(n);
    if (done > what.size_bytes) break;  // a program may go on to write
    const auto bytes = std::span(buffer).first(static_cast<std::size_t>(n));
    digester.update(bytes);
    if (Status written = write_all(out.get(), bytes, to); !written.ok()) return fail(written);
  }
  if (done != what.size_bytes)
    return fail(Code::kAborted, what.path + " changed while it was read");
  return digester.finish();
}

}  // namespace overwinter::worker
