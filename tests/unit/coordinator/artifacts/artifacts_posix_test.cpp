// The whole way on the machine's own files, with NumPy at both ends: it writes A, reads C, and
// compares.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "coordinator/artifacts/artifact_folder.h"
#include "coordinator/artifacts/blob_store.h"
#include "coordinator/artifacts/block_reader.h"
#include "coordinator/artifacts/tile_sink.h"
#include "tests/unit/coordinator/artifacts/artifact_support.h"

namespace overwinter::artifacts {
namespace {

class Trusting final : public TileVerifier {
 public:
  Result<TileVerdict> verify(JobId, UnitNumber, const plan::Tile&,
                             std::span<const std::byte>) override {
    return TileVerdict{true, {}};
  }
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int python(const std::string& folder, const std::string& program) {
  std::ofstream(folder + "/program.py") << "import numpy as np\n" << program;
  return std::system(("cd " + folder + " && /usr/bin/python3 program.py").c_str());
}

const ResultSpec kSpec{formats::Dtype::kFloat64, 301, 523, 64, 100, 2};

MatrixBlob upload(BlobStore& blobs, const std::string& npy) {
  const BlobKey key{"demo", digest_of(npy)};
  auto upload = blobs.begin_upload(key, npy.size(), Time{}).value();
  for (std::size_t at = 0; at < npy.size(); at += kMiB)
    EXPECT_TRUE(upload->write(bytes_of(std::string_view(npy).substr(at, kMiB)), Time{}).ok());
  EXPECT_TRUE(upload->finish().ok());
  return blobs.open_matrix(key).value();
}

// The unit's block of the stored matrix, delivered as its tile.
void deliver(TileSink& sink, const MatrixBlob& matrix, JobId job, UnitNumber unit) {
  const plan::Tile tile = kSpec.grid().tile(unit);
  std::string block(kSpec.tile_bytes(unit), ' ');
  const Block at{tile.row_begin, tile.row_end, tile.column_begin, tile.column_end};
  EXPECT_TRUE(
      read_block(matrix.file, matrix.header, at, std::as_writable_bytes(std::span(block))).ok());
  sink.begin({{job, 1, 1}, WorkerId{1}, unit}, block.size(),
             [&sink, block](Result<TileBuffer> buffer) {
               EXPECT_TRUE(buffer->append(bytes_of(block)).ok());
               sink.land(std::move(*buffer), [](const Result<TileAnswer>& answer) {
                 EXPECT_EQ(answer->outcome, TileOutcome::kLanded);
               });
             });
}

void write_result(const ResultStore& results, JobId job, Order order, const std::string& path) {
  ResultReader reader = results.read(job, order).value();
  std::ofstream(path, std::ios::binary) << *drain(reader, kMiB);
}

// C is A itself, tile by tile.
TEST(ArtifactsOnDisk, FromNumPyToNumPy) {
  TemporaryFolder folder;
  const std::string here = folder.path() + "/";
  ASSERT_EQ(python(folder.path(),
                   "rng = np.random.default_rng(7)\n"
                   "np.save('c.npy', rng.standard_normal((301, 523)))\n"
                   "np.save('f.npy', np.asfortranarray(np.load('c.npy')))\n"),
            0);
  ASSERT_TRUE(open_artifact_folder(posix_files(), here + "store").ok());
  auto blobs = BlobStore::open(posix_files(), here + "store", {.free_bytes_min = 0}).value();
  auto results = ResultStore::open(posix_files(), here + "store", {.free_bytes_min = 0}).value();
  Trusting verifier;
  std::atomic<std::size_t> landed{0};
  TileSink sink(*results, verifier,
                [&](const std::vector<Delivery>& deliveries) { landed += deliveries.size(); }, {});
  const UnitNumber units = kSpec.grid().units();

  for (const std::string name : {"c", "f"}) {
    const MatrixBlob matrix = upload(*blobs, read_file(here + name + ".npy"));
    EXPECT_EQ(matrix.header.fortran_order, name == "f");
    EXPECT_GE(matrix.file->descriptor(), 0);
    const JobId job{name == "c" ? 1U : 2U};
    ASSERT_TRUE(results->prepare(job, kSpec, {}).ok());
    landed = 0;
    std::vector<std::thread> threads;
    for (UnitNumber first = 0; first < 2; ++first) {
      threads.emplace_back([&, first] {
        for (UnitNumber unit = first; unit < units; unit += 2) deliver(sink, matrix, job, unit);
      });
    }
    while (landed != units) ASSERT_TRUE(sink.flush().ok());
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(results->seal(job)->digest, digest_of(read_file(here + "c.npy")));
    write_result(*results, job, Order::kC, here + "out_c.npy");
    write_result(*results, job, Order::kFortran, here + "out_f.npy");
    EXPECT_EQ(python(folder.path(),
                     "a, c, f = np.load('c.npy'), np.load('out_c.npy'), np.load('out_f.npy')\n"
                     "assert np.array_equal(a, c) and np.array_equal(a, f)\n"
                     "assert c.flags.c_contiguous and f.flags.f_contiguous\n"),
              0);
    ASSERT_TRUE(results->remove(job).ok());
  }
  EXPECT_TRUE(results->list()->empty());
}

}  // namespace
}  // namespace overwinter::artifacts
