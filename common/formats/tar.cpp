#include "common/formats/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "common/formats/archive.h"

namespace overwinter::formats {
namespace {

constexpr std::size_t kNameAt = 0;
constexpr std::size_t kNameBytes = 100;
constexpr std::size_t kSizeAt = 124;
constexpr std::size_t kSumAt = 148;
constexpr std::size_t kSumBytes = 8;
constexpr std::size_t kTypeAt = 156;
constexpr std::size_t kMagicAt = 257;
constexpr std::size_t kPrefixAt = 345;
constexpr std::size_t kPrefixBytes = 155;
constexpr std::uint64_t kSmallSizeMax = 077777777777;  // eleven octal digits: 8 GiB - 1
constexpr std::size_t kPaxBytesMax = 4096;
constexpr std::string_view kTarMagic{"ustar\00000", 8};
constexpr std::string_view kPaxName = "pax";

struct SplitName {
  std::string_view prefix;
  std::string_view name;
};

// At a slash, so that both parts fit; nullopt: they do not.
std::optional<SplitName> split(std::string_view name) {
  if (name.size() <= kNameBytes) return SplitName{{}, name};
  for (std::size_t at = name.find('/'); at != std::string_view::npos; at = name.find('/', at + 1)) {
    if (at > kPrefixBytes) break;
    if (name.size() - at - 1 <= kNameBytes)
      return SplitName{name.substr(0, at), name.substr(at + 1)};
  }
  return std::nullopt;
}

std::uint64_t head_sum(std::string_view block) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool of_sum = i >= kSumAt && i < kSumAt + kSumBytes;
    sum += of_sum ? std::uint64_t{' '} : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

std::string block_of(const SplitName& name, std::uint64_t size, char type) {
  std::string block(kTarBlockBytes, '\0');
  const auto put = [&block](std::size_t at, std::string_view text) {
    block.replace(at, text.size(), text);
  };
  put(kNameAt, name.name);
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  put(kSizeAt, fmt::format("{:011o}", size));
  put(136, "00000000000");
  block[kTypeAt] = type;
  put(kMagicAt, kTarMagic);
  put(kPrefixAt, name.prefix);
  put(kSumAt, fmt::format("{:06o}", head_sum(block)));
  block[kSumAt + 7] = ' ';
  return block;
}

// "LENGTH KEY=VALUE\n", the length its own digits included.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) ++length;
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string_view text_at(std::string_view block, std::size_t at, std::size_t size) {
  std::string_view text = block.substr(at, size);
  return text.substr(0, text.find('\0'));
}

std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<std::uint64_t> octal_at(std::string_view block, std::size_t at, std::size_t size) {
  std::string_view text = block.substr(at, size);
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.remove_suffix(1);
  return number(text, 8);
}

}  // namespace

std::string tar_head(const TarMember& member) {
  std::string pax;
  auto name = split(member.name);
  if (!name) {
    pax += pax_record("path", member.name);
    name = SplitName{{}, std::string_view(member.name).substr(0, kNameBytes)};
  }
  const bool large = member.size_bytes > kSmallSizeMax;
  if (large) pax += pax_record("size", std::to_string(member.size_bytes));
  std::string out;
  if (!pax.empty()) {
    out = block_of({{}, kPaxName}, pax.size(), 'x') + pax;
    out.append(tar_padding(pax.size()), '\0');
  }
  return out + block_of(*name, large ? 0 : member.size_bytes, '0');
}

std::size_t tar_padding(std::uint64_t size_bytes) {
  const auto over = static_cast<std::size_t>(size_bytes % kTarBlockBytes);
  return over == 0 ? 0 : kTarBlockBytes - over;
}

std::string tar_end() {
  return std::string(2 * kTarBlockBytes, '\0');
}

Status TarReader::wrong(std::string_view what) const {
  return error(Code::kInvalidArgument,
               fmt::format("it is damaged, or none of ours, at byte {}: {}", offset_, what));
}

Status TarReader::feed(std::span<const std::byte> piece) {
  while (!piece.empty()) {
    if (state_ == State::kContent) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, piece.size()));
      if (Status status = sink_.data(piece.first(take)); !status.ok()) return status;
      left_ -= take;
      offset_ += take;
      piece = piece.subspan(take);
      if (left_ == 0) {
        if (Status status = after_content(); !status.ok()) return status;
      }
      continue;
    }
    const std::size_t wanted = state_ == State::kPadding ? padding_ : kTarBlockBytes;
    const std::size_t take = std::min(wanted - block_.size(), piece.size());
    block_.append(reinterpret_cast<const char*>(piece.data()), take);
    piece = piece.subspan(take);
    if (block_.size() < wanted) continue;
    if (Status status = take_block(); !status.ok()) return status;
    offset_ += wanted;
    block_.clear();
  }
  return Status::success();
}

Status TarReader::finish() const {
  if (state_ == State::kEnd && end_blocks_ == 2 && block_.empty()) return Status::success();
  return error(Code::kDataLoss,
               fmt::format("it is cut short after {} bytes", offset_ + block_.size()));
}

Status TarReader::take_block() {
  const bool zero = block_.find_first_not_of('\0') == std::string::npos;
  switch (state_) {
    case State::kHead:
      if (!zero) return take_head();
      if (long_name_ || long_size_) return wrong("the end stands where a member was to come");
      state_ = State::kEnd;
      end_blocks_ = 1;
      return Status::success();
    case State::kPax: {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, block_.size()));
      pax_.append(block_, 0, take);
      left_ -= take;
      return left_ == 0 ? take_pax() : Status::success();
    }
    case State::kPadding:
      if (!zero) return wrong("there is something between two members");
      state_ = State::kHead;
      return Status::success();
    case State::kContent:
      break;
    case State::kEnd:
      if (zero && ++end_blocks_ == 2) return Status::success();
      return wrong("there is something behind the end");
  }
  return wrong("no block was to come");
}

Status TarReader::take_head() {
  const std::string_view block = block_;
  if (block.substr(kMagicAt, kTarMagic.size()) != kTarMagic)
    return wrong("no member of a tar begins here");
  const auto sum = octal_at(block, kSumAt, kSumBytes);
  if (!sum || *sum != head_sum(block))
    return wrong("the checksum of a member's head is another one");
  const auto size = octal_at(block, kSizeAt, 12);
  if (!size) return wrong("a member has no size");
  const char type = block[kTypeAt];
  if (type == 'x') {
    if (long_name_ || long_size_ || *size == 0 || *size > kPaxBytesMax)
      return wrong("an extended head is out of place or too long");
    state_ = State::kPax;
    left_ = *size;
    pax_.clear();
    return Status::success();
  }
  if (type != '0') return wrong("a member is no plain file");
  const std::string_view prefix = text_at(block, kPrefixAt, kPrefixBytes);
  const std::string_view name = text_at(block, kNameAt, kNameBytes);
  if (!long_name_)
    member_.name = prefix.empty() ? std::string(name) : fmt::format("{}/{}", prefix, name);
  if (!long_size_) member_.size_bytes = *size;
  long_name_ = long_size_ = false;
  if (member_.name.size() > kTarNameMax || !archive_path_ok(member_.name))
    return wrong("a member has a name that would leave its folder");
  return after_head();
}

Status TarReader::take_pax() {
  std::string_view rest = pax_;
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    const auto length = space < 8 ? number(rest.substr(0, space), 10) : std::nullopt;
    if (!length || *length > rest.size() || *length < space + 4 || rest[*length - 1] != '\n')
      return wrong("an extended head is damaged");
    const std::string_view record = rest.substr(space + 1, *length - space - 2);
    rest.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    const std::string_view key = record.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : record.substr(equals + 1);
    const auto size = number(value, 10);
    if (key == "path" && !long_name_ && value.size() > kNameBytes) {
      member_.name = value;
      long_name_ = true;
    } else if (key == "size" && !long_size_ && size && *size > kSmallSizeMax) {
      member_.size_bytes = *size;
      long_size_ = true;
    } else {
      return wrong("an extended head says what none of ours does");
    }
  }
  state_ = State::kHead;
  return Status::success();
}

Status TarReader::after_head() {
  if (Status status = sink_.begin(member_); !status.ok()) return status;
  left_ = member_.size_bytes;
  padding_ = tar_padding(member_.size_bytes);
  state_ = State::kContent;
  return left_ == 0 ? after_content() : Status::success();
}

Status TarReader::after_content() {
  state_ = padding_ == 0 ? State::kHead : State::kPadding;
  return sink_.end();
}

}  // namespace overwinter::formats
