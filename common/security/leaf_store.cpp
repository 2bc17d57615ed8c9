#include "common/security/leaf_store.h"

#include "common/security/file_io.h"
#include "common/security/switched_folder.h"

namespace overwinter {

LeafPaths leaf_paths(const std::filesystem::path& dir) {
  const std::filesystem::path current = dir / "current";
  return {current / "key.pem", current / "cert.pem", current / "root.pem"};
}

Status install_leaf(const std::filesystem::path& dir, const CertifiedKey& leaf,
                    const std::string& root_pem, Time now) {
  if (Status status = check_certified_key(leaf, root_pem, now); !status.ok()) return status;
  if (Status status = ensure_private_folder(dir); !status.ok()) return status;
  return switch_folder(dir, "current",
                       {{"key.pem", leaf.key_pem, kPrivateFile},
                        {"cert.pem", leaf.cert_chain_pem, kPublicFile},
                        {"root.pem", root_pem, kPublicFile}});
}

Result<bool> keep_coordinator_leaf(const CertificateAuthority& ca, const std::filesystem::path& dir,
                                   std::span<const std::string> names, Time now) {
  Result<CertifiedKey> next = ca.issue_coordinator(names, now);
  if (!next) return fail(next.error());  // a bad name is said also when nothing is due
  const Result<CertificateInfo> wanted = read_certificate(next->cert_chain_pem);
  if (!wanted) return fail(wanted.error());
  const Result<Leaf> held = load_leaf(dir);
  if (held && !due_for_renewal(held->leaf.cert_chain_pem, now) &&
      check_certified_key(held->leaf, ca.root_pem(), now).ok()) {
    const Result<CertificateInfo> info = read_certificate(held->leaf.cert_chain_pem);
    if (info && info->hosts == wanted->hosts && info->uris == wanted->uris) return false;
  }
  if (Status status = install_leaf(dir, *next, ca.root_pem(), now); !status.ok())
    return fail(std::move(status));
  return true;
}

Result<Leaf> load_leaf(const std::filesystem::path& dir) {
  const LeafPaths paths = leaf_paths(dir);
  Result<std::string> key = read_file(paths.key, kPemBytesMax);
  if (!key) return fail(key.error());
  Result<std::string> chain = read_file(paths.certificate_chain, kPemBytesMax);
  if (!chain) return fail(chain.error());
  Result<std::string> root = read_file(paths.root, kPemBytesMax);
  if (!root) return fail(root.error());
  return Leaf{{std::move(*key), std::move(*chain)}, std::move(*root)};
}

}  // namespace overwinter
