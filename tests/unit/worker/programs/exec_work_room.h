// A worker that runs a program of the user's, and the coordinator's side of it in memory.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/formats/archive.h"
#include "worker/programs/exec_work.h"

namespace overwinter::worker::test {

namespace fs = std::filesystem;

inline constexpr std::chrono::seconds kDeadline{60};
inline constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
inline constexpr std::uint64_t kSeatMemory = 256 * kMib;

inline std::string file_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The coordinator's side, kept in memory.
class Ports final : public JobFiles,
                    public CheckpointPort,
                    public JobLog,
                    public JobSecrets,
                    public JobOutputs,
                    public GangWorkObserver {
 public:
  // JobFiles
  Status fetch(const std::function<std::string()>&, const Digest&, const fs::path& folder,
               const std::string& name, std::stop_token) override {
    std::ofstream(folder / name, std::ios::binary) << archive;
    return Status::success();
  }
  // CheckpointPort
  Status send(const CheckpointAccess&, std::uint64_t, std::uint64_t,
              std::span<const CheckpointFile>, const fs::path&, std::stop_token) override {
    return Status::success();
  }
  Status commit(const CheckpointAccess&, const CheckpointManifest&, std::stop_token) override {
    return Status::success();
  }
  Status store(const CheckpointAccess&, const CheckpointManifest& manifest, const fs::path& folder,
               std::stop_token) override {
    std::map<std::string, std::string> files;
    for (const CheckpointFile& file : manifest.files) {
      files[file.name] = file_text(folder / file.name);
      EXPECT_EQ(files[file.name].size(), file.size_bytes);
    }
    const MutexLock lock(mutex_);
    stored_[manifest.step] = files;
    changed_.notify_all();
    return Status::success();
  }
  Result<RestoredCheckpoint> restore(const CheckpointAccess&, const fs::path& folder,
                                     std::stop_token) override {
    RestoredCheckpoint restored;
    restored.manifest.emplace();
    restored.manifest->step = 30;
    std::ofstream(folder / "state") << "30";
    return restored;
  }
  // JobLog
  void line(const Origin&, std::uint32_t rank, bool, std::string text) override {
    const MutexLock lock(mutex_);
    lines_[rank].push_back(text);
    changed_.notify_all();
  }
  void point(const Origin&, const std::string& metric, std::uint64_t step, double value) override {
    const MutexLock lock(mutex_);
    points_[metric][step] = value;
  }
  void flush(const SeatKey&, Duration) override {}
  // JobSecrets
  Result<std::map<std::string, std::string>> read(const SeatKey&,
                                                  const std::function<std::string()>&,
                                                  std::stop_token) override {
    return std::map<std::string, std::string>{{"TOKEN", "hush"}};
  }
  // JobOutputs
  Status put(const Order& order, std::stop_token) override {
    const MutexLock lock(mutex_);
    (order.kind == Kind::kOutputs ? outputs_ : workdir_) = file_text(order.archive);
    return Status::success();
  }
  // GangWorkObserver
  void preparing() override { ++said_before_; }
  void up(std::uint32_t rank) override {
    const MutexLock lock(mutex_);
    up_.insert(rank);
    changed_.notify_all();
  }
  void moved(std::uint32_t, std::uint64_t step) override {
    const MutexLock lock(mutex_);
    step_ = std::max(step_, step);
    changed_.notify_all();
  }
  void measured(std::uint32_t rank, const MemoryUse& use) override {
    const MutexLock lock(mutex_);
    peak_ = std::max(peak_, use.peak_bytes);
    used_[rank] = use.used_bytes;
    changed_.notify_all();
  }
  void unreachable(WorkerId, const std::string&) override {}
  void over(const GangSeatExited& how) override {
    const MutexLock lock(mutex_);
    EXPECT_FALSE(over_) << "told twice";
    over_ = how;
    changed_.notify_all();
  }
  [[nodiscard]] CheckpointAccess access() const override {
    return {SeatKey{JobId(1), 1, 1}, [] { return std::string("capability"); }};
  }

  GangSeatExited wait_over() {
    wait("its end", [&] { return over_.has_value(); });
    const MutexLock lock(mutex_);
    return over_.value_or(GangSeatExited{});
  }
  void wait_line(const std::string& text) {
    wait("the line " + text, [&] {
      return over_ || std::ranges::any_of(lines_, [&](const auto& of) {
               return std::ranges::count(of.second, text) > 0;
             });
    });
  }
  // What follows `word` in the first line of `rank` that begins with it.
  std::string wait_word(const std::string& word, std::uint32_t rank = 0) {
    std::string rest;
    wait("a line with " + word, [&] {
      for (const std::string& line : lines_[rank])
        if (rest.empty() && line.starts_with(word + " ")) rest = line.substr(word.size() + 1);
      return over_ || !rest.empty();
    });
    return rest;
  }
  void wait_peak(std::uint64_t bytes) {
    wait("a peak", [&] { return over_ || peak_ >= bytes; });
  }
  // Until a rank's seat holds so much, at least and at most.
  void wait_used(std::uint64_t least, std::uint64_t most, std::uint32_t rank = 0) {
    wait("a use of memory", [&] { return over_ || (used_[rank] >= least && used_[rank] <= most); });
  }
  std::uint64_t used(std::uint32_t rank = 0) {
    const MutexLock lock(mutex_);
    return used_[rank];
  }
  std::uint64_t peak() {
    const MutexLock lock(mutex_);
    return peak_;
  }
  void wait_stored() {
    wait("a checkpoint", [&] { return over_ || !stored_.empty(); });
  }
  std::string text(std::uint32_t rank = 0) {
    const MutexLock lock(mutex_);
    std::string all;
    for (const std::string& line : lines_[rank]) all += line + "\n";
    return all;
  }
  std::map<std::uint64_t, std::map<std::string, std::string>> stored() {
    const MutexLock lock(mutex_);
    return stored_;
  }
  std::map<std::uint64_t, double> points(const std::string& metric) {
    const MutexLock lock(mutex_);
    return points_[metric];
  }
  std::set<std::uint32_t> ranks_up() {
    const MutexLock lock(mutex_);
    return up_;
  }
  std::string workdir() {
    const MutexLock lock(mutex_);
    return workdir_;
  }
  std::string outputs() {
    const MutexLock lock(mutex_);
    return outputs_;
  }

  [[nodiscard]] int said_before() const { return said_before_; }  // lines while it was prepared

  std::string archive;

 private:
  template <class Holds>
  void wait(const std::string& what, Holds holds) {
    const auto until = std::chrono::steady_clock::now() + kDeadline;
    const MutexLock lock(mutex_);
    while (!holds())
      if (changed_.wait_until(mutex_, until) == std::cv_status::timeout) {
        ADD_FAILURE() << "waited in vain for " << what;
        return;
      }
  }

  Mutex mutex_;
  Condition changed_;
  std::map<std::uint64_t, std::map<std::string, std::string>> stored_;
  std::map<std::uint32_t, std::vector<std::string>> lines_;
  std::map<std::string, std::map<std::uint64_t, double>> points_;
  std::atomic<int> said_before_ = 0;
  std::set<std::uint32_t> up_;
  std::uint64_t step_ = 0;
  std::uint64_t peak_ = 0;
  std::map<std::uint32_t, std::uint64_t> used_;
  std::string outputs_;
  std::string workdir_;
  std::optional<GangSeatExited> over_;
};

class ExecWorkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (fs::temp_directory_path() / "exec-XXXXXX").string();
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    base_ = form;
    ASSERT_EQ(::chmod(base_.c_str(), 0711), 0);
    site_.places = {"test", base_ / "jobs", base_ / "run"};
    site_.kept = base_ / "kept";
    // The machine's, as its daemons have it: who had a folder of his own would take a uid that a
    // test beside this one has, and end its processes with his.
    site_.uids = ::geteuid() == 0 ? fs::path("/run/overwinter/uids") : base_ / "uids";
    site_.keeper = exec::default_keeper_program();
    site_.confinement = exec::can_confine({(base_ / "keys").string()});
    site_.memory_prefix = "overwinter-test-" + std::to_string(::getpid()) + "-";
    if (!site_.confinement.can()) GTEST_SKIP() << site_.confinement.why_not;
    spec_.mutable_exec();
  }
  void TearDown() override {
    work_.reset();
    std::error_code ignored;
    fs::remove_all(base_, ignored);
  }

  void bash(const std::string& script) { spec_.mutable_exec()->set_shell(script); }
  // A file of the workdir.
  void with_file(const std::string& name, const std::string& content) {
    const fs::path folder = base_ / "workdir";
    fs::create_directories(folder);
    std::ofstream(folder / name) << content;
    const auto listing = formats::list_folder(folder);
    ASSERT_TRUE(listing.has_value());
    ports_.archive.clear();
    ASSERT_TRUE(formats::write_archive(*listing, [&](std::span<const std::byte> bytes) {
                  ports_.archive.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                  return Status::success();
                }).ok());
    spec_.mutable_exec()->set_workdir("artifact://" + to_hex(Digest{}));
  }

  Status prepare(std::optional<std::uint64_t> from_step = std::nullopt) {
    ProgramWorkParts parts;
    parts.site = &site_;
    parts.worker = WorkerId(1);
    parts.address = "127.0.0.1";
    parts.files = &ports_;
    parts.checkpoints = &ports_;
    parts.log = &ports_;
    parts.secrets = &ports_;
    parts.outputs = &ports_;
    work_ = std::make_unique<ExecWork>(GangKey{JobId(1), 1}, parts, ports_);
    OfferSeat offer;
    offer.seat = {JobId(1), 1, 1};
    offer.job = "projects/demo/jobs/one";
    offer.spec = std::make_shared<const std::string>(spec_.SerializeAsString());
    offer.from_step = from_step;
    return work_->prepare(offer, {});
  }
  Status start(std::uint32_t devices = 1) { return start_on(std::vector<DeviceIndex>(devices, 0)); }
  // One seat on each.
  Status start_on(const std::vector<DeviceIndex>& devices) {
    LaunchGang order;
    std::vector<RankSeat> seats;
    for (std::uint32_t i = 0; i < devices.size(); ++i) {
      GangMember member;
      member.worker = WorkerId(1);
      member.host_id = "here";
      member.seat = {JobId(1), 1, i + 1};
      order.members.push_back(member);
      seats.push_back({i, devices[i], kSeatMemory, 1});
    }
    return work_->start(order, seats);
  }
  void run(std::uint32_t devices = 1) {
    const Status prepared = prepare();
    ASSERT_TRUE(prepared.ok()) << prepared.message;
    const Status started = start(devices);
    ASSERT_TRUE(started.ok()) << started.message;
  }

  fs::path base_;
  ProgramSite site_;
  Ports ports_;
  v1::JobSpec spec_;
  std::unique_ptr<ExecWork> work_;
};

}  // namespace overwinter::worker::test
