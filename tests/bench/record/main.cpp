// Records what a training asks of memory: record-training-trace FILE [steps=12]
//
// A small GPT (4 layers, width 256, 8 heads, context 256, batch 8 a rank) by two ranks that are
// threads of this process. Each does what a rank of a gang does: reads its specification, opens the
// data, makes its Trainer, steps and tells of each step, and rank 0 measures the validation loss
// and writes a checkpoint every fourth step. What is recorded: the memory of the Trainer
// (LoggingResource), aligned to 64, and the C++ heap of both threads (operator new and delete,
// which this program replaces), aligned to 16. Not recorded: malloc of C libraries.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <thread>

#include "overwinter/v1/job.pb.h"
#include "overwinter/v1/local.pb.h"
#include "worker/collective/thread_collective.h"
#include "worker/gang/tensor_files.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/logging_resource.h"
#include "worker/memory/memory_trace.h"
#include "worker/train/sample_order.h"
#include "worker/train/trainer.h"

namespace overwinter::bench {
namespace {

constexpr std::size_t kHeapAlignment = 16;
constexpr std::size_t kRanks = 2;
constexpr std::uint64_t kCheckpointEvery = 4;
constexpr std::size_t kTextBytes = std::size_t{1} << 20;

// Null while nothing is recorded.
worker::TraceRecorder* recorder = nullptr;
// A rank's thread, outside of the recorder, which asks for memory itself.
thread_local bool recorded = false;

void note(worker::MemoryMove::Kind kind, const void* memory, std::size_t bytes,
          std::size_t alignment) {
  if (!recorded || recorder == nullptr) return;
  recorded = false;
  recorder->note({kind, memory, bytes, alignment});
  recorded = true;
}

void* heap_allocate(std::size_t bytes) {
  void* const memory = std::malloc(std::max<std::size_t>(bytes, 1));
  if (memory == nullptr) std::abort();
  note(worker::MemoryMove::Kind::kAllocate, memory, std::max<std::size_t>(bytes, 1),
       kHeapAlignment);
  return memory;
}

void heap_free(void* memory) noexcept {
  if (memory == nullptr) return;
  note(worker::MemoryMove::Kind::kFree, memory, 0, kHeapAlignment);
  std::free(memory);
}

v1::TrainSpec small_gpt(std::uint64_t steps) {
  v1::TrainSpec train;
  v1::GptSpec& gpt = *train.mutable_model()->mutable_gpt();
  gpt.set_layers(4);
  gpt.set_width(256);
  gpt.set_heads(8);
  gpt.set_context(256);
  train.mutable_optimizer()->mutable_adamw()->set_learning_rate(1e-4);
  train.mutable_data()->set_validation_fraction(0.05);
  train.set_batch_size(8 * kRanks);
  train.set_steps(steps);
  train.set_seed(1);
  return train;
}

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "record-training-trace: %s\n", result.error().message.c_str());
  std::exit(1);
}

void must(const Status& status) {
  if (!status.ok()) must(Result<int>(fail(status)));
}

void tell(const worker::StepReport& report, std::optional<double> validation) {
  v1::LocalRequest request;
  v1::RankProgress& progress = *request.mutable_progress();
  progress.set_step(report.step);
  progress.set_phase("train");
  progress.set_loss(report.loss);
  if (validation) progress.set_validation_loss(*validation);
  (void)request.SerializeAsString();  // what would go to the daemon
}

void write_checkpoint(const worker::Trainer& trainer, const std::filesystem::path& folder) {
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for (const worker::TensorFile& file : worker::checkpoint_files(trainer.state()))
    must(worker::write_tensor_file(folder / file.name, file.tensors));
}

void train(const std::string& spec_bytes, const std::string& text, worker::Collective& collective,
           worker::MemoryResource& memory, const std::filesystem::path& folder) {
  v1::TrainSpec spec;
  if (!spec.ParseFromString(spec_bytes)) std::abort();
  const auto data = must(worker::make_text_source(
      {std::as_bytes(std::span(text.data(), text.size()))}, spec.model().gpt().context(),
      spec.data().validation_fraction(), worker::sample_seed(spec)));
  const auto trainer = must(worker::Trainer::make(spec, *data, collective, memory, 1));
  while (!trainer->finished()) {
    const worker::StepReport report = must(trainer->step());
    std::optional<double> validation;
    if (report.step % kCheckpointEvery == 0) {
      validation = must(trainer->validation_loss(16));
      if (collective.rank() == 0) write_checkpoint(*trainer, folder);
    }
    tell(report, validation);
  }
}

int run(const std::string& path, std::uint64_t steps) {
  std::string text;
  for (std::uint64_t state = 7; text.size() < kTextBytes;) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    text += std::to_string(state >> 52) + ' ';
  }
  const std::string spec = small_gpt(steps).SerializeAsString();
  const auto folder =
      std::filesystem::temp_directory_path() / ("ow-record-" + std::to_string(::getpid()));
  worker::HostResource host;
  static worker::TraceRecorder trace;
  worker::LoggingResource memory(host, [](const worker::MemoryMove& move) {
    note(move.kind, move.memory, move.bytes, move.alignment);
  });
  worker::ThreadGroup group(kRanks);
  std::vector<std::unique_ptr<worker::Collective>> ends;
  for (std::size_t rank = 0; rank < kRanks; ++rank) ends.push_back(group.end_of(rank));
  recorder = &trace;
  {
    std::vector<std::jthread> ranks;
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      ranks.emplace_back([&, rank] {
        recorded = true;
        train(spec, text, *ends[rank], memory, folder);
        recorded = false;
      });
    }
  }
  recorder = nullptr;
  std::filesystem::remove_all(folder);
  const worker::MemoryTrace made = trace.trace();
  std::ofstream file(path, std::ios::binary);
  file << worker::write_trace(made);
  file.close();
  std::printf("%zu moves of %u threads, at most %.1f MiB at once\n", made.events.size(),
              made.threads, static_cast<double>(made.peak_bytes()) / (1 << 20));
  return file ? 0 : 1;
}

}  // namespace
}  // namespace overwinter::bench

void* operator new(std::size_t bytes) {
  return overwinter::bench::heap_allocate(bytes);
}
void* operator new[](std::size_t bytes) {
  return overwinter::bench::heap_allocate(bytes);
}
void operator delete(void* memory) noexcept {
  overwinter::bench::heap_free(memory);
}
void operator delete[](void* memory) noexcept {
  overwinter::bench::heap_free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  overwinter::bench::heap_free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  overwinter::bench::heap_free(memory);
}

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    std::fprintf(stderr, "usage: record-training-trace FILE [STEPS]\n");
    return 2;
  }
  return overwinter::bench::run(arguments[1],
                                count == 3 ? std::strtoull(arguments[2], nullptr, 10) : 12);
}
