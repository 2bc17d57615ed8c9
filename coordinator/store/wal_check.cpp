#include "coordinator/store/wal_check.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <string_view>
#include <vector>

namespace overwinter::store {
namespace {

constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;
constexpr std::uint32_t kWalMagic = 0x377f0682;  // its last bit: checksums over big-endian words

std::uint32_t big(const unsigned char* bytes) {
  return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
         (std::uint32_t{bytes[2]} << 8) | bytes[3];
}

std::uint32_t little(const unsigned char* bytes) {
  return (std::uint32_t{bytes[3]} << 24) | (std::uint32_t{bytes[2]} << 16) |
         (std::uint32_t{bytes[1]} << 8) | bytes[0];
}

// The document's checksum: a sum of pairs of words, carried from frame to frame.
struct Sum {
  std::uint32_t first = 0;
  std::uint32_t second = 0;
  void add(const unsigned char* bytes, std::size_t size, bool big_endian) {
    for (std::size_t at = 0; at + 8 <= size; at += 8) {
      first += (big_endian ? big(bytes + at) : little(bytes + at)) + second;
      second += (big_endian ? big(bytes + at + 4) : little(bytes + at + 4)) + first;
    }
  }
  [[nodiscard]] bool is(const unsigned char* bytes) const {
    return big(bytes) == first && big(bytes + 4) == second;
  }
};

bool read(std::ifstream& file, unsigned char* into, std::size_t size) {
  file.read(reinterpret_cast<char*>(into), static_cast<std::streamsize>(size));
  return static_cast<std::size_t>(file.gcount()) == size;
}

Status damaged(const std::string& path, std::uint64_t frame) {
  return error(Code::kDataLoss,
               "the log is damaged in " + path + " at frame " + std::to_string(frame) +
                   ": commits that were durable cannot be read",
               "wal", "restore the newest backup");
}

}  // namespace

Status check_wal(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<unsigned char, kHeaderBytes> header{};
  if (!file || !read(file, header.data(), header.size())) return Status::success();
  const std::uint32_t page_bytes = big(&header[8]);
  if (page_bytes < 512 || page_bytes > 65536) return damaged(path, 0);
  const bool big_endian = (big(header.data()) & 1) != 0;
  Sum sum;
  sum.add(header.data(), 24, big_endian);
  // The header is synced before any frame follows it; 32 bytes of one sector do not tear.
  bool sound = (big(header.data()) | 1) == (kWalMagic | 1) && sum.is(&header[24]);
  const bool sound_header = sound;
  std::uint64_t bad_at = 0;
  std::uint64_t commits_behind = 0;
  std::vector<unsigned char> frame(kFrameHeaderBytes + page_bytes);
  for (std::uint64_t number = 1; read(file, frame.data(), frame.size()); ++number) {
    // Frames with other salts are left from before the WAL was last begun anew.
    const bool ours = std::equal(&frame[8], &frame[16], &header[16]);
    if (sound) {
      sum.add(frame.data(), 8, big_endian);
      sum.add(&frame[kFrameHeaderBytes], page_bytes, big_endian);
      sound = ours && sum.is(&frame[16]);
      if (!sound) bad_at = number;
    }
    if (!sound && ours && big(&frame[4]) != 0) ++commits_behind;
  }
  const std::uint64_t allowed = sound_header ? 1 : 0;
  return commits_behind > allowed ? damaged(path, bad_at) : Status::success();
}

}  // namespace overwinter::store
