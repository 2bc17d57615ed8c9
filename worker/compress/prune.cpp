#include "worker/compress/prune.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "worker/compress/compress_kernels.h"
#include "worker/compress/shares.h"

namespace overwinter::worker {
namespace {

// The 31 bits of a magnitude are looked at in three parts, as a radix sort would: how many values
// have which upper part says which upper part the threshold has, and so on.
struct Digit {
  unsigned shift;
  unsigned bits;
  [[nodiscard]] std::size_t values() const { return std::size_t{1} << bits; }
};
constexpr std::array<Digit, 3> kDigits{{{20, 11}, {10, 10}, {0, 10}}};
// A count is not written and read again at once where neighbours are equal: four tables in turn.
constexpr std::size_t kTables = 4;

struct Share {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::vector<std::size_t> counts;  // by the value of the digit in work
};

std::uint32_t size_bits_of(float x) {
  return std::bit_cast<std::uint32_t>(x) & 0x7fffffffU;
}

// What of the share has the bits above the digit that `prefix` has, by the digit.
void count_digits(std::span<const float> x, Digit digit, std::uint32_t prefix, Share& share) {
  const std::size_t size = digit.values();
  std::vector<std::size_t> tables(size * kTables, 0);
  const auto mask = static_cast<std::uint32_t>(size - 1);
  const unsigned above = digit.shift + digit.bits;
  if (above == 31) {  // all of them
    for (std::size_t i = share.begin; i < share.end; ++i)
      ++tables[i % kTables * size + (size_bits_of(x[i]) >> digit.shift)];
  } else {
    for (std::size_t i = share.begin; i < share.end; ++i) {
      const std::uint32_t bits = size_bits_of(x[i]);
      if (bits >> above == prefix) ++tables[i % kTables * size + (bits >> digit.shift & mask)];
    }
  }
  share.counts.assign(size, 0);
  for (std::size_t i = 0; i < tables.size(); ++i) share.counts[i % size] += tables[i];
}

class MagnitudePruning {
 public:
  MagnitudePruning(ThreadTeam& team, const Tensor<const float>& from, std::span<float> to)
      : team_(team), from_(from), to_(to), shares_(team.size()) {}

  Status run(std::size_t zeros) {
    std::size_t left = zeros;  // of what has the prefix
    for (const Digit& digit : kDigits) {
      count(digit);
      if (digit.shift == kDigits[0].shift && at_least(kInfinityBits >> digit.shift)) {
        return refuse_from(from_, kInfinityBits, "fp32");
      }
      if (zeros == 0) break;  // looked at alone
      prefix_ = prefix_ << digit.bits | digit_of(left);
    }
    write(zeros == 0 ? 0 : left);
    return Status::success();
  }

 private:
  void count(Digit digit) {
    for_each_share(team_, from_.values.size(), kShareStep,
                   [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
                     Share& share = shares_[thread];
                     share.begin = begin;
                     share.end = end;
                     count_digits(from_.values, digit, prefix_, share);
                   });
    totals_.assign(digit.values(), 0);
    for (const Share& share : shares_) {
      for (std::size_t i = 0; i < share.counts.size(); ++i) totals_[i] += share.counts[i];
    }
  }

  [[nodiscard]] bool at_least(std::uint32_t digit) const {
    return std::any_of(totals_.begin() + digit, totals_.end(),
                       [](std::size_t count) { return count != 0; });
  }

  // The digit of the last of the `left` smallest; of these, `left` then counts those with it.
  std::uint32_t digit_of(std::size_t& left) const {
    std::uint32_t digit = 0;
    for (; left > totals_[digit]; ++digit) left -= totals_[digit];
    return digit;
  }

  // prefix_ is the threshold now, and counts are of the values that are equal to it, by their lower
  // bits: the first `equals` of those go too.
  void write(std::size_t equals) {
    const std::size_t last = prefix_ & (kDigits.back().values() - 1);
    std::vector<std::size_t> go(shares_.size(), 0);
    for (std::size_t i = 0; i < shares_.size() && equals != 0; ++i) {
      const Share& share = shares_[i];
      if (share.begin == share.end) continue;
      go[i] = std::min(equals, share.counts[last]);
      equals -= go[i];
    }
    const CompressKernels& kernels = compress_kernels(best_kernel_level());
    for_each_share(team_, from_.values.size(), kShareStep,
                   [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
                     const std::size_t middle = after_equals(begin, end, thread, go[thread], last);
                     const float* x = from_.values.data();
                     kernels.prune_below(x + begin, middle - begin, prefix_ + 1,
                                         to_.data() + begin);
                     kernels.prune_below(x + middle, end - middle, prefix_, to_.data() + middle);
                   });
  }

  // Behind the last of so many equals of a share.
  [[nodiscard]] std::size_t after_equals(std::size_t begin, std::size_t end, std::uint32_t thread,
                                         std::size_t equals, std::size_t last) const {
    if (equals == 0) return begin;
    if (equals == shares_[thread].counts[last]) return end;
    for (; equals != 0; ++begin) {
      if (size_bits_of(from_.values[begin]) == prefix_) --equals;
    }
    return begin;
  }

  ThreadTeam& team_;
  const Tensor<const float>& from_;
  const std::span<float> to_;
  std::vector<Share> shares_;
  std::vector<std::size_t> totals_;
  std::uint32_t prefix_ = 0;
};

Status check_sizes(const Tensor<const float>& from, std::span<float> to) {
  if (Status good = check_shape(from.name, from.shape, from.values.size()); !good.ok()) return good;
  return check_room(from.name, "values", to.size(), from.values.size());
}

}  // namespace

Result<std::size_t> prune_magnitude(ThreadTeam& team, const Tensor<const float>& from,
                                    double fraction, std::span<float> to) {
  if (!(fraction >= 0 && fraction <= 1)) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("{} of the values cannot be pruned; it is a fraction from 0 to 1", fraction),
        std::string(from.name));
  }
  if (Status good = check_sizes(from, to); !good.ok()) return fail(std::move(good));
  const auto zeros =
      std::min(from.values.size(), static_cast<std::size_t>(std::floor(
                                       fraction * static_cast<double>(from.values.size()) + 0.5)));
  Status done = MagnitudePruning(team, from, to).run(zeros);
  if (!done.ok()) return fail(std::move(done));
  return zeros;
}

Status prune_2_of_4(ThreadTeam& team, const Tensor<const float>& from, std::span<float> to) {
  if (Status good = check_sizes(from, to); !good.ok()) return good;
  if (from.shape.empty() || from.shape.back() % 4 != 0) {
    return error(Code::kInvalidArgument,
                 fmt::format("the tensor {} has rows of {} values; 2:4 needs a multiple of 4",
                             from.name, from.shape.empty() ? 1 : from.shape.back()),
                 std::string(from.name));
  }
  const CompressKernels& kernels = compress_kernels(best_kernel_level());
  std::vector<std::uint32_t> largest(team.size(), 0);
  for_each_share(team, from.values.size(), kShareStep,
                 [&](std::uint32_t thread, std::size_t begin, std::size_t end) {
                   std::uint32_t most = 0;
                   for (; begin < end; begin += kChunk) {
                     const std::size_t size = std::min(kChunk, end - begin);
                     const float* x = from.values.data() + begin;
                     most = std::max(most, kernels.largest(x, size));
                     if (most >= kInfinityBits) break;  // in place it would be gone
                     kernels.prune_fours(x, size, to.data() + begin);
                   }
                   largest[thread] = most;
                 });
  if (*std::ranges::max_element(largest) < kInfinityBits) return Status::success();
  return refuse_from(from, kInfinityBits, "fp32");
}

}  // namespace overwinter::worker
