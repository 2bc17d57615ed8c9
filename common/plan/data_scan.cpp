#include "common/plan/data_scan.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "common/base/bytes.h"
#include "common/formats/npy.h"
#include "common/plan/csv_scan.h"

namespace overwinter::plan {
namespace {

constexpr std::size_t kPieceBytes = kMiB;
constexpr const char* kFieldX = "workload.train.data.npy.x";
constexpr const char* kFieldY = "workload.train.data.npy.y";
constexpr const char* kFieldCsv = "workload.train.data.csv.path";

Status check_scanned(std::uint64_t bytes, const std::string& field) {
  if (bytes <= kTableScanBytesMax) return Status::success();
  return error(Code::kInvalidArgument,
               "It has " + format_bytes(bytes) + "; at most " + format_bytes(kTableScanBytesMax) +
                   " of it are read to plan.",
               field, "Save inputs as a .npy file, and targets as float32 or int8.");
}

// Pieces from `offset` to `end`, each but the last of kPieceBytes.
Status for_each_piece(const ScannedFile& file, std::uint64_t offset, std::uint64_t end,
                      const std::function<Status(std::span<const std::byte>)>& take) {
  std::vector<std::byte> piece(std::min<std::uint64_t>(kPieceBytes, end - offset));
  while (offset < end) {
    const std::span out(piece.data(), std::min<std::uint64_t>(piece.size(), end - offset));
    if (Status s = file.read_at(offset, out); !s.ok()) return s;
    if (Status s = take(out); !s.ok()) return s;
    offset += out.size();
  }
  return Status::success();
}

Result<formats::NpyHeader> header_of(const ScannedFile& file, const std::string& field) {
  auto header = formats::read_npy_header(
      file.size_bytes,
      [&](std::uint64_t offset, std::span<std::byte> out) { return file.read_at(offset, out); });
  if (header) return header;
  Status status = header.error();
  status.field = field;
  return fail(std::move(status));
}

template <class T>
std::pair<std::int64_t, std::int64_t> bounds_as(std::span<const std::byte> piece) {
  std::pair<std::int64_t, std::int64_t> bounds{INT64_MAX, INT64_MIN};
  for (std::size_t i = 0; i + sizeof(T) <= piece.size(); i += sizeof(T)) {
    T value;
    std::memcpy(&value, piece.data() + i, sizeof(value));
    bounds.first = std::min<std::int64_t>(bounds.first, value);
    bounds.second = std::max<std::int64_t>(bounds.second, value);
  }
  return bounds;
}

// The number of classes of a column of whole numbers.
Result<std::uint64_t> count_classes(const ScannedFile& y, const formats::NpyHeader& header) {
  if (Status s = check_scanned(header.data_bytes(), kFieldY); !s.ok()) return fail(std::move(s));
  std::int64_t least = 0;
  std::int64_t most = -1;
  // A piece holds whole elements: its size is a multiple of each of theirs.
  Status read = for_each_piece(
      y, header.data_offset, header.file_bytes(), [&](std::span<const std::byte> piece) {
        const auto bounds = header.dtype == formats::Dtype::kInt8 ? bounds_as<std::int8_t>(piece)
                            : header.dtype == formats::Dtype::kInt32
                                ? bounds_as<std::int32_t>(piece)
                                : bounds_as<std::int64_t>(piece);
        least = std::min(least, bounds.first);
        most = std::max(most, bounds.second);
        return Status::success();
      });
  if (!read.ok()) return fail(std::move(read));
  const std::int64_t wrong = least < 0 ? least : most;
  if (least < 0 || most >= static_cast<std::int64_t>(kTrainClassesMax))
    return fail(Code::kInvalidArgument,
                "y holds " + std::to_string(wrong) +
                    "; whole numbers are classes and lie from 0 to 65,535.",
                kFieldY, "For values to approximate save y as float32.");
  return static_cast<std::uint64_t>(most + 1);
}

}  // namespace

Result<DataFacts> scan_npy(const ScannedFile& x, const ScannedFile& y) {
  const auto inputs = header_of(x, kFieldX);
  if (!inputs) return fail(inputs.error());
  const auto outputs = header_of(y, kFieldY);
  if (!outputs) return fail(outputs.error());
  if (inputs->rows != outputs->rows)
    return fail(Code::kInvalidArgument,
                "x has " + std::to_string(inputs->rows) + " rows and y has " +
                    std::to_string(outputs->rows) + "; they must be as many.",
                kFieldY);
  DataFacts facts;
  facts.samples = inputs->rows;
  facts.inputs = inputs->columns;
  facts.outputs = outputs->columns;
  facts.classes = outputs->dtype >= formats::Dtype::kInt8 && outputs->columns == 1;
  if (!facts.classes) return facts;
  const auto classes = count_classes(y, *outputs);
  if (!classes) return fail(classes.error());
  facts.outputs = *classes;
  return facts;
}

Result<DataFacts> scan_csv(const ScannedFile& file, const std::string& target) {
  if (Status s = check_scanned(file.size_bytes, kFieldCsv); !s.ok()) return fail(std::move(s));
  CsvScan scan(target);
  Status read = for_each_piece(file, 0, file.size_bytes, [&](std::span<const std::byte> piece) {
    return scan.add({reinterpret_cast<const char*>(piece.data()), piece.size()});
  });
  if (!read.ok()) return fail(std::move(read));
  return scan.finish();
}

}  // namespace overwinter::plan
