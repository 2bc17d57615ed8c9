#include "coordinator/backup/key_bundle.h"

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "common/formats/tar.h"
#include "common/security/file_io.h"
#include "common/security/passphrase_seal.h"
#include "common/security/switched_folder.h"
#include "coordinator/backup/layout.h"

namespace overwinter::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyFileBytesMax = std::size_t{1} << 20;
constexpr std::string_view kIssuing = "issuing";

// Of the certificate authority's folder (common/security/ca.h), whose link does not travel: the
// set that it points at does, under the link's name.
constexpr const char* kAuthorityFiles[] = {"root.pem", "root.key", "issuing/issuing.pem",
                                           "issuing/issuing.key"};

struct BundledFile {
  std::string name;
  std::string content;
};

class Wiped {
 public:
  explicit Wiped(std::string& secret) : secret_(secret) {}
  ~Wiped() { wipe(secret_); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;

 private:
  std::string& secret_;
};

Status add(const fs::path& data_dir, const std::string& name, bool optional, std::string& tar) {
  auto content = read_file(data_dir / name, kKeyFileBytesMax);
  if (!content && content.error().code == Code::kNotFound && optional) return Status::success();
  if (!content) return content.error();
  const Wiped wiped(*content);
  if (tar.size() + content->size() > kBundleBytesMax) {
    return error(Code::kResourceExhausted, "the keys and secrets are too many for a backup");
  }
  tar += formats::tar_head({name, content->size()});
  tar += *content;
  tar.append(formats::tar_padding(content->size()), '\0');
  return Status::success();
}

Result<std::vector<std::string>> secret_files(const fs::path& data_dir) {
  std::vector<std::string> out;
  std::error_code failed;
  const fs::path folder = data_dir / kSecretsFolder;
  if (!fs::exists(folder, failed)) return out;
  for (fs::recursive_directory_iterator it(folder, failed), end; !failed && it != end;
       it.increment(failed)) {
    std::error_code gone;  // a secret may be set or deleted meanwhile: old or new, either will do
    if (!it->is_regular_file(gone)) continue;
    const std::string name = fs::relative(it->path(), data_dir, gone).generic_string();
    // A secret's own name has no dot; what is on its way to it has one.
    if (it->path().filename().string().find('.') == std::string::npos) out.push_back(name);
  }
  if (failed)
    return fail(Code::kInternal, "cannot list " + folder.string() + ": " + failed.message());
  std::sort(out.begin(), out.end());
  return out;
}

class Unbundler final : public formats::TarSink {
 public:
  std::vector<BundledFile> files;
  Status begin(const formats::TarMember& member) override {
    if (member.size_bytes > kKeyFileBytesMax || files.size() >= kFilesMax)
      return error(Code::kDataLoss, "the sealed keys are damaged");
    files.push_back({member.name, {}});
    files.back().content.reserve(static_cast<std::size_t>(member.size_bytes));
    return Status::success();
  }
  Status data(std::span<const std::byte> piece) override {
    files.back().content.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return Status::success();
  }
  Status end() override { return Status::success(); }
  Unbundler() = default;
  ~Unbundler() override {
    for (BundledFile& file : files) wipe(file.content);
  }
  Unbundler(const Unbundler&) = delete;
  Unbundler& operator=(const Unbundler&) = delete;

 private:
  static constexpr std::size_t kFilesMax = 1'000'000;
};

Status make_folders(const fs::path& data_dir, const fs::path& name) {
  fs::path at = data_dir;
  for (const fs::path& part : name.parent_path()) {
    at /= part;
    if (Status status = ensure_private_folder(at); !status.ok()) return status;
  }
  return Status::success();
}

Status put_in_place(const std::vector<BundledFile>& files, const fs::path& data_dir) {
  std::vector<NamedFile> issuing;
  for (const BundledFile& file : files) {
    const fs::path name(file.name);
    const bool open = name.extension() == ".pem";
    if (name.parent_path() == fs::path(kAuthorityFolder) / kIssuing) {
      issuing.push_back(
          {name.filename().string(), file.content, open ? kPublicFile : kPrivateFile});
      continue;
    }
    if (Status status = make_folders(data_dir, name); !status.ok()) return status;
    if (Status status =
            write_file_atomically(data_dir / name, file.content, open ? kPublicFile : kPrivateFile);
        !status.ok())
      return status;
  }
  if (issuing.empty())
    return error(Code::kDataLoss, "the sealed keys hold no certificate authority");
  return switch_folder(data_dir / kAuthorityFolder, kIssuing, issuing);
}

bool known(const std::string& name) {
  if (name == kSecretsKeyFile || name == kAdminTokenFile) return true;
  if (name.starts_with(std::string(kSecretsFolder) + "/")) return true;
  return std::any_of(std::begin(kAuthorityFiles), std::end(kAuthorityFiles), [&](const char* file) {
    return name == std::string(kAuthorityFolder) + "/" + file;
  });
}

}  // namespace

Result<std::string> seal_keys(const fs::path& data_dir, std::string_view passphrase) {
  std::string tar;
  const Wiped wiped(tar);
  for (const char* file : kAuthorityFiles) {
    // The root's key may have been taken off the machine.
    const bool optional = std::string_view(file) == "root.key";
    const std::string name = std::string(kAuthorityFolder) + "/" + file;
    if (Status status = add(data_dir, name, optional, tar); !status.ok())
      return fail(std::move(status));
  }
  auto names = secret_files(data_dir);
  if (!names) return fail(names.error());
  names->insert(names->begin(), {kSecretsKeyFile, kAdminTokenFile});
  for (const std::string& name : *names) {
    if (Status status = add(data_dir, name, true, tar); !status.ok())
      return fail(std::move(status));
  }
  tar += formats::tar_end();
  return seal_with_passphrase(tar, passphrase);
}

Status unseal_keys(std::string_view sealed, std::string_view passphrase, const fs::path& data_dir) {
  auto tar = unseal_with_passphrase(sealed, passphrase);
  if (!tar) return tar.error();
  const Wiped wiped(*tar);
  Unbundler unbundler;
  formats::TarReader reader(unbundler);
  Status status = reader.feed(std::as_bytes(std::span(*tar)));
  if (status.ok()) status = reader.finish();
  for (const BundledFile& file : unbundler.files) {
    if (status.ok() && !known(file.name))
      status = error(Code::kDataLoss, "the sealed keys hold " + file.name + ", which is none");
  }
  if (!status.ok()) return status;
  return put_in_place(unbundler.files, data_dir);
}

}  // namespace overwinter::backup
