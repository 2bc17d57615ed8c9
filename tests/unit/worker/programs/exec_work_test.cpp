#include "worker/programs/exec_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "common/base/mutex.h"
#include "common/formats/archive.h"
#include "tests/support/fake_nvml.h"

namespace overwinter::worker {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr std::chrono::seconds kDeadline{60};
constexpr std::uint64_t kMib = std::uint64_t{1} << 20;
constexpr std::uint64_t kSeatMemory = 256 * kMib;

std::string file_text(const fs::path& path) {
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
  void moved(std::uint32_t, std::uint64_t step, std::uint64_t memory_peak_bytes) override {
    const MutexLock lock(mutex_);
    step_ = std::max(step_, step);
    peak_ = std::max(peak_, memory_peak_bytes);
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

TEST_F(ExecWorkTest, RunsInItsWorkdirAndTellsWhatItPrints) {
  with_file("hello.txt", "from the workdir");
  bash("cat hello.txt; echo; echo 'overwinter: step=7 loss=0.5'; echo error >&2");
  run();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kCompleted) << how.message;
  EXPECT_EQ(how.exit.step, 7U);
  EXPECT_THAT(ports_.text(), HasSubstr("from the workdir\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("error\n"));
  EXPECT_EQ(ports_.points("loss"), (std::map<std::uint64_t, double>{{7, 0.5}}));
  EXPECT_EQ(ports_.ranks_up(), std::set<std::uint32_t>{0});
}

TEST_F(ExecWorkTest, AWorkerThatRunsNoneRefusesByItself) {
  site_.confinement.why_not = "--no-exec";
  bash("true");
  EXPECT_EQ(prepare().message, "--no-exec");
}

TEST_F(ExecWorkTest, EachDeviceHasAProcessThatKnowsItsRank) {
  bash("echo rank $RANK of $WORLD_SIZE");
  run(3);
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(ports_.text(i), "rank " + std::to_string(i) + " of 3\n");
}

TEST_F(ExecWorkTest, TheFirstFailureIsNamedAndEndsTheOthers) {
  bash("if [ $RANK = 1 ]; then exit 5; fi; sleep 1000");
  run(2);
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_EQ(how.message, "the program ended with exit code 5");
  EXPECT_EQ(how.exit.exit_code, 5);
  EXPECT_EQ(how.exit.rank, 1U);
}

TEST_F(ExecWorkTest, WhatHadFailedBeforeItWasKilledIsNamed) {
  bash("if [ $RANK = 1 ]; then exit 5; fi; trap 'echo told' TERM; while true; do sleep 0.05; done");
  run(2);
  ports_.wait_line("told");
  work_->kill();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_EQ(how.exit.exit_code, 5);
  EXPECT_EQ(how.exit.rank, 1U);
}

TEST_F(ExecWorkTest, AMissingProgramIsSaid) {
  spec_.mutable_exec()->add_argv("no-such-program");
  run();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message, HasSubstr("no-such-program"));
}

TEST_F(ExecWorkTest, SecretsAndVariablesReachIt) {
  spec_.mutable_exec()->add_secrets("TOKEN");
  (*spec_.mutable_exec()->mutable_env())["COLOUR"] = "red";
  bash("echo $TOKEN $COLOUR $OVERWINTER_ATTEMPT");
  run();
  ports_.wait_over();
  EXPECT_EQ(ports_.text(), "hush red 1\n");
}

TEST_F(ExecWorkTest, SetupRunsOnceAndItsFailureIsKept) {
  with_file("given", "1");
  spec_.mutable_exec()->set_setup("echo made > made; echo ran >> " + (base_ / "x").string() +
                                  " || true; echo setting up");
  bash("cat made given");
  run();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_THAT(ports_.text(), HasSubstr("setup: setting up\n"));
  EXPECT_GE(ports_.said_before(), 1);
  EXPECT_THAT(ports_.text(), HasSubstr("made\n1"));
  const auto said = ports_.text();
  work_.reset();
  ASSERT_TRUE(prepare().ok());
  EXPECT_EQ(ports_.text(), said) << "not again";
  work_.reset();
  spec_.mutable_exec()->set_setup("echo no disk for it; exit 9");
  for (int i = 0; i < 2; ++i) {
    const Status failed = prepare();
    EXPECT_EQ(failed.code, Code::kFailedPrecondition);
    EXPECT_THAT(failed.message, HasSubstr("exit code 9: no disk for it"));
    work_.reset();
  }
}

TEST_F(ExecWorkTest, WholeCheckpointsAreCollectedAndTheLastOneAtItsEnd) {
  spec_.mutable_exec()->set_checkpoint_dir("ckpt");
  bash(
      "echo one > ckpt/state.tmp; mv ckpt/state.tmp ckpt/state; echo 'overwinter: step=10'\n"
      "while [ ! -e go ]; do if [ -e $OVERWINTER_STOP_FILE ]; then break; fi; sleep 0.05; done\n"
      "echo two > ckpt/state; echo 'overwinter: step=20'");
  run();
  ports_.wait_stored();
  EXPECT_EQ(ports_.stored().begin()->second.at("state"), "one\n");
  work_->wind_down();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kStopped) << how.message;
  EXPECT_EQ(ports_.stored().rbegin()->second.at("state"), "two\n");
  EXPECT_EQ(ports_.stored().rbegin()->first, 20U);
}

TEST_F(ExecWorkTest, GoesOnFromTheCheckpointThatWasRestored) {
  spec_.mutable_exec()->set_checkpoint_dir("ckpt");
  bash("echo from $(cat ckpt/state); echo new > ckpt/state");
  ASSERT_TRUE(prepare(30).ok());
  ASSERT_TRUE(start().ok());
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_EQ(ports_.text(), "from 30\n");
  ASSERT_EQ(ports_.stored().size(), 1U) << "what was restored is no news";
  EXPECT_EQ(ports_.stored().begin()->first, 31U) << "a count that goes on";
}

TEST_F(ExecWorkTest, OutputsLeaveWhenItHasSucceeded) {
  spec_.mutable_exec()->add_outputs("out");
  spec_.mutable_exec()->add_outputs("missing");
  bash("mkdir out; echo answer > out/a; ln -s /etc/passwd out/link");
  run();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_THAT(ports_.outputs(), HasSubstr("out/a"));
  EXPECT_THAT(ports_.outputs(), HasSubstr("answer\n"));
  EXPECT_THAT(ports_.outputs(), testing::Not(HasSubstr("root:")));
  EXPECT_THAT(ports_.text(), HasSubstr("no output missing was made"));
}

TEST_F(ExecWorkTest, TheFolderOfOneThatFailedIsKept) {
  with_file("given", "1");
  bash("echo half > result; exit 4");
  run();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kFailed);
  EXPECT_THAT(ports_.workdir(), HasSubstr("half\n"));
  EXPECT_THAT(ports_.workdir(), HasSubstr("given"));
}

TEST_F(ExecWorkTest, WhatIgnoresItsSignalIsKilledAfterTheGrace) {
  spec_.mutable_stop()->mutable_grace()->set_nanos(200'000'000);
  bash("trap '' TERM; echo up; while true; do sleep 0.05; done");
  run();
  ports_.wait_line("up");
  work_->wind_down();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kStopped);
}

TEST_F(ExecWorkTest, KilledItLeavesNothing) {
  bash("echo up; (setsid sleep 1000 &) ; sleep 1000");
  run();
  ports_.wait_line("up");
  work_->kill();
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kPeerLost);
  work_.reset();
  EXPECT_TRUE(fs::is_empty(base_ / "jobs" / "test"));
}

// A worker of a processor (device 0) and two GPUs (1 and 2), as far as its driver is concerned.
class GpuProgramTest : public ExecWorkTest {
 protected:
  void SetUp() override {
    ExecWorkTest::SetUp();
    if (IsSkipped()) return;
    fake_.emplace(base_);
    fake_->gpus = {{.uuid = "GPU-a", .used = 1024 * kMib},
                   {.uuid = "GPU-b", .number = 1, .bus = "00000000:02:00.0"}};
    fake_->save();
    gpus_.emplace(gpus::Gpus::find(test::FakeNvml::library()));
    ASSERT_EQ(gpus_->list().size(), 2U) << gpus_->why_none();
    fs::create_directory(base_ / "dev");
    ASSERT_EQ(::chmod((base_ / "dev").c_str(), 0755), 0);
    for (const char* name : {"nvidia0", "nvidia1", "nvidiactl"}) {
      write_node(name, name);
      ASSERT_EQ(::chmod(node(name).c_str(), 0666), 0);
    }
    site_.gpus = &*gpus_;
    site_.own_pid_numbers = true;
    look_at_nodes();
  }
  void look_at_nodes() {
    site_.devices = {ProgramDevice{}};
    for (const gpus::Gpu& gpu : gpus_->list())
      site_.devices.push_back({gpu.uuid, "H100",
                               gpus::nodes_of(gpu, site_.confinement.own_uid, base_ / "dev"),
                               512 * kMib});
  }
  std::string node(const std::string& name) { return (base_ / "dev" / name).string(); }
  void write_node(const std::string& name, const std::string& text) {
    std::ofstream(node(name)) << text;
  }
  void run_on(const std::vector<DeviceIndex>& devices) {
    const Status prepared = prepare();
    ASSERT_TRUE(prepared.ok()) << prepared.message;
    const Status started = start_on(devices);
    ASSERT_TRUE(started.ok()) << started.message;
  }

  std::optional<test::FakeNvml> fake_;
  std::optional<gpus::Gpus> gpus_;
};

TEST_F(GpuProgramTest, EachProcessIsToldOfAllOfTheJobsInTheOrderOfItsRanks) {
  bash("echo \"$CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER\"");
  run_on({2, 1});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  for (const std::uint32_t rank : {0U, 1U})
    EXPECT_EQ(ports_.text(rank), "GPU-b,GPU-a PCI_BUS_ID\n");
}

TEST_F(GpuProgramTest, WhatTheJobFileSaysOfThemDoesNotCount) {
  (*spec_.mutable_exec()->mutable_env())["CUDA_VISIBLE_DEVICES"] = "GPU-b";
  bash("echo $CUDA_VISIBLE_DEVICES");
  run_on({1});
  ports_.wait_over();
  EXPECT_EQ(ports_.text(), "GPU-a\n");
}

TEST_F(GpuProgramTest, OnAProcessorItSeesNoneAndOpensNone) {
  bash("echo \"[$CUDA_VISIBLE_DEVICES]\"; cat " + node("nvidia0") + " " + node("nvidiactl") +
       " || echo closed");
  run_on({0});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
  EXPECT_THAT(ports_.text(), HasSubstr("[]\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("closed\n"));
  EXPECT_THAT(ports_.text(), testing::Not(HasSubstr("nvidia0\nn")));
}

TEST_F(GpuProgramTest, ItOpensItsOwnAndNoOther) {
  bash("cat " + node("nvidia0") + "; echo; cat " + node("nvidiactl") + "; echo; echo mine > " +
       node("nvidia0") + "; cat " + node("nvidia1") + " || echo closed");
  run_on({1});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << ports_.text();
  EXPECT_THAT(ports_.text(), HasSubstr("nvidia0\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("nvidiactl\n"));
  EXPECT_THAT(ports_.text(), HasSubstr("closed\n"));
  EXPECT_EQ(file_text(node("nvidia0")), "mine\n");
}

TEST_F(GpuProgramTest, AGroupOfTheNodesIsItsToo) {
  if (!site_.confinement.own_uid) GTEST_SKIP() << "programs run as this user";
  for (const char* name : {"nvidia0", "nvidiactl"}) {
    ASSERT_EQ(::chmod(node(name).c_str(), 0660), 0);
    ASSERT_EQ(::chown(node(name).c_str(), 0, 44), 0);
  }
  look_at_nodes();
  bash("cat " + node("nvidia0"));
  run_on({1});
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << ports_.text();
}

TEST_F(GpuProgramTest, OneWhoseProcessesUseMoreThanItsSeatIsEndedWithTheNumbers) {
  bash("if [ $RANK = 1 ]; then sleep 1000 & echo pid $!; wait; fi; sleep 1000");
  run_on({1, 2});
  const pid_t pid = std::stoi(ports_.wait_word("pid", 1));
  // Of another's, on the same GPU, and of its own on the other, within its seat.
  fake_->processes = {{"GPU-b", 1, 9000 * kMib}, {"GPU-a", pid, 200 * kMib}};
  fake_->processes.push_back({"GPU-b", pid, 300 * kMib});
  fake_->save();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message,
              HasSubstr("ended for its memory on the H100 GPU-b: 300.0 MiB of 256.0 MiB"));
  EXPECT_THAT(how.message, HasSubstr("by what its driver says of the program's processes"));
  EXPECT_EQ(how.exit.rank, 1U);
  EXPECT_EQ(ports_.peak(), 300 * kMib);
  EXPECT_NE(::kill(pid, 0), 0) << "a process of it lives on";
}

TEST_F(GpuProgramTest, WhereTheDriverNamesNoProcessTheWholeGpuCounts) {
  site_.own_pid_numbers = false;
  bash("echo up; sleep 1000");
  run_on({1});
  ports_.wait_line("up");
  fake_->gpus[0].used += 257 * kMib;
  fake_->save();
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message, HasSubstr("257.0 MiB of 256.0 MiB allowed"));
  EXPECT_THAT(how.message, HasSubstr("by what all of it uses more than before the program"));
}

TEST_F(GpuProgramTest, WhatItUsedAtMostIsItsPeak) {
  bash("echo pid $$; while [ \"$(cat " + node("nvidia0") +
       ")\" != go ]; do echo at it; sleep 0.05; done");
  run_on({1});
  const pid_t pid = std::stoi(ports_.wait_word("pid"));
  fake_->processes = {{"GPU-a", pid, kSeatMemory}};
  fake_->save();
  ports_.wait_peak(kSeatMemory);
  fake_->processes[0].used = 1;
  fake_->save();
  write_node("nvidia0", "go");
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted) << "all of its seat is its own";
  EXPECT_EQ(ports_.peak(), kSeatMemory);
}

TEST_F(GpuProgramTest, ADriverThatFailsMeanwhileEndsNothing) {
  bash("echo up; while [ \"$(cat " + node("nvidia0") + ")\" != go ]; do sleep 0.05; done");
  run_on({1});
  ports_.wait_line("up");
  fake_->lost["GPU-a"] = 15;
  fake_->save();
  write_node("nvidia0", "go");
  EXPECT_EQ(ports_.wait_over().outcome, GangOutcome::kCompleted);
}

TEST_F(GpuProgramTest, TheMachinesMemoryBesideItIsLimitedToo) {
  site_.devices[1].host_memory_bytes = 64 * kMib;
  bash("head -c 200M /dev/zero | tail -c 150M > /dev/null; sleep 1000");
  run_on({1});
  const GangSeatExited how = ports_.wait_over();
  EXPECT_EQ(how.outcome, GangOutcome::kFailed);
  EXPECT_THAT(how.message, HasSubstr("of 64.0 MiB allowed"));
}

}  // namespace
}  // namespace overwinter::worker
