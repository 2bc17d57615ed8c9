#include "worker/gang/mapped_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace overwinter::worker {
namespace {

tl::unexpected<Status> cannot_read(const std::string& path) {
  return fail(errno == ENOENT ? Code::kNotFound : Code::kInternal,
              "cannot read " + path + ": " + std::strerror(errno));
}

}  // namespace

void MappedFile::release(std::span<const std::byte> part) {
  if (part.empty()) return;
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t first = begin / page * page;
  // Advice: where it is not taken the pages stay, and nothing else is different.
  ::madvise(reinterpret_cast<void*>(first), begin + part.size() - first, MADV_DONTNEED);
}

Result<MappedFile> MappedFile::open(const v1::LocalFile& file) {
  const int descriptor = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return cannot_read(file.path());
  MappedFile mapped;
  struct stat facts {};
  bool read = ::fstat(descriptor, &facts) == 0;
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  const bool wrong = read && file.size_bytes() != 0 && size != file.size_bytes();
  if (read && !wrong && size > 0) {
    void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
    read = map != MAP_FAILED;
    if (read) {
      mapped.map_ = map;
      mapped.size_ = size;
    }
  }
  const int failed = errno;
  ::close(descriptor);
  errno = failed;
  if (!read) return cannot_read(file.path());
  if (wrong) {
    return fail(Code::kInvalidArgument, fmt::format("{} has {} bytes; expected are {}", file.path(),
                                                    size, file.size_bytes()));
  }
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : map_(std::exchange(other.map_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(map_, other.map_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (map_ != nullptr) ::munmap(map_, size_);
}

}  // namespace overwinter::worker
