#include "worker/programs/output_archive.h"

#include <fmt/core.h>

#include <fstream>
#include <span>
#include <system_error>

#include "worker/exec/inside.h"
#include "worker/programs/inside_copy.h"

namespace overwinter::worker {

namespace fs = std::filesystem;

Result<OutputArchive> archive_outputs(const fs::path& work, const std::vector<std::string>& outputs,
                                      const fs::path& scratch, std::uint64_t bytes_max) {
  const auto found = exec::collect_outputs(work, outputs, bytes_max);
  if (!found) return fail(found.error());
  const fs::path files = scratch / "files";
  std::error_code failed;
  fs::create_directories(files, failed);
  if (failed)
    return fail(Code::kInternal,
                fmt::format("cannot make {}: {}", files.string(), failed.message()));
  for (const exec::InsideFile& file : found->files) {
    const auto copied = copy_inside(work, file, files / file.path);
    if (!copied) return fail(copied.error());
  }
  const auto listing = formats::list_folder(files, bytes_max);
  if (!listing) return fail(listing.error());
  OutputArchive out{scratch / "archive", found->missing};
  std::ofstream file(out.file, std::ios::binary | std::ios::trunc);
  const Status written = formats::write_archive(*listing, [&](std::span<const std::byte> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return file ? Status::success()
                : error(Code::kResourceExhausted, "the disk has no room for the outputs");
  });
  if (!written.ok()) return fail(written);
  file.close();
  if (!file) return fail(Code::kResourceExhausted, "the disk has no room for the outputs");
  fs::remove_all(files, failed);
  return out;
}

}  // namespace overwinter::worker
