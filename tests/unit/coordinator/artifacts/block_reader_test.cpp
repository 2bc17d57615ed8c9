#include "coordinator/artifacts/block_reader.h"

#include <gtest/gtest.h>

#include <random>

#include "coordinator/artifacts/transpose.h"
#include "tests/support/fault_files.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

using formats::Dtype;

struct StoredMatrix {
  std::shared_ptr<const File> file;
  formats::NpyHeader header;
};

StoredMatrix store(test::FaultFiles& files, const DenseMatrix& matrix, bool fortran_order,
                   const std::string& path) {
  const std::string npy = matrix.npy(fortran_order);
  std::unique_ptr<File> file = files.open(path, OpenMode::kCreate).value();
  EXPECT_TRUE(file->write_at(0, bytes_of(npy)).ok());
  const Result<formats::NpyPrefix> parsed = formats::parse_npy_prefix(bytes_of(npy));
  EXPECT_TRUE(parsed.has_value());
  return {std::move(file), *parsed->header};
}

std::string read(const StoredMatrix& stored, const Block& block, std::size_t piece_bytes,
                 std::uint64_t buffer_bytes) {
  Result<BlockReader> reader = BlockReader::open(stored.file, stored.header, block, buffer_bytes);
  EXPECT_TRUE(reader.has_value());
  const Result<std::string> got = drain(*reader, piece_bytes);
  EXPECT_TRUE(got.has_value()) << got.error().message;
  return got.value_or("");
}

TEST(BlockReader, RandomBlocksOfBothOrders) {
  std::mt19937_64 random(42);
  const auto below = [&](std::uint64_t end) { return random() % end; };
  const Dtype dtypes[] = {Dtype::kInt8, Dtype::kFloat16, Dtype::kFloat32, Dtype::kFloat64};
  test::FaultFiles files;
  for (int round = 0; round < 120; ++round) {
    const std::uint64_t rows = 1 + below(90);
    const std::uint64_t columns = 1 + below(90);
    const DenseMatrix matrix = random_matrix(dtypes[round % 4], rows, columns, random());
    const StoredMatrix stored =
        store(files, matrix, round % 8 < 4, "/data/" + std::to_string(round));
    for (int i = 0; i < 6; ++i) {
      Block block{below(rows + 1), below(rows + 1), below(columns + 1), below(columns + 1)};
      if (i == 0) block = {0, rows, 0, columns};
      if (i == 1) block = {0, rows, columns / 2, columns / 2 + 1};
      if (block.row_begin > block.row_end) std::swap(block.row_begin, block.row_end);
      if (block.column_begin > block.column_end) std::swap(block.column_begin, block.column_end);
      const std::string expected =
          matrix.block(block.row_begin, block.row_end, block.column_begin, block.column_end);
      EXPECT_EQ(read(stored, block, 1 + below(700), 1 + below(4000)), expected);
      std::string whole(expected.size(), ' ');
      ASSERT_TRUE(
          read_block(stored.file, stored.header, block, std::as_writable_bytes(std::span(whole)))
              .ok());
      EXPECT_EQ(whole, expected);
    }
  }
}

TEST(BlockReader, BlocksOutsideAreRefused) {
  test::FaultFiles files;
  const StoredMatrix stored =
      store(files, random_matrix(Dtype::kFloat32, 10, 20, 1), false, "/data/a");
  for (const Block& block : {Block{0, 11, 0, 20}, Block{0, 10, 0, 21}, Block{5, 4, 0, 1},
                             Block{0, 1, 20, 19}, Block{0, ~std::uint64_t{0}, 0, 1}}) {
    const Result<BlockReader> reader = BlockReader::open(stored.file, stored.header, block);
    ASSERT_FALSE(reader.has_value());
    EXPECT_EQ(reader.error().code, Code::kInvalidArgument);
    EXPECT_NE(reader.error().message.find("10 x 20"), std::string::npos);
  }
  EXPECT_TRUE(BlockReader::open(stored.file, stored.header, {10, 10, 20, 20}).has_value());
}

TEST(BlockReader, EmptyMatrices) {
  test::FaultFiles files;
  const StoredMatrix stored =
      store(files, random_matrix(Dtype::kFloat64, 0, 7, 1), true, "/data/a");
  EXPECT_EQ(read(stored, {0, 0, 0, 7}, 10, 10), "");
}

TEST(BlockReader, AFileThatIsCutShortIsAnError) {
  test::FaultFiles files;
  for (const bool fortran : {false, true}) {
    const std::string path = fortran ? "/data/f" : "/data/c";
    const DenseMatrix matrix = random_matrix(Dtype::kFloat32, 16, 16, 1);
    const StoredMatrix stored = store(files, matrix, fortran, path);
    files.overwrite(path, matrix.npy(fortran).substr(0, 500));
    std::string out(16 * 16 * 4, ' ');
    const Status status = read_block(stored.file, stored.header, {0, 16, 0, 16},
                                     std::as_writable_bytes(std::span(out)));
    EXPECT_EQ(status.code, Code::kOutOfRange);
    EXPECT_FALSE(is_fatal(status));
  }
}

TEST(Transpose, EverySizeAroundABlock) {
  for (const std::size_t bytes : {1U, 2U, 4U, 8U}) {
    for (const std::size_t rows : {1U, 3U, 31U, 32U, 33U, 64U, 70U}) {
      for (const std::size_t columns : {1U, 2U, 32U, 35U, 64U, 96U}) {
        const std::size_t column_stride = rows * bytes + 5;  // odd: nothing may need alignment
        const std::size_t row_stride = columns * bytes + 3;
        const std::string in = random_text(column_stride * columns, rows * columns + bytes);
        std::string out(row_stride * rows, '.');
        std::string expected = out;
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t c = 0; c < columns; ++c)
            expected.replace(r * row_stride + c * bytes, bytes,
                             in.substr(c * column_stride + r * bytes, bytes));
        }
        transpose(bytes_of(in).data(), column_stride, std::as_writable_bytes(std::span(out)).data(),
                  row_stride, rows, columns, bytes);
        EXPECT_EQ(out, expected) << bytes << " " << rows << " " << columns;
      }
    }
  }
}

}  // namespace
}  // namespace overwinter::artifacts
