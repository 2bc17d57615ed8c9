#include "coordinator/artifacts/result_spec.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <vector>

#include "common/formats/digest.h"

namespace overwinter::artifacts {
namespace {

constexpr std::string_view kSpecTitle = "overwinter-result-spec 1";
constexpr std::string_view kManifestTitle = "overwinter-result-manifest 1";
constexpr std::size_t kTextMax = 4096;

std::string spec_lines(const ResultSpec& spec) {
  return fmt::format(
      "dtype {}\nrows {}\ncolumns {}\ntile_rows {}\ntile_columns {}\ngroup_rows {}\n",
      formats::dtype_descriptor(spec.dtype), spec.rows, spec.columns, spec.tile_rows,
      spec.tile_columns, spec.group_rows);
}

Digest text_digest(std::string_view text) {
  return formats::sha256(std::as_bytes(std::span(text)));
}

std::string with_checksum(std::string lines) {
  const Digest digest = text_digest(lines);
  return lines + "sha256 " + to_hex(digest) + "\n";
}

// Takes "key value\n" lines one after another; the first that is not as expected makes the whole
// damaged.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  std::string_view value(std::string_view key) {
    const std::size_t end = text_.find('\n', at_);
    const std::string_view line =
        end == std::string_view::npos ? std::string_view{} : text_.substr(at_, end - at_);
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') {
      good_ = false;
      return {};
    }
    at_ = end + 1;
    return line.substr(key.size() + 1);
  }
  std::uint64_t number(std::string_view key) {
    const std::string_view digits = value(key);
    std::uint64_t parsed = 0;
    const auto [stop, problem] = std::from_chars(digits.begin(), digits.end(), parsed);
    if (problem != std::errc{} || stop != digits.end()) good_ = false;
    return parsed;
  }
  Digest digest(std::string_view key) {
    const Result<Digest> parsed = parse_digest(value(key));
    if (!parsed) good_ = false;
    return parsed ? *parsed : Digest{};
  }
  void title(std::string_view wanted) {
    const std::string_view name = wanted.substr(0, wanted.find(' '));
    if (value(name) != wanted.substr(name.size() + 1)) good_ = false;
  }
  void spec(ResultSpec& spec) {
    const Result<formats::Dtype> dtype = formats::parse_dtype(value("dtype"));
    if (!dtype) good_ = false;
    spec.dtype = dtype.value_or(formats::Dtype::kFloat32);
    spec.rows = number("rows");
    spec.columns = number("columns");
    spec.tile_rows = number("tile_rows");
    spec.tile_columns = number("tile_columns");
    spec.group_rows = number("group_rows");
  }
  // The checksum must be the last line and right.
  [[nodiscard]] bool ends_well() {
    const Digest computed = text_digest(text_.substr(0, at_));
    return digest("sha256") == computed && at_ == text_.size() && good_;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  bool good_ = true;
};

Status damaged(std::string_view what) {
  return error(Code::kInternal, fmt::format("The {} of a result is damaged.", what));
}

}  // namespace

plan::TileGrid ResultSpec::grid() const {
  return {rows, columns, tile_rows, tile_columns, group_rows};
}

std::uint64_t ResultSpec::tile_bytes(UnitNumber unit) const {
  return grid().tile(unit).elements() * formats::dtype_bytes(dtype);
}

std::uint64_t ResultSpec::data_bytes() const {
  return rows * columns * formats::dtype_bytes(dtype);
}

Status check_result_spec(const ResultSpec& spec) {
  const std::uint64_t most = formats::kNpyDimensionMax;
  if (spec.tile_rows == 0 || spec.tile_columns == 0 || spec.group_rows == 0)
    return error(Code::kInvalidArgument, "A tile of a result has at least one row and one column.");
  if (spec.rows > most || spec.columns > most || spec.tile_rows > most ||
      spec.tile_columns > most || spec.group_rows > most)
    return error(Code::kInvalidArgument,
                 fmt::format("A result of {} x {} in tiles of {} x {} has a size above {}.",
                             spec.rows, spec.columns, spec.tile_rows, spec.tile_columns, most));
  constexpr std::uint64_t kDataMax =
      std::numeric_limits<std::int64_t>::max() - formats::kNpyHeaderBytesMax;
  if (spec.columns != 0 && spec.rows > kDataMax / formats::dtype_bytes(spec.dtype) / spec.columns)
    return error(
        Code::kInvalidArgument,
        fmt::format("A result of {} x {} is more than a file can hold.", spec.rows, spec.columns));
  return Status::success();
}

std::string write_result_spec(const ResultSpec& spec) {
  return with_checksum(std::string(kSpecTitle) + "\n" + spec_lines(spec));
}

Result<ResultSpec> read_result_spec(std::string_view text) {
  ResultSpec spec;
  Lines lines(text.substr(0, kTextMax));
  lines.title(kSpecTitle);
  lines.spec(spec);
  if (!lines.ends_well() || !check_result_spec(spec).ok()) return fail(damaged("specification"));
  return spec;
}

std::string write_result_manifest(const ResultManifest& manifest) {
  return with_checksum(fmt::format("{}\n{}digest {}\nsize_bytes {}\n", kManifestTitle,
                                   spec_lines(manifest.spec), to_hex(manifest.digest),
                                   manifest.size_bytes));
}

Result<ResultManifest> read_result_manifest(std::string_view text) {
  ResultManifest manifest;
  Lines lines(text.substr(0, kTextMax));
  lines.title(kManifestTitle);
  lines.spec(manifest.spec);
  manifest.digest = lines.digest("digest");
  manifest.size_bytes = lines.number("size_bytes");
  if (!lines.ends_well() || !check_result_spec(manifest.spec).ok())
    return fail(damaged("manifest"));
  return manifest;
}

}  // namespace overwinter::artifacts
