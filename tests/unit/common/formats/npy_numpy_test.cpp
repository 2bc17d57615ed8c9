// NumPy as the independent writer and reader of .npy files.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/formats/npy.h"
#include "tests/support/python_folder.h"

namespace overwinter::formats {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

constexpr const char* kNumPy = "import numpy as np, warnings\nwarnings.simplefilter('ignore')\n";

class NumPy : public testing::Test {
 protected:
  std::string python(const std::string& program) {
    return python_.run(std::string(kNumPy) + program);
  }

  test::PythonFolder python_{"npy"};
  const fs::path& folder_ = python_.path();
};

TEST_F(NumPy, ItsFilesAreRead) {
  python(R"(
i = 0
for version in [(1, 0), (2, 0), (3, 0)]:
    for dtype in ['<f2', '<f4', '<f8', 'i1', '<i4', '<i8']:
        for order in 'CF':
            for shape in [(3, 5), (1, 7), (7, 1), (0, 4), (4, 0)]:
                a = np.asarray(np.arange(shape[0] * shape[1]).reshape(shape), dtype=dtype, order=order)
                with open(f'{i}.npy', 'wb') as f:
                    np.lib.format.write_array(f, a, version=version)
                h = (dtype.strip('<'), *shape, int(a.flags.f_contiguous and not a.flags.c_contiguous))
                with open(f'{i}.txt', 'w') as f:
                    f.write(' '.join(str(x) for x in h))
                i += 1
print(i)
)");
  int seen = 0;
  for (; fs::exists(folder_ / (std::to_string(seen) + ".npy")); ++seen) {
    const std::string file = read_file(folder_ / (std::to_string(seen) + ".npy"));
    const Result<NpyHeader> header =
        read_npy_header(file.size(), [&](std::uint64_t offset, std::span<std::byte> out) {
          std::memcpy(out.data(), file.data() + offset, out.size());
          return Status::success();
        });
    ASSERT_TRUE(header.has_value()) << seen << header.error().message;
    std::ifstream text(folder_ / (std::to_string(seen) + ".txt"));
    std::string dtype;
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    int fortran = 0;
    text >> dtype >> rows >> columns >> fortran;
    EXPECT_EQ(dtype_descriptor(header->dtype).substr(1), dtype);
    EXPECT_EQ(header->rows, rows);
    EXPECT_EQ(header->columns, columns);
    EXPECT_EQ(header->fortran_order, fortran == 1) << seen;
    // The elements stand where the header says: an arange of the last value, rows * columns - 1.
    if (header->dtype == Dtype::kInt32 && rows * columns != 0) {
      std::int32_t last = 0;
      std::memcpy(&last, file.data() + header->file_bytes() - 4, 4);
      EXPECT_EQ(last, static_cast<std::int32_t>(rows * columns) - 1);
    }
  }
  EXPECT_EQ(seen, 3 * 6 * 2 * 5);
}

TEST_F(NumPy, ItsRefusedFilesGetASentence) {
  python(R"(
np.save('0.npy', np.zeros((2, 2), '>f4'))
np.save('1.npy', np.zeros((2, 2), 'c8'))
np.save('2.npy', np.array([[1, 'a'], [None, {}]], dtype=object), allow_pickle=True)
np.save('3.npy', np.array([['a', 'b']]))
np.save('4.npy', np.zeros((2, 2), [('x', '<f4'), ('y', '<i8', (3,))]))
np.save('5.npy', np.zeros(5, 'f4'))
np.save('6.npy', np.zeros((2, 2), bool))
np.save('7.npy', np.zeros((2, 2), 'M8[ns]'))
np.save('8.npy', np.float32(3))
np.savez('9', a=np.zeros((2, 2)))
import os; os.rename('9.npz', '9.npy')
)");
  for (int i = 0; i < 10; ++i) {
    const std::string file = read_file(folder_ / (std::to_string(i) + ".npy"));
    const Result<NpyPrefix> parsed = parse_npy_prefix(std::as_bytes(std::span(file)));
    ASSERT_FALSE(parsed.has_value()) << i;
    EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
    EXPECT_FALSE(parsed.error().hint.empty()) << parsed.error().message;
  }
}

TEST_F(NumPy, OurHeadersAreItsHeaders) {
  python(R"(
import io
i = 0
for dtype in ['<f2', '<f4', '<f8', '|i1', '<i4', '<i8']:
    for order in [False, True]:
        for shape in [(3, 4), (0, 0), (1000000, 123456), (1, 1099511627776)]:
            with open(f'{i}.header', 'wb') as f:
                np.lib.format.write_array_header_1_0(f, {'descr': dtype, 'fortran_order': order, 'shape': shape})
            i += 1
)");
  int i = 0;
  for (const Dtype dtype : {Dtype::kFloat16, Dtype::kFloat32, Dtype::kFloat64, Dtype::kInt8,
                            Dtype::kInt32, Dtype::kInt64}) {
    for (const bool order : {false, true}) {
      for (const auto& [rows, columns] : {std::pair<std::uint64_t, std::uint64_t>{3, 4},
                                          {0, 0},
                                          {1000000, 123456},
                                          {1, 1099511627776}}) {
        EXPECT_EQ(write_npy_header(dtype, rows, columns, order),
                  read_file(folder_ / (std::to_string(i) + ".header")));
        ++i;
      }
    }
  }
}

TEST_F(NumPy, ItReadsOurFiles) {
  const std::vector<double> elements{0, 1, 2, 3, 4, 5};
  for (const bool fortran : {false, true}) {
    std::ofstream file(folder_ / (fortran ? "f.npy" : "c.npy"), std::ios::binary);
    file << write_npy_header(Dtype::kFloat64, 2, 3, fortran);
    file.write(reinterpret_cast<const char*>(elements.data()), 48);
  }
  EXPECT_EQ(python("print(np.load('c.npy').tolist(), np.load('f.npy').tolist())"),
            "[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]\n");
}

}  // namespace
}  // namespace overwinter::formats
