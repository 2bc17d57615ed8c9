#include "client/cli/job_inputs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "client/cli/checkpoint_files.h"
#include "client/cli/progress.h"
#include "common/formats/archive.h"
#include "common/formats/npy.h"
#include "common/plan/data_scan.h"
#include "common/security/file_io.h"
#include "common/spec/spec.h"

namespace overwinter::cli {
namespace {

constexpr std::string_view kArtifact = "artifact://";

Result<std::string> read_text(const std::string& file) {
  if (file != "-") {
    auto text = read_file(file, spec::kSpecBytesMax);
    if (!text) {
      return fail(Code::kInvalidArgument, "cannot read the job file: " + text.error().message,
                  "FILE");
    }
    return text;
  }
  std::string text;
  char buffer[4096];
  std::size_t read = 0;
  while (text.size() <= spec::kSpecBytesMax &&
         (read = std::fread(buffer, 1, sizeof buffer, stdin)) > 0) {
    text.append(buffer, read);
  }
  return text;
}

void make_absolute(std::string* path, const std::filesystem::path& folder) {
  if (is_local(*path)) *path = (folder / *path).lexically_normal().string();
}

// A regular file of this machine, open for reading.
class LocalFile {
 public:
  static Result<LocalFile> open(const std::string& path, const std::string& field) {
    const auto bad = [&](const std::string& why) {
      return fail(Code::kInvalidArgument, path + ": " + why, field);
    };
    LocalFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.descriptor_ < 0) return bad(std::strerror(errno));
    struct stat info {};
    if (fstat(file.descriptor_, &info) != 0 || !S_ISREG(info.st_mode))
      return bad("it is not a regular file");
    file.size_bytes_ = static_cast<std::uint64_t>(info.st_size);
    return file;
  }
  LocalFile(LocalFile&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), size_bytes_(other.size_bytes_) {}
  LocalFile& operator=(LocalFile&&) = delete;
  ~LocalFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  [[nodiscard]] std::uint64_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] Status read_at(std::uint64_t offset, std::span<std::byte> out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = pread(descriptor_, out.data() + done, out.size() - done,
                              static_cast<off_t>(offset + done));
      if (n <= 0) return error(Code::kInvalidArgument, "it cannot be read");
      done += static_cast<std::size_t>(n);
    }
    return Status::success();
  }
  [[nodiscard]] plan::ScannedFile scanned() const {
    return {size_bytes_, [this](std::uint64_t offset, std::span<std::byte> out) {
              return read_at(offset, out);
            }};
  }

 private:
  explicit LocalFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
  std::uint64_t size_bytes_ = 0;
};

Result<formats::NpyHeader> read_header(const std::string& path, const std::string& field) {
  const auto file = LocalFile::open(path, field);
  if (!file) return fail(file.error());
  auto header = formats::read_npy_header(
      file->size_bytes(),
      [&](std::uint64_t offset, std::span<std::byte> out) { return file->read_at(offset, out); });
  if (!header) return fail(Code::kInvalidArgument, path + ": " + header.error().message, field);
  return header;
}

v1::MatrixShape to_shape(const formats::NpyHeader& header) {
  v1::MatrixShape shape;
  shape.set_rows(header.rows);
  shape.set_columns(header.columns);
  shape.set_dtype(std::string(formats::dtype_descriptor(header.dtype).substr(1)));
  shape.set_fortran_order(header.fortran_order);
  return shape;
}

// In place of the path: the name that it is stored under.
Status upload(const Globals& globals, client::Client& client, const std::string& project,
              const std::string& name, std::string& path) {
  Progress bar("upload " + name, globals.output.quiet);
  auto uri = client.upload(
      project, path, [&](std::uint64_t done, std::uint64_t total) { bar.bytes(done, total); });
  if (!uri) return uri.error();
  path = *uri;
  return Status::success();
}

// A checkpoint to begin from becomes a stored file, so that it stays when the other job's goes.
Status upload_checkpoint(const Globals& globals, client::Client& client, v1::JobSpec& spec) {
  if (!spec.has_train()) return Status::success();
  std::string& from = *spec.mutable_train()->mutable_init_from();
  if (!spec::is_checkpoint_name(from)) return Status::success();
  const auto fail_at = [](Status status) {
    status.field = "workload.train.init_from";
    return status;
  };
  const auto name = checkpoint_name(client, from);
  if (!name) return fail_at(name.error());
  auto scratch = ScratchFolder::make(std::filesystem::temp_directory_path());
  if (!scratch) return fail_at(scratch.error());
  std::string file = (scratch->path() / "initial.safetensors").string();
  if (Status got = download_weights(globals, client, *name, file); !got.ok()) return fail_at(got);
  if (Status sent = upload(globals, client, spec.project(), from, file); !sent.ok())
    return fail_at(sent);
  from = file;
  return Status::success();
}

// The folder as it is now, without what its ignore file leaves out.
Status upload_workdir(const Globals& globals, client::Client& client, v1::JobSpec& spec) {
  if (!spec.has_exec()) return Status::success();
  std::string& workdir = *spec.mutable_exec()->mutable_workdir();
  if (!is_local(workdir)) return Status::success();
  const auto fail_at = [](Status status) {
    status.field = "workload.exec.workdir";
    return status;
  };
  const auto listing = formats::list_folder(workdir);
  if (!listing) return fail_at(listing.error());
  for (const std::string& left_out : listing->left_out)
    say(globals.output, "warning: workdir: left out " + printable(left_out));
  auto scratch = ScratchFolder::make(std::filesystem::temp_directory_path());
  if (!scratch) return fail_at(scratch.error());
  std::string file = (scratch->path() / "workdir").string();
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  const Status packed = formats::write_archive(*listing, [&](std::span<const std::byte> bytes) {
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    return out ? Status::success() : error(Code::kResourceExhausted, "cannot write " + file);
  });
  out.close();
  if (!packed.ok()) return fail_at(packed);
  if (!out) return fail_at(error(Code::kResourceExhausted, "cannot write " + file));
  if (Status sent = upload(globals, client, spec.project(), "workdir", file); !sent.ok())
    return fail_at(sent);
  workdir = file;
  return Status::success();
}

}  // namespace

bool is_local(const std::string& name) {
  return !name.empty() && std::string_view(name).substr(0, kArtifact.size()) != kArtifact;
}

Result<std::optional<v1::DataFacts>> read_data_facts(const v1::JobSpec& spec) {
  using Facts = std::optional<v1::DataFacts>;
  if (!spec.has_train()) return Facts();
  const v1::DataSpec& data = spec.train().data();
  std::vector<std::pair<std::string, std::string>> paths;  // with their fields
  for (int i = 0; i < data.text_size(); ++i)
    paths.emplace_back(data.text(i), fmt::format("workload.train.data.text[{}]", i));
  if (data.has_npy()) {
    paths.emplace_back(data.npy().x(), "workload.train.data.npy.x");
    paths.emplace_back(data.npy().y(), "workload.train.data.npy.y");
  }
  if (data.has_csv()) paths.emplace_back(data.csv().path(), "workload.train.data.csv.path");
  std::vector<LocalFile> files;
  v1::DataFacts out;
  for (const auto& [path, field] : paths) {
    if (!is_local(path)) return Facts();
    auto file = LocalFile::open(path, field);
    if (!file) return fail(file.error());
    out.set_file_bytes(out.file_bytes() + file->size_bytes());
    files.push_back(std::move(*file));
  }
  plan::DataFacts facts;
  facts.samples = out.file_bytes();
  facts.text = data.text_size() > 0;
  if (!facts.text) {
    auto scanned = data.has_npy() ? plan::scan_npy(files.at(0).scanned(), files.at(1).scanned())
                                  : plan::scan_csv(files.at(0).scanned(), data.csv().target());
    if (!scanned) return fail(scanned.error());
    facts = *scanned;
  }
  out.set_samples(facts.samples);
  out.set_inputs(facts.inputs);
  out.set_outputs(facts.outputs);
  out.set_classes(facts.classes);
  out.set_text(facts.text);
  out.set_table_bytes(facts.table_bytes);
  return Facts(std::move(out));
}

Result<v1::JobSpec> read_job_file(const std::string& file,
                                  const std::vector<std::string>& settings) {
  auto text = read_text(file);
  if (!text) return fail(text.error());
  std::error_code ignored;
  if (file == "-")
    return read_job_text(*text, "standard input", std::filesystem::current_path(ignored), settings);
  return read_job_text(*text, file, std::filesystem::absolute(file, ignored).parent_path(),
                       settings);
}

Result<v1::JobSpec> read_job_text(const std::string& text, const std::string& name,
                                  const std::filesystem::path& folder,
                                  const std::vector<std::string>& settings) {
  auto parsed = spec::parse_spec(text, name);
  if (!parsed) return fail(parsed.error());
  v1::JobSpec out = parsed->spec;
  for (const spec::InputText& input : spec::input_texts(out)) make_absolute(input.text, folder);
  if (out.has_exec()) make_absolute(out.mutable_exec()->mutable_workdir(), folder);
  for (const std::string& setting : settings) {
    if (const Status s = spec::apply_setting(out, setting); !s.ok()) return fail(s);
  }
  // The coordinator says the same, without the lines.
  v1::JobSpec whole = out;
  const auto violations = spec::complete_and_validate(whole, "");
  if (const Status s = spec::to_status(violations, *parsed); !s.ok()) return fail(s);
  return out;
}

Result<std::map<std::string, v1::MatrixShape>> read_shapes(const v1::JobSpec& spec) {
  std::map<std::string, v1::MatrixShape> shapes;
  if (!spec.has_matmul()) return shapes;
  const v1::MatmulSpec& matmul = spec.matmul();
  if (is_local(matmul.a())) {
    auto header = read_header(matmul.a(), "workload.matmul.a");
    if (!header) return fail(header.error());
    shapes["a"] = to_shape(*header);
  }
  if (is_local(matmul.b())) {
    auto header = read_header(matmul.b(), "workload.matmul.b");
    if (!header) return fail(header.error());
    shapes["b"] = to_shape(*header);
  }
  return shapes;
}

Status upload_inputs(const Globals& globals, client::Client& client, v1::JobSpec& spec) {
  for (const spec::InputText& input : spec::input_texts(spec)) {
    if (!is_local(*input.text)) continue;
    const std::string name = std::filesystem::path(*input.text).filename().string();
    if (Status sent = upload(globals, client, spec.project(), name, *input.text); !sent.ok()) {
      sent.field = input.field;
      return sent;
    }
  }
  if (Status sent = upload_checkpoint(globals, client, spec); !sent.ok()) return sent;
  return upload_workdir(globals, client, spec);
}

}  // namespace overwinter::cli
