#include "common/formats/digest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace overwinter::formats {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string random_text(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

// FIPS 180-2, appendix B.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(to_hex(sha256(bytes_of(""))),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(bytes_of("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(BlobDigester, EmptyBlobHasNoChunks) {
  BlobDigester digester;
  EXPECT_EQ(digester.size_bytes(), 0U);
  EXPECT_EQ(digester.finish(), sha256({}));
}

TEST(BlobDigester, OneChunkIsHashedTwice) {
  BlobDigester digester;
  digester.update(bytes_of("abc"));
  const Digest inner = sha256(bytes_of("abc"));
  EXPECT_EQ(digester.finish(), sha256(std::as_bytes(std::span(inner.bytes))));
}

// hashlib as the independent source, on sizes around the ends of chunks.
TEST(BlobDigester, AgreesWithPython) {
  const std::string path = testing::TempDir() + "ow_digest_" + std::to_string(::getpid());
  for (const std::size_t size : {std::size_t{1}, kDigestChunkBytes - 1, kDigestChunkBytes,
                                 kDigestChunkBytes + 1, 3 * kDigestChunkBytes + 12345}) {
    const std::string text = random_text(size, size);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
    const std::string command =
        "/usr/bin/python3 -c \"import hashlib,sys;d=open(sys.argv[1],'rb').read();"
        "print(hashlib.sha256(b''.join(hashlib.sha256(d[i:i+1048576]).digest()"
        " for i in range(0,len(d),1048576))).hexdigest(),end='')\" " +
        path;
    std::FILE* python = ::popen(command.c_str(), "r");
    ASSERT_NE(python, nullptr);
    std::string hex(64, ' ');
    ASSERT_EQ(std::fread(hex.data(), 1, hex.size(), python), hex.size());
    ASSERT_EQ(::pclose(python), 0);
    BlobDigester digester;
    digester.update(bytes_of(text));
    EXPECT_EQ(to_hex(digester.finish()), hex) << size;
  }
  std::remove(path.c_str());
}

TEST(BlobDigester, PiecesDoNotMatter) {
  const std::string text = random_text(2 * kDigestChunkBytes + 77, 5);
  BlobDigester whole;
  whole.update(bytes_of(text));
  const Digest expected = whole.finish();

  std::mt19937_64 random(6);
  for (int round = 0; round < 5; ++round) {
    BlobDigester pieces;
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t take = std::min<std::size_t>(rest.size(), random() % 700'000);
      pieces.update(bytes_of(rest.substr(0, take)));
      rest.remove_prefix(take);
    }
    EXPECT_EQ(pieces.size_bytes(), text.size());
    EXPECT_EQ(pieces.finish(), expected);
  }
  std::vector<Digest> chunks;
  for (std::size_t at = 0; at < text.size(); at += kDigestChunkBytes)
    chunks.push_back(sha256(bytes_of(std::string_view(text).substr(at, kDigestChunkBytes))));
  EXPECT_EQ(digest_of_chunks(chunks), expected);
}

}  // namespace
}  // namespace overwinter::formats
