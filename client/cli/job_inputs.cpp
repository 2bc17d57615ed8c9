#include "client/cli/job_inputs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "client/cli/progress.h"
#include "common/formats/npy.h"
#include "common/security/file_io.h"
#include "common/spec/spec.h"

namespace overwinter::cli {
namespace {

constexpr std::string_view kArtifact = "artifact://";

bool is_local(const std::string& name) {
  return !name.empty() && std::string_view(name).substr(0, kArtifact.size()) != kArtifact;
}

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

Result<formats::NpyHeader> read_header(const std::string& path, const std::string& field) {
  const auto bad = [&](const std::string& why) {
    return fail(Code::kInvalidArgument, path + ": " + why, field);
  };
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return bad(std::strerror(errno));
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return bad("it is not a regular file");
  }
  auto header =
      formats::read_npy_header(static_cast<std::uint64_t>(info.st_size),
                               [&](std::uint64_t offset, std::span<std::byte> out) {
                                 std::size_t done = 0;
                                 while (done < out.size()) {
                                   const ssize_t n = pread(fd, out.data() + done, out.size() - done,
                                                           static_cast<off_t>(offset + done));
                                   if (n <= 0)
                                     return error(Code::kInvalidArgument, "it cannot be read");
                                   done += static_cast<std::size_t>(n);
                                 }
                                 return Status::success();
                               });
  close(fd);
  if (!header) return bad(header.error().message);
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

}  // namespace

Result<v1::JobSpec> read_job_file(const std::string& file,
                                  const std::vector<std::string>& settings) {
  auto text = read_text(file);
  if (!text) return fail(text.error());
  auto parsed = spec::parse_spec(*text, file == "-" ? "standard input" : file);
  if (!parsed) return fail(parsed.error());
  v1::JobSpec out = parsed->spec;
  std::error_code ignored;
  const std::filesystem::path folder = file == "-"
                                           ? std::filesystem::current_path(ignored)
                                           : std::filesystem::absolute(file, ignored).parent_path();
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
  if (!spec.has_matmul()) return Status::success();
  for (std::string* path :
       {spec.mutable_matmul()->mutable_a(), spec.mutable_matmul()->mutable_b()}) {
    if (!is_local(*path)) continue;
    Progress bar("upload " + std::filesystem::path(*path).filename().string(),
                 globals.output.quiet);
    auto uri = client.upload(spec.project(), *path, [&](std::uint64_t done, std::uint64_t total) {
      bar.bytes(done, total);
    });
    if (!uri) return uri.error();
    *path = *uri;
  }
  return Status::success();
}

}  // namespace overwinter::cli
