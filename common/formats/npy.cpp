#include "common/formats/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/formats/npy_dictionary.h"

namespace overwinter::formats {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::uint64_t kAlignment = 64;

struct DtypeRow {
  Dtype dtype;
  std::uint64_t bytes;
  std::string_view name;
  std::string_view descriptor;
};
constexpr std::array<DtypeRow, 6> kDtypes{{
    {Dtype::kFloat16, 2, "float16", "<f2"},
    {Dtype::kFloat32, 4, "float32", "<f4"},
    {Dtype::kFloat64, 8, "float64", "<f8"},
    {Dtype::kInt8, 1, "int8", "|i1"},
    {Dtype::kInt32, 4, "int32", "<i4"},
    {Dtype::kInt64, 8, "int64", "<i8"},
}};

constexpr std::string_view kTaken = "float16, float32, float64, int8, int32 and int64";
constexpr std::string_view kConvert =
    "Convert it first, for example: numpy.save(path, x.astype('float32')).";

const DtypeRow& row_of(Dtype dtype) {
  const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(),
                                   [dtype](const DtypeRow& row) { return row.dtype == dtype; });
  check(found != kDtypes.end(), "a Dtype that is none");
  return *found;
}

tl::unexpected<Status> bad_npy(std::string message, std::string_view hint = {}) {
  return fail(Code::kInvalidArgument, std::move(message), {}, std::string(hint));
}

// What people call a kind of element that is not taken.
std::string_view kind_name(char kind) {
  switch (kind) {
    case 'O':
      return "Python objects";
    case 'S':
    case 'a':
      return "byte strings";
    case 'U':
      return "text";
    case 'V':
      return "raw records";
    case 'b':
      return "booleans";
    case 'c':
      return "complex numbers";
    case 'u':
      return "unsigned integers";
    case 'M':
      return "dates";
    case 'm':
      return "time spans";
    default:
      return {};
  }
}

std::uint64_t little_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8U | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The two dimensions, checked so that no product of them overflows.
Status check_shape(const std::vector<std::uint64_t>& shape, std::uint64_t element_bytes) {
  const auto refuse = [](std::string message, std::string hint = {}) {
    return error(Code::kInvalidArgument, std::move(message), {}, std::move(hint));
  };
  if (shape.size() == 1)
    return refuse(
        fmt::format("The .npy file holds a one-dimensional array of {} elements, not a matrix.",
                    shape[0]),
        "Give it two dimensions, for example: numpy.save(path, x.reshape(1, -1)) or x.reshape(-1, "
        "1).");
  if (shape.size() != 2)
    return refuse(fmt::format("The .npy file has {} dimensions; a matrix has two.", shape.size()),
                  "Give it two dimensions with numpy.reshape.");
  for (const std::uint64_t dimension : shape) {
    if (dimension > kNpyDimensionMax)
      return refuse(fmt::format("The .npy header has a dimension of {}; the most is {}.", dimension,
                                kNpyDimensionMax));
  }
  // File offsets are signed 64 bits; a header takes at most 1 MiB of them.
  constexpr std::uint64_t kDataMax = std::numeric_limits<std::int64_t>::max() - kNpyHeaderBytesMax;
  if (shape[1] != 0 && shape[0] > kDataMax / element_bytes / shape[1])
    return refuse(fmt::format("The .npy header says {} x {}, which is more than a file can hold.",
                              shape[0], shape[1]));
  return Status::success();
}

Result<NpyHeader> header_from(std::string_view text, std::uint64_t data_offset) {
  const Result<NpyDictionary> dictionary = parse_npy_dictionary(text);
  if (!dictionary) return fail(dictionary.error());
  if (dictionary->structured)
    return bad_npy(fmt::format("The .npy file holds structured records; {} are taken.", kTaken),
                   "Save one field of it as a matrix of numbers.");
  const Result<Dtype> dtype = parse_dtype(dictionary->descriptor);
  if (!dtype) return fail(dtype.error());
  if (Status shape = check_shape(dictionary->shape, dtype_bytes(*dtype)); !shape.ok())
    return fail(std::move(shape));
  return NpyHeader{*dtype, dictionary->shape[0], dictionary->shape[1], dictionary->fortran_order,
                   data_offset};
}

}  // namespace

std::uint64_t dtype_bytes(Dtype dtype) {
  return row_of(dtype).bytes;
}
std::string_view dtype_name(Dtype dtype) {
  return row_of(dtype).name;
}
std::string_view dtype_descriptor(Dtype dtype) {
  return row_of(dtype).descriptor;
}

Result<Dtype> parse_dtype(std::string_view descriptor) {
  const auto refuse = [](std::string_view what) {
    return bad_npy(fmt::format("The .npy file holds {}; {} are taken.", what, kTaken), kConvert);
  };
  if (descriptor.size() < 2) return bad_npy("The .npy header is damaged: 'descr' names no type.");
  const char order = descriptor[0];
  const bool has_order = order == '<' || order == '>' || order == '=' || order == '|';
  const std::string_view type = has_order ? descriptor.substr(1) : descriptor;
  if (const std::string_view kind = kind_name(type.empty() ? ' ' : type[0]); !kind.empty())
    return refuse(kind);
  if (order == '>')
    return bad_npy(
        fmt::format("The .npy file is big-endian ({}); only little-endian files are taken.",
                    quote_foreign(descriptor)),
        "Convert it first, for example: numpy.save(path, x.astype(x.dtype.newbyteorder('<'))).");
  for (const DtypeRow& row : kDtypes) {
    if (type != row.descriptor.substr(1)) continue;
    if (order == '<' || order == '=' || (order == '|' && row.bytes == 1)) return row.dtype;
    return bad_npy(fmt::format("The .npy header does not say the byte order of its elements ({}).",
                               quote_foreign(descriptor)));
  }
  return refuse(fmt::format("elements of type {}", quote_foreign(descriptor)));
}

Result<NpyPrefix> parse_npy_prefix(std::span<const std::byte> prefix) {
  const std::string_view text = as_text(prefix);
  const std::size_t compared = std::min(text.size(), kNpyMagic.size());
  if (text.substr(0, compared) != kNpyMagic.substr(0, compared))
    return bad_npy("The file is not a .npy file: it does not begin as NumPy writes it.",
                   "Write it with numpy.save.");
  if (prefix.size() < kNpyMagic.size() + 2) return NpyPrefix{std::nullopt, kNpyMagic.size() + 2};
  const auto version = std::to_integer<unsigned>(prefix[6]);
  const auto minor = std::to_integer<unsigned>(prefix[7]);
  if (version < 1 || version > 3 || minor != 0)
    return bad_npy(fmt::format("The .npy file is of version {}.{}; 1.0, 2.0 and 3.0 are taken.",
                               version, minor));
  const std::uint64_t length_bytes = version == 1 ? 2 : 4;
  const std::uint64_t text_offset = kNpyMagic.size() + 2 + length_bytes;
  if (prefix.size() < text_offset) return NpyPrefix{std::nullopt, text_offset};
  const std::uint64_t data_offset =
      text_offset + little_endian(prefix.subspan(kNpyMagic.size() + 2, length_bytes));
  if (data_offset > kNpyHeaderBytesMax)
    return bad_npy(fmt::format("The .npy header is {} long; the most is {}.",
                               format_bytes(data_offset), format_bytes(kNpyHeaderBytesMax)));
  if (prefix.size() < data_offset) return NpyPrefix{std::nullopt, data_offset};
  Result<NpyHeader> header =
      header_from(text.substr(text_offset, data_offset - text_offset), data_offset);
  if (!header) return fail(std::move(header.error()));
  return NpyPrefix{*header, data_offset};
}

Status check_npy_length(const NpyHeader& header, std::uint64_t file_bytes) {
  const std::uint64_t wanted = header.file_bytes();
  if (file_bytes == wanted) return Status::success();
  return error(
      Code::kInvalidArgument,
      fmt::format(
          "The .npy file is cut short or too long: {} x {} of {} take {} bytes with the header, "
          "and it has {}.",
          header.rows, header.columns, dtype_name(header.dtype), wanted, file_bytes));
}

Result<NpyHeader> read_npy_header(std::uint64_t file_bytes, const ReadAt& read) {
  std::vector<std::byte> prefix;
  std::uint64_t wanted = std::min(kNpyPrefixBytes, file_bytes);
  while (true) {
    const std::size_t held = prefix.size();
    prefix.resize(wanted);
    if (Status status = read(held, std::span(prefix).subspan(held)); !status.ok())
      return fail(std::move(status));
    Result<NpyPrefix> parsed = parse_npy_prefix(prefix);
    if (!parsed) return fail(std::move(parsed.error()));
    if (parsed->header) {
      if (Status length = check_npy_length(*parsed->header, file_bytes); !length.ok())
        return fail(std::move(length));
      return *parsed->header;
    }
    if (parsed->bytes_needed > file_bytes)
      return bad_npy(
          fmt::format("The .npy file is cut short: its header alone takes {} bytes, and it has {}.",
                      parsed->bytes_needed, file_bytes));
    wanted = parsed->bytes_needed;
  }
}

std::string write_npy_header(Dtype dtype, std::uint64_t rows, std::uint64_t columns,
                             bool fortran_order) {
  const std::string dictionary =
      fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': ({}, {}), }}",
                  dtype_descriptor(dtype), fortran_order ? "True" : "False", rows, columns);
  const std::uint64_t fixed = kNpyMagic.size() + 4;
  // NumPy leaves room for the growth of a dimension: with two of them the whole is 128 bytes either
  // way.
  const std::uint64_t whole = (fixed + dictionary.size() + kAlignment) / kAlignment * kAlignment;
  const std::uint64_t length = whole - fixed;
  std::string bytes(kNpyMagic);
  bytes += {'\x01', '\0', static_cast<char>(length & 0xffU), static_cast<char>(length >> 8U)};
  bytes += dictionary;
  bytes.resize(whole - 1, ' ');
  bytes += '\n';
  return bytes;
}

}  // namespace overwinter::formats
