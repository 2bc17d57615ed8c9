// Trains as a specification says, within this process, and prints one line of JSON: losses, step
// time, validation loss, memory. For comparisons with other programs.
//
//   train_peer SPEC.json [threads=1] [ranks=1] [weights=FOLDER] [validate_every=0]
//
// SPEC.json is a TrainSpec; its data are paths. FOLDER has a file NAME.f32 for each tensor: raw
// little-endian floats. Ranks are threads of this process.
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "overwinter/v1/job.pb.h"
#include "worker/collective/thread_collective.h"
#include "worker/memory/host_resource.h"
#include "worker/memory/statistics_resource.h"
#include "worker/train/sample_order.h"
#include "worker/train/trainer.h"

namespace overwinter::worker {
namespace {

using Options = std::map<std::string, std::string>;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << "cannot read " << path << "\n";
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T value_or_exit(Result<T> result) {
  if (result) return std::move(*result);
  std::cerr << result.error().message << "\n";
  std::exit(1);
}

ByteSpan bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::unique_ptr<DataSource> open_data(const v1::TrainSpec& spec, std::vector<std::string>& files,
                                      MemoryResource& memory) {
  const v1::DataSpec& data = spec.data();
  const auto order = sample_seed(spec);
  if (data.has_npy()) {
    files = {read_file(data.npy().x()), read_file(data.npy().y())};
    return value_or_exit(
        make_npy_source(bytes_of(files[0]), bytes_of(files[1]), data.validation_fraction(), order));
  }
  if (data.has_csv()) {
    files = {read_file(data.csv().path())};
    return value_or_exit(make_csv_source(bytes_of(files[0]), data.csv().target(),
                                         data.validation_fraction(), order, memory));
  }
  std::vector<ByteSpan> texts;
  for (const std::string& path : data.text()) files.push_back(read_file(path));
  for (const std::string& file : files) texts.push_back(bytes_of(file));
  return value_or_exit(make_text_source(std::move(texts), spec.model().gpt().context(),
                                        data.validation_fraction(), order));
}

void load_weights(Trainer& trainer, const std::string& folder) {
  std::vector<std::string> files;
  std::vector<TensorView> views = trainer.model();
  for (TensorView& view : views) files.push_back(read_file(folder + "/" + view.name + ".f32"));
  for (std::size_t i = 0; i < views.size(); ++i) views[i].bytes = bytes_of(files[i]);
  if (const Status s = trainer.init_from(views); !s.ok()) {
    std::cerr << s.message << "\n";
    std::exit(1);
  }
}

struct Outcome {
  std::vector<double> losses;
  std::vector<double> milliseconds;
  std::vector<double> validation;
};

Outcome train(const v1::TrainSpec& spec, const DataSource& data, Collective& collective,
              MemoryResource& memory, Options& options) {
  const auto threads = static_cast<std::uint32_t>(std::stoul(options["threads"]));
  const std::uint64_t every = std::stoull(options["validate_every"]);
  auto trainer = value_or_exit(Trainer::make(spec, data, collective, memory, threads));
  if (!options["weights"].empty()) load_weights(*trainer, options["weights"]);
  Outcome outcome;
  while (!trainer->finished()) {
    const auto begin = std::chrono::steady_clock::now();
    const StepReport report = value_or_exit(trainer->step());
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    outcome.losses.push_back(report.loss);
    outcome.milliseconds.push_back(spent.count());
    if (trainer->finished() || (every > 0 && report.step % every == 0)) {
      if (const auto loss = value_or_exit(trainer->validation_loss(0)))
        outcome.validation.push_back(*loss);
    }
  }
  return outcome;
}

std::string list(const std::vector<double>& values) {
  std::ostringstream out;
  out.precision(8);
  for (std::size_t i = 0; i < values.size(); ++i) out << (i == 0 ? "" : ", ") << values[i];
  return "[" + out.str() + "]";
}

int run(const std::string& path, Options options) {
  v1::TrainSpec spec;
  const auto parsed = google::protobuf::util::JsonStringToMessage(read_file(path), &spec);
  if (!parsed.ok()) {
    std::cerr << parsed.ToString() << "\n";
    return 2;
  }
  HostResource host;
  StatisticsResource memory(host);
  std::vector<std::string> files;
  const auto data = open_data(spec, files, memory);
  const std::size_t ranks = std::stoull(options["ranks"]);
  ThreadGroup group(ranks);
  std::vector<std::unique_ptr<Collective>> ends;
  std::vector<Outcome> outcomes(ranks);
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks; ++r) ends.push_back(group.end_of(r));
  for (std::size_t r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] { outcomes[r] = train(spec, *data, *ends[r], memory, options); });
  for (std::thread& thread : threads) thread.join();
  std::vector<double> sorted = outcomes[0].milliseconds;
  std::ranges::sort(sorted);
  std::cout << "{\"losses\": " << list(outcomes[0].losses)
            << ", \"validation\": " << list(outcomes[0].validation)
            << ", \"step_ms\": " << sorted[sorted.size() / 2] << ", \"step_ms_min\": " << sorted[0]
            << ", \"peak_bytes\": " << memory.statistics().peak_bytes << "}\n";
  return 0;
}

}  // namespace
}  // namespace overwinter::worker

int main(int count, char** arguments) {
  overwinter::worker::Options options = {
      {"threads", "1"}, {"ranks", "1"}, {"weights", ""}, {"validate_every", "0"}};
  for (int i = 2; i < count; ++i) {
    const std::string option = arguments[i];
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos || !options.contains(option.substr(0, equals))) {
      std::cerr << "unknown option " << option << "\n";
      return 2;
    }
    options[option.substr(0, equals)] = option.substr(equals + 1);
  }
  if (count < 2) {
    std::cerr << "usage: train_peer SPEC.json [threads=N] [ranks=N] [weights=FOLDER]\n";
    return 2;
  }
  return overwinter::worker::run(arguments[1], options);
}
