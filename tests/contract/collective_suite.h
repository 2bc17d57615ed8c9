// What every Collective keeps. A suite for tests/contract and for programs that run it under
// mpirun: each rank calls check_collective and gets the list of what did not hold.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "worker/collective/collective.h"
#include "worker/collective/gradient_buckets.h"

namespace overwinter::worker {

class CollectiveSuite {
 public:
  explicit CollectiveSuite(Collective& collective)
      : c_(collective), ranks_(collective.size()), rank_(collective.rank()) {}

  std::vector<std::string> run() {
    expect(rank_ < ranks_, "a rank lies below the size");
    for (const std::size_t n :
         {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{65537}, std::size_t{600000}})
      sums(n);
    same_bits();
    overlapping();
    broadcasts();
    buckets();
    expect(c_.barrier().ok(), "a barrier is passed");
    return std::move(wrong_);
  }

 private:
  void expect(bool holds, const std::string& what) {
    if (!holds) wrong_.push_back("rank " + std::to_string(rank_) + ": " + what);
  }

  // Whole numbers: their sum is exact in any order.
  static float value(std::size_t rank, std::size_t i) {
    return static_cast<float>((rank + 1) * (i % 1000 + 1));
  }
  float total(std::size_t i) const {
    float all = 0;
    for (std::size_t r = 0; r < ranks_; ++r) all += value(r, i);
    return all;
  }

  void sums(std::size_t n) {
    std::vector<float> floats(n);
    std::vector<double> doubles(n);
    for (std::size_t i = 0; i < n; ++i) floats[i] = value(rank_, i);
    for (std::size_t i = 0; i < n; ++i) doubles[i] = static_cast<double>(floats[i]) / 3;
    expect(c_.all_reduce_sum(std::span(floats)).ok(), "a sum of floats succeeds");
    expect(c_.all_reduce_sum(std::span(doubles)).ok(), "a sum of doubles succeeds");
    bool right = true;
    for (std::size_t i = 0; i < n; ++i) {
      const double third = static_cast<double>(total(i)) / 3;
      right = right && floats[i] == total(i) && std::abs(doubles[i] - third) <= 1e-12 * third;
    }
    expect(right, "a sum of " + std::to_string(n) + " is right");
  }

  // Numbers whose sum depends on the order: all ranks agree on the bits, twice.
  void same_bits() {
    const std::size_t n = 10007;
    std::vector<float> mine(n);
    for (std::size_t i = 0; i < n; ++i)
      mine[i] = std::sin(static_cast<float>(i * 37 + rank_ * 1009)) *
                std::pow(10.0F, static_cast<float>((i + rank_) % 7));
    std::vector<float> once = mine;
    std::vector<float> again = mine;
    expect(c_.all_reduce_sum(std::span(once)).ok(), "a sum succeeds");
    expect(c_.all_reduce_sum(std::span(again)).ok(), "a sum succeeds again");
    expect(std::memcmp(once.data(), again.data(), n * sizeof(float)) == 0,
           "the same inputs give the same bits");
    std::vector<float> roots = once;
    expect(c_.broadcast(std::as_writable_bytes(std::span(roots)), 0).ok(), "a broadcast succeeds");
    expect(std::memcmp(once.data(), roots.data(), n * sizeof(float)) == 0,
           "all ranks have the same bits");
  }

  void overlapping() {
    std::vector<std::vector<float>> parts;
    std::vector<std::unique_ptr<Collective::Pending>> pending;
    for (std::size_t p = 0; p < 5; ++p) {
      parts.emplace_back(1000 + p * 70000);
      for (std::size_t i = 0; i < parts[p].size(); ++i) parts[p][i] = value(rank_, i + p);
    }
    for (std::size_t p = 0; p < 5; ++p) {
      auto started = c_.start_all_reduce_sum(std::span(parts[p]));
      expect(started.has_value(), "a reduction begins");
      if (!started) return;
      pending.push_back(std::move(*started));
      c_.progress();
    }
    for (auto& one : pending) expect(one->wait().ok(), "a reduction ends");
    for (std::size_t p = 0; p < 5; ++p) {
      bool right = true;
      for (std::size_t i = 0; i < parts[p].size(); ++i)
        right = right && parts[p][i] == total(i + p);
      expect(right, "reduction " + std::to_string(p) + " of several is right");
    }
  }

  void broadcasts() {
    for (std::size_t root = 0; root < ranks_; ++root) {
      std::vector<std::byte> bytes(300001, static_cast<std::byte>(rank_ + 1));
      expect(c_.broadcast(bytes, root).ok(), "a broadcast succeeds");
      bool right = true;
      for (const std::byte b : bytes) right = right && b == static_cast<std::byte>(root + 1);
      expect(right, "all have the root's bytes");
    }
    std::vector<std::byte> none;
    expect(c_.broadcast(none, 0).ok(), "a broadcast of nothing succeeds");
    expect(c_.broadcast(none, ranks_).code == Code::kInvalidArgument, "an unknown root is refused");
  }

  void buckets() {
    for (const std::size_t bucket : {std::size_t{1000}, std::size_t{4096}, std::size_t{100000}}) {
      std::vector<float> gradient(10007);
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = value(rank_, i);
      GradientBuckets buckets(c_, std::span(gradient), bucket);
      bool ok = true;
      for (const std::size_t offset : {10000UL, 9000UL, 8999UL, 3000UL, 1UL})
        ok = ok && buckets.final_from(offset).ok();
      ok = ok && buckets.finish().ok();
      for (std::size_t i = 0; i < gradient.size(); ++i) ok = ok && gradient[i] == total(i);
      expect(ok, "buckets of " + std::to_string(bucket) + " make the whole sum");
    }
  }

  Collective& c_;
  const std::size_t ranks_;
  const std::size_t rank_;
  std::vector<std::string> wrong_;
};

}  // namespace overwinter::worker
