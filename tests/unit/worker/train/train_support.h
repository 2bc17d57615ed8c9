// What several tests of worker/train build: specifications, data, trainers on several ranks.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "worker/collective/single_collective.h"
#include "worker/collective/thread_collective.h"
#include "worker/memory/host_resource.h"
#include "worker/train/trainer.h"

namespace overwinter::worker {

// Text of a few thousand bytes that is neither constant nor noise.
inline std::string some_text(std::size_t bytes = 6000) {
  std::string text;
  std::uint64_t state = 7;
  const char* words[] = {"winter ", "is ", "over ", "the ", "snow ", "melts ", "and ", "birds\n"};
  while (text.size() < bytes) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    text += words[state >> 61];
  }
  text.resize(bytes);
  return text;
}

inline ByteSpan bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline v1::TrainSpec gpt_spec(std::uint32_t layers = 2, std::uint32_t heads = 2,
                              std::uint32_t width = 16, std::uint32_t context = 8) {
  v1::TrainSpec spec;
  v1::GptSpec& gpt = *spec.mutable_model()->mutable_gpt();
  gpt.set_layers(layers);
  gpt.set_heads(heads);
  gpt.set_width(width);
  gpt.set_context(context);
  spec.mutable_optimizer()->mutable_adamw()->set_learning_rate(1e-2);
  spec.set_batch_size(12);
  spec.set_steps(30);
  spec.set_seed(5);
  return spec;
}

inline std::unique_ptr<DataSource> text_data(const std::string& text, const v1::TrainSpec& spec,
                                             double validation = 0.1) {
  auto data =
      make_text_source({bytes_of(text)}, spec.model().gpt().context(), validation, spec.seed());
  EXPECT_TRUE(data.has_value());
  return std::move(*data);
}

inline HostResource& host() {
  static HostResource resource;
  return resource;
}

inline std::unique_ptr<Trainer> trainer_of(const v1::TrainSpec& spec, const DataSource& data,
                                           Collective& collective, std::uint32_t threads = 1) {
  auto trainer = Trainer::make(spec, data, collective, host(), threads);
  if (!trainer) ADD_FAILURE() << trainer.error().message;
  return trainer ? std::move(*trainer) : nullptr;
}

// Runs `work` for each rank on a thread of its own.
inline void on_ranks(std::size_t ranks, const std::function<void(std::size_t, Collective&)>& work) {
  ThreadGroup group(ranks);
  std::vector<std::unique_ptr<Collective>> ends;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks; ++r) ends.push_back(group.end_of(r));
  for (std::size_t r = 0; r < ranks; ++r) threads.emplace_back([&, r] { work(r, *ends[r]); });
  for (std::thread& thread : threads) thread.join();
}

inline std::vector<double> losses(Trainer& trainer, std::uint64_t steps) {
  std::vector<double> all;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const auto report = trainer.step();
    if (!report) {
      ADD_FAILURE() << report.error().message;
      return all;
    }
    all.push_back(report->loss);
  }
  return all;
}

// A state that lives on its own, as one read from a checkpoint does.
struct KeptState {
  std::vector<std::vector<std::byte>> bytes;
  std::vector<TensorView> views;
};
inline KeptState keep(const std::vector<TensorView>& views) {
  KeptState kept;
  kept.views = views;
  for (TensorView& view : kept.views) {
    kept.bytes.emplace_back(view.bytes.begin(), view.bytes.end());
    view.bytes = kept.bytes.back();
  }
  return kept;
}
inline bool same_bits(const std::vector<TensorView>& a, const std::vector<TensorView>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].bytes.size() != b[i].bytes.size()) return false;
    if (std::memcmp(a[i].bytes.data(), b[i].bytes.data(), a[i].bytes.size()) != 0) return false;
  }
  return true;
}

}  // namespace overwinter::worker
