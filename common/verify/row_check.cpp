#include "common/verify/row_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace overwinter::verify {
namespace {

constexpr std::uint64_t kElementsMax = 32768;        // of C in work at a time
constexpr std::uint64_t kSliceElementsMax = 262144;  // of A, and of B
constexpr double kErrorsMax = 300;

// Products of T neither overflow nor lose digits that matter in Wide.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

enum Flag : std::uint8_t { kNan = 1, kPositiveInfinity = 2, kNegativeInfinity = 4 };

// What is known of one element of C.
template <class T>
struct Element {
  Wide<T> positive = 0;  // sums of products of either sign, both counted positive
  Wide<T> negative = 0;
  Wide<T> value = 0;
  double squares = 0;
  T rounded = 0;  // one term after the other
  std::uint8_t flags = 0;

  void add(T a, T b) {
    rounded += a * b;
    const Wide<T> product = static_cast<Wide<T>>(a) * static_cast<Wide<T>>(b);
    if (!std::isfinite(product)) {
      flags = static_cast<std::uint8_t>(
          flags |
          (std::isnan(product) ? kNan : (product > 0 ? kPositiveInfinity : kNegativeInfinity)));
      return;
    }
    value += product;
    (product > 0 ? positive : negative) += product > 0 ? product : -product;
    const auto narrow = static_cast<double>(product);
    squares += narrow * narrow;
  }
};

template <class T>
constexpr double roundoff() {
  return static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
}

// The row's error of plain summation, in units of sqrt(squares).
template <class T>
double row_error(std::span<const Element<T>> row) {
  double sum2 = 0;
  double count = 0;
  for (const Element<T>& e : row) {
    if (e.flags != 0 || !std::isfinite(e.rounded) || !(e.squares > 0)) continue;
    const auto error = static_cast<double>(static_cast<Wide<T>>(e.rounded) - e.value);
    const double relative2 = error * error / e.squares;
    if (!std::isfinite(relative2)) continue;
    sum2 += relative2;
    ++count;
  }
  return count > 0 ? std::sqrt(sum2 / count) : 0;
}

template <class T>
bool odd_is_right(T c, const Element<T>& e) {
  const Wide<T> limit = static_cast<Wide<T>>(std::numeric_limits<T>::max()) * Wide<T>(0.999);
  const bool up = (e.flags & kPositiveInfinity) != 0;
  const bool down = (e.flags & kNegativeInfinity) != 0;
  const bool may_go_up = up || e.positive >= limit;
  const bool may_go_down = down || e.negative >= limit;
  if ((e.flags & kNan) != 0 || (up && down)) return std::isnan(c);
  if (std::isnan(c)) return may_go_up && may_go_down;
  if (std::isinf(c)) return c > 0 ? may_go_up && !down : may_go_down && !up;
  return false;  // a finite value where an infinity took part
}

template <class T>
bool element_is_right(T c, const Element<T>& e, double error, const plan::MatmulGeometry& g,
                      double allowed) {
  if (e.flags != 0 || !std::isfinite(c)) return odd_is_right(c, e);
  const double u = roundoff<T>();
  const auto depth = static_cast<double>(g.k);
  const double size = std::abs(static_cast<double>(e.value));
  double tolerance = kErrorsMax * std::max(u, error) * std::sqrt(e.squares) + 4 * u * size;
  // Where plain summation itself overflowed, or squares did: the bound that holds for every order.
  if (!std::isfinite(e.rounded) || !std::isfinite(tolerance))
    tolerance = (depth + 2) * u * static_cast<double>(e.positive + e.negative);
  // Products below the smallest number may be lost, each by at most that number.
  tolerance += depth * lost_per_term(g.precision);
  const auto off = static_cast<double>(std::abs(static_cast<Wide<T>>(c) - e.value));
  return off <= tolerance + allowed;
}

// One chunk of rows and columns.
template <class T>
class Chunk {
 public:
  Chunk(std::span<const std::uint64_t> rows, std::uint64_t column_begin, std::uint64_t column_end,
        const plan::MatmulGeometry& geometry, const FactorSource<T>& source)
      : rows_(rows), begin_(column_begin), end_(column_end), g_(geometry), source_(source) {}

  Status multiply() {
    const std::uint64_t width = end_ - begin_;
    elements_.assign(rows_.size() * width, {});
    const std::uint64_t widest = std::max<std::uint64_t>(width, rows_.size());
    const std::uint64_t slice = std::clamp<std::uint64_t>(kSliceElementsMax / widest, 1, 4096);
    for (std::uint64_t from = 0; from < g_.k; from += slice) {
      const std::uint64_t to = std::min(g_.k, from + slice);
      b_.resize((to - from) * width);
      if (Status read = source_.read_b(from, to, begin_, end_, b_); !read.ok()) return read;
      if (Status read = read_a(from, to); !read.ok()) return read;
      for (std::size_t i = 0; i < rows_.size(); ++i)
        for (std::uint64_t l = 0; l < to - from; ++l)
          for (std::uint64_t c = 0; c < width; ++c)
            elements_[i * width + c].add(a_[i * (to - from) + l], b_[l * width + c]);
    }
    return Status::success();
  }

  [[nodiscard]] bool is_right(const plan::Tile& tile, std::span<const T> c, double allowed) const {
    const std::uint64_t width = end_ - begin_;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::span<const Element<T>> row(elements_.data() + i * width, width);
      const double error = row_error<T>(row);
      const T* c_row =
          c.data() + (rows_[i] - tile.row_begin) * tile.columns() + (begin_ - tile.column_begin);
      for (std::uint64_t j = 0; j < width; ++j)
        if (!element_is_right(c_row[j], row[j], error, g_, allowed)) return false;
    }
    return true;
  }

 private:
  Status read_a(std::uint64_t from, std::uint64_t to) {
    const std::uint64_t depth = to - from;
    a_.resize(rows_.size() * depth);
    for (std::size_t i = 0; i < rows_.size();) {
      std::size_t next = i + 1;
      while (next < rows_.size() && rows_[next] == rows_[next - 1] + 1) ++next;
      const std::span<T> out(a_.data() + i * depth, (next - i) * depth);
      if (Status read = source_.read_a(rows_[i], rows_[next - 1] + 1, from, to, out); !read.ok())
        return read;
      i = next;
    }
    return Status::success();
  }

  std::span<const std::uint64_t> rows_;
  std::uint64_t begin_;
  std::uint64_t end_;
  const plan::MatmulGeometry& g_;
  const FactorSource<T>& source_;
  std::vector<Element<T>> elements_;
  std::vector<T> a_;
  std::vector<T> b_;
};

}  // namespace

template <class T>
Result<bool> elements_are_right(const plan::MatmulGeometry& geometry, const plan::Tile& tile,
                                std::span<const T> c, std::span<const std::uint64_t> rows,
                                std::uint64_t column_begin, std::uint64_t column_end,
                                double allowed, const FactorSource<T>& source) {
  for (std::uint64_t begin = column_begin; begin < column_end; begin += kElementsMax) {
    const std::uint64_t end = std::min(column_end, begin + kElementsMax);
    const std::size_t rows_at_once = std::max<std::size_t>(1, kElementsMax / (end - begin));
    for (std::size_t i = 0; i < rows.size(); i += rows_at_once) {
      const std::size_t count = std::min(rows_at_once, rows.size() - i);
      Chunk<T> chunk(rows.subspan(i, count), begin, end, geometry, source);
      if (Status done = chunk.multiply(); !done.ok()) return fail(done);
      if (!chunk.is_right(tile, c, allowed)) return false;
    }
  }
  return true;
}

template Result<bool> elements_are_right<float>(const plan::MatmulGeometry&, const plan::Tile&,
                                                std::span<const float>,
                                                std::span<const std::uint64_t>, std::uint64_t,
                                                std::uint64_t, double, const FactorSource<float>&);
template Result<bool> elements_are_right<double>(const plan::MatmulGeometry&, const plan::Tile&,
                                                 std::span<const double>,
                                                 std::span<const std::uint64_t>, std::uint64_t,
                                                 std::uint64_t, double,
                                                 const FactorSource<double>&);

}  // namespace overwinter::verify
