// Files to and from the artifact store.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"
#include "common/formats/digest.h"

namespace overwinter::client {
namespace {

struct FileContent {
  std::string digest;
  std::uint64_t size_bytes = 0;
};

Result<FileContent> digest_file(const std::string& path) {
  const auto bad = [&](const char* why) {
    return fail(Code::kInvalidArgument, path + ": " + why, "path");
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return bad(std::strerror(errno));
  formats::BlobDigester digester;
  std::vector<std::byte> chunk(formats::kDigestChunkBytes);
  ssize_t n = 0;
  while ((n = read(fd, chunk.data(), chunk.size())) > 0) {
    digester.update({chunk.data(), static_cast<std::size_t>(n)});
  }
  const int failed = errno;
  close(fd);
  if (n < 0) return bad(std::strerror(failed));
  const std::uint64_t size = digester.size_bytes();
  return FileContent{to_hex(digester.finish()), size};
}

}  // namespace

Result<std::string> Client::upload(const std::string& project, const std::string& path,
                                   const ByteProgress& progress) {
  auto content = digest_file(path);
  if (!content) return fail(content.error());
  auto present = impl_->artifacts->has(project, content->digest);
  if (!present) return fail(impl_->explained(present.error()));
  if (*present) {
    if (progress) progress(content->size_bytes, content->size_bytes);
    return "artifact://" + content->digest;
  }
  auto uri =
      impl_->artifacts->upload(project, content->digest, path, content->size_bytes, progress);
  if (!uri) return fail(impl_->explained(uri.error()));
  return uri;
}

Status Client::download_result(const std::string& job, const std::string& path,
                               const ByteProgress& progress) {
  v1::DownloadArtifactRequest request;
  request.set_job(job);
  return impl_->explained(impl_->artifacts->download(request, path, progress));
}

}  // namespace overwinter::client
