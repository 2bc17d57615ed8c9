// Files to and from the artifact store.
#include "client/sdk/client.h"
#include "client/sdk/client_impl.h"
#include "common/rpc/sent_file.h"

namespace overwinter::client {

Result<std::string> Client::upload(const std::string& project, const std::string& path,
                                   const ByteProgress& progress) {
  const auto content = read_content(path);
  if (!content)
    return fail(Code::kInvalidArgument, content.error().message, "path", content.error().hint);
  const std::string digest = to_hex(content->digest);
  auto present = impl_->artifacts->has(project, digest);
  if (!present) return fail(impl_->explained(present.error()));
  if (*present) {
    if (progress) progress(content->size_bytes, content->size_bytes);
    return "artifact://" + digest;
  }
  auto uri = impl_->artifacts->upload(project, digest, path, content->size_bytes, progress);
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
