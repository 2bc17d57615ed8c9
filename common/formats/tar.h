// A POSIX tar of plain files: `ustar` heads, and a pax head before them where a name or a size does
// not fit. Times and owners are zero, modes 0600: the same files give the same bytes. Any tar
// reads what is written here; what is read here is what was written here, and nothing else of what
// a tar may hold (links, folders, devices, sparse files, other keywords).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace overwinter::formats {

inline constexpr std::size_t kTarBlockBytes = 512;
inline constexpr std::size_t kTarNameMax = 1024;

struct TarMember {
  std::string name;  // relative, as archive_path_ok() has it, at most kTarNameMax
  std::uint64_t size_bytes = 0;
};

// What stands before the content: one block, or three and more.
[[nodiscard]] std::string tar_head(const TarMember& member);
// Zeros behind a content of this size, up to the next block.
[[nodiscard]] std::size_t tar_padding(std::uint64_t size_bytes);
// Behind the last member.
[[nodiscard]] std::string tar_end();

// What a reader hands on: begin, data as often as it takes, end. A status that is not OK ends the
// reading with it.
class TarSink {
 public:
  virtual ~TarSink() = default;
  virtual Status begin(const TarMember& member) = 0;
  virtual Status data(std::span<const std::byte> piece) = 0;
  virtual Status end() = 0;
};

// Fed in pieces of any size, in order. Holds a block and a pax head, never a content. Not
// thread-safe.
class TarReader {
 public:
  explicit TarReader(TarSink& sink) : sink_(sink) {}

  // INVALID_ARGUMENT for what is no tar of ours, with the place. After an error it is spent.
  Status feed(std::span<const std::byte> piece);
  // After the last piece. DATA_LOSS: it was cut short.
  Status finish() const;

 private:
  enum class State { kHead, kPax, kContent, kPadding, kEnd };

  Status take_block();
  Status take_head();
  Status take_pax();
  Status after_head();
  Status after_content();
  [[nodiscard]] Status wrong(std::string_view what) const;

  TarSink& sink_;
  State state_ = State::kHead;
  std::uint64_t offset_ = 0;
  std::string block_;        // as far as it has come
  std::string pax_;          // the content of a pax head
  std::uint64_t left_ = 0;   // of a content or a pax head
  std::size_t padding_ = 0;  // behind it
  std::size_t end_blocks_ = 0;
  TarMember member_;
  bool long_name_ = false;  // the pax head said it
  bool long_size_ = false;
};

}  // namespace overwinter::formats
