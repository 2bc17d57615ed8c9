#include "worker/exec/job_folder.h"

#include <fstream>

#include "tests/unit/worker/exec/tree_fixture.h"
#include "worker/exec/launch_environment.h"
#include "worker/exec/mount_view.h"
#include "worker/exec/progress_lines.h"
#include "worker/exec/setup_store.h"

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class JobFolderTest : public TreeTest {
 protected:
  static std::optional<uid_t> owner() {
    return root() ? std::optional<uid_t>(test_uid()) : std::nullopt;
  }
  // As a worker will: folder, grants, environment, command.
  TreeOrder job(const JobFolder& folder, const std::string& text, std::vector<Grant> grants,
                const Environment& user = {}) const {
    JobNames names{"projects/p/jobs/j",
                   1,
                   0,
                   (folder.work() / "ckpt").string(),
                   folder.stop_file().string(),
                   folder.home().string(),
                   folder.temporary().string(),
                   folder.module().string()};
    TreeOrder order;
    order.processes.push_back(
        {command_line(text, {}).value(),
         launch_environment(Launcher::kEnv, {{1}, 0, "127.0.0.1", 7820, "lo", 1, {}}, names, user,
                            0)});
    order.folder = folder.work().string();
    order.confinement.uid = owner();
    order.confinement.grants = std::move(grants);
    order.memory.name = "overwinter-test-" + std::to_string(::getpid());
    return order;
  }
};

TEST_F(JobFolderTest, AProgramReportsAsksAndIsTold) {
  const auto folder = make_job_folder(base_ / "jobs", "j-1", owner());
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  auto tree = ProcessTree::start(job(*folder, R"(/usr/bin/python3 -c '
import overwinter, os, select
print(overwinter.checkpoint_dir() == os.path.join(os.getcwd(), "ckpt"), os.path.isdir("ckpt"))
overwinter.report(step=3, loss=0.5, accuracy=1)
overwinter.report()
print("asking", overwinter.should_stop(), flush=True)
while not overwinter.should_stop(): select.select([], [], [], 0.01)
print("told", flush=True)
')",
                                     job_grants(*folder, {}, {}, {})),
                                 recorder_);
  ASSERT_TRUE(tree.has_value());
  recorder_.wait_line("asking False");
  ASSERT_TRUE(tell_to_stop(*folder).ok());
  const TreeEnd end = recorder_.wait_finished();
  EXPECT_TRUE(end.processes[0].succeeded()) << recorder_.text();
  EXPECT_THAT(recorder_.lines(),
              testing::ElementsAre("True True", testing::_, "asking False", "told"));
  const ProgressLine line = parse_progress(recorder_.lines()[1], {});
  EXPECT_EQ(line.step, 3U);
  EXPECT_EQ(line.loss, 0.5);
  EXPECT_EQ(line.metrics.size(), 1U);
}

TEST_F(JobFolderTest, TheModuleDoesNothingElsewhere) {
  const auto folder = make_job_folder(base_ / "jobs", "j-1", owner());
  const TreeEnd end = run(job(*folder,
                              "env -i PYTHONPATH=" + folder->module().string() +
                                  " /usr/bin/python3 -c 'import overwinter as o; "
                                  "o.report(step=1); print(o.checkpoint_dir(), "
                                  "o.should_stop(), o.in_job())'",
                              job_grants(*folder, {}, {}, {})));
  EXPECT_TRUE(end.processes[0].succeeded());
  EXPECT_THAT(recorder_.lines(), testing::ElementsAre("None False False"));
}

TEST_F(JobFolderTest, OwnFoldersAreItsOwnAndTheRestIsNot) {
  const auto folder = make_job_folder(base_ / "jobs", "j-1", owner());
  EXPECT_EQ(make_job_folder(base_ / "jobs", "j-1", owner()).error().code, Code::kAlreadyExists);
  EXPECT_FALSE(make_job_folder(base_ / "jobs", "../x", owner()).has_value());
  const TreeEnd end = run(job(*folder, R"(set +e
for path in "$PWD" "$HOME" "$TMPDIR"; do echo x > "$path/file" && echo "wrote"; done
echo x > ../stop || echo "no stop"; mv ../work ../gone || echo "no move"
echo x >> ../module/overwinter.py || echo "no module"; exit 0)",
                              job_grants(*folder, {}, {}, {})));
  EXPECT_TRUE(end.processes[0].succeeded());
  const std::string text = recorder_.text();
  EXPECT_THAT(text, HasSubstr("wrote\nwrote\nwrote\n"));
  for (const char* line : {"no stop", "no move", "no module"})
    EXPECT_THAT(recorder_.lines(), Contains(line));
  ASSERT_TRUE(retire_job_folder(*folder).ok());
  EXPECT_EQ(fs::status(folder->root).permissions(), fs::perms(0700));
}

TEST_F(JobFolderTest, MountsAreReadAndWrittenAsTheyWereAllowed) {
  for (const char* name : {"read", "write"}) {
    fs::create_directories(base_ / name);
    std::ofstream(base_ / name / "data") << "content\n";
    ::chmod((base_ / name).c_str(), 0777);
    ::chmod((base_ / name / "data").c_str(), 0666);
  }
  const auto folder = make_job_folder(base_ / "jobs", "j-1", owner());
  const auto mounts = resolve_mounts(
      {{base_.string(), ""}}, "p",
      {{"in/data", (base_ / "read").string()}, {"out", (base_ / "write").string() + ":rw"}}, false);
  ASSERT_TRUE(mounts.has_value());
  ASSERT_TRUE(link_mounts(*folder, *mounts, owner()).ok());
  EXPECT_EQ(link_mounts(*folder, *mounts, owner()).code, Code::kAlreadyExists);
  run(job(*folder, R"(set +e; cat in/data/data; echo x > in/data/new || echo refused
echo x > out/new && echo written; exit 0)",
          job_grants(*folder, *mounts, {}, {})));
  for (const char* line : {"content", "refused", "written"})
    EXPECT_THAT(recorder_.lines(), Contains(line));
  EXPECT_FALSE(fs::exists(base_ / "read/new"));
  EXPECT_TRUE(fs::exists(base_ / "write/new"));
}

TEST_F(JobFolderTest, AnAbsolutePathIsBoundForTheJobAlone) {
  if (!can_bind_mounts()) GTEST_SKIP() << "needs root outside of a container";
  fs::create_directories(base_ / "set/sub");
  std::ofstream(base_ / "set/sub/data") << "content\n";
  ::chmod((base_ / "set").c_str(), 0777);
  ::chmod((base_ / "set/sub").c_str(), 0755);
  fs::create_directories(base_ / "cover");
  const auto folder = make_job_folder(base_ / "jobs", "j-1", owner());
  const auto mounts =
      resolve_mounts({{base_.string(), ""}}, "p",
                     {{"/overwinter-test-data/in", (base_ / "set").string()},
                      {(base_ / "cover").string(), (base_ / "set").string() + ":rw"}},
                     true);
  ASSERT_TRUE(mounts.has_value()) << mounts.error().message;
  ASSERT_TRUE(link_mounts(*folder, *mounts, owner()).ok());
  TreeOrder order =
      job(*folder,
          "set +e; cat /overwinter-test-data/in/sub/data; "
          "echo x > /overwinter-test-data/in/new || echo refused; "
          "echo x > " +
              (base_ / "cover/file").string() +
              " && echo written; "
              "echo mine > own; ls / | grep -c usr; /usr/bin/python3 -c "
              "'import tempfile; tempfile.TemporaryFile(); print(\"python\")'; exit 0",
          job_grants(*folder, *mounts, {}, {}));
  order.mounts = *mounts;
  const TreeEnd end = run(order);
  EXPECT_TRUE(end.processes[0].succeeded()) << end.refused.message;
  for (const char* line : {"content", "refused", "written", "python"})
    EXPECT_THAT(recorder_.lines(), Contains(line)) << recorder_.text();
  EXPECT_TRUE(fs::exists(base_ / "set/file"));
  EXPECT_TRUE(fs::exists(folder->work() / "own"));
  EXPECT_FALSE(fs::exists("/overwinter-test-data"));
  EXPECT_TRUE(fs::is_empty(base_ / "cover"));
}

TEST_F(JobFolderTest, ACacheIsOneAttemptsAtATimeAndStays) {
  const fs::path caches = base_ / "caches";
  const auto first = make_job_folder(base_ / "jobs", "j-1", owner());
  {
    const auto cache = take_cache(caches, "p", "~/.cache/hub", *first, owner());
    ASSERT_TRUE(cache.has_value()) << cache.error().message;
    run(job(*first, "echo model > ~/.cache/hub/file", job_grants(*first, {}, {cache->folder}, {})));
    EXPECT_TRUE(fs::exists(cache->folder / "file")) << recorder_.text();
    const auto second = make_job_folder(base_ / "jobs", "j-2", owner());
    EXPECT_EQ(take_cache(caches, "p", "~/.cache/hub", *second, owner()).error().code,
              Code::kUnavailable);
    const auto other = take_cache(caches, "q", "~/.cache/hub", *second, owner());
    ASSERT_TRUE(other.has_value());
    EXPECT_NE(other->folder, cache->folder);
  }
  const auto third = make_job_folder(base_ / "jobs", "j-3", owner());
  const auto again = take_cache(caches, "p", "~/.cache/hub", *third, owner());
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(fs::exists(third->home() / ".cache/hub/file"));
  for (const char* path : {"", "..", "/etc", "~/../x", "~/"})
    EXPECT_EQ(take_cache(caches, "p", path, *third, owner()).error().code, Code::kInvalidArgument)
        << path;
}

TEST_F(JobFolderTest, UidsAreTakenOnce) {
  if (!root()) GTEST_SKIP() << "needs root";
  auto first = take_uid(base_ / "uids");
  const auto second = take_uid(base_ / "uids");
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_GE(first->uid, kJobUidFirst);
  EXPECT_NE(first->uid, second->uid);
  const uid_t uid = first->uid;
  first = fail(Code::kUnknown, "given back");
  EXPECT_EQ(take_uid(base_ / "uids")->uid, uid);
}

TEST_F(JobFolderTest, SetupRunsOnceAndWhatItMadeIsThereForTheJobs) {
  const Digest key = setup_key("p", "d", "make");
  EXPECT_NE(key, setup_key("q", "d", "make"));
  EXPECT_NE(setup_key("a", "bc", "d"), setup_key("ab", "c", "d"));
  {
    auto slot = SetupSlot::open(base_ / "setups", key);
    ASSERT_TRUE(slot.has_value()) << slot.error().message;
    EXPECT_EQ(slot->state(), SetupSlot::State::kToDo);
    EXPECT_EQ(SetupSlot::open(base_ / "setups", key).error().code, Code::kUnavailable);
    if (owner()) {
      ASSERT_TRUE(give_folder(slot->work(), *owner()).ok());
      ASSERT_TRUE(give_folder(slot->python(), *owner()).ok());
    }
    fs::create_directories(slot->work() / "pkg");
    if (owner()) {
      ASSERT_TRUE(give_folder(slot->work(), *owner()).ok());
    }
    const auto folder = make_job_folder(base_ / "jobs", "setup", owner());
    auto grants = job_grants(*folder, {}, {}, {});
    grants.push_back({slot->folder().string(), Access::kReadWrite});
    TreeOrder order = job(*folder, "mkdir venv; echo built > venv/x; echo ext > pkg/ext.so",
                          std::move(grants), slot->environment(true));
    order.folder = slot->work().string();
    ASSERT_TRUE(run(order).processes[0].succeeded()) << recorder_.text();
    ASSERT_TRUE(slot->finish().ok());
  }
  const auto slot = SetupSlot::open(base_ / "setups", key);
  ASSERT_TRUE(slot.has_value());
  EXPECT_EQ(slot->state(), SetupSlot::State::kReady);
  const auto folder = make_job_folder(base_ / "jobs", "j-1", owner());
  fs::create_directories(folder->work() / "pkg");
  if (owner()) {
    ASSERT_TRUE(give_folder(folder->work(), *owner()).ok());
  }
  ASSERT_TRUE(link_setup(slot->work(), folder->work()).ok());
  Recorder jobs_recorder;
  auto tree = ProcessTree::start(job(*folder,
                                     "set +e; cat venv/x pkg/ext.so; echo x > venv/y || echo kept; "
                                     "echo mine > pkg/mine; exit 0",
                                     job_grants(*folder, {}, {}, slot->folder())),
                                 jobs_recorder);
  ASSERT_TRUE(tree.has_value());
  jobs_recorder.wait_finished();
  for (const char* line : {"built", "ext", "kept"})
    EXPECT_THAT(jobs_recorder.lines(), Contains(line));
  EXPECT_TRUE(fs::exists(folder->work() / "pkg/mine"));
}

TEST_F(JobFolderTest, ASetupThatFailedIsNotTriedAgainAndOneThatBrokeOffIs) {
  const Digest key = setup_key("p", "d", "pip install nothing");
  {
    auto slot = SetupSlot::open(base_ / "setups", key);
    std::ofstream(slot->work() / "half") << "x";
  }
  {
    auto slot = SetupSlot::open(base_ / "setups", key);
    EXPECT_EQ(slot->state(), SetupSlot::State::kToDo);
    EXPECT_FALSE(fs::exists(slot->work() / "half"));
    ASSERT_TRUE(slot->fail_for_good("pip ended with 1: no such package").ok());
  }
  const auto slot = SetupSlot::open(base_ / "setups", key);
  EXPECT_EQ(slot->state(), SetupSlot::State::kFailed);
  EXPECT_EQ(slot->reason(), "pip ended with 1: no such package");
}

}  // namespace
}  // namespace overwinter::worker::exec
