#include "worker/exec/checkpoint_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/unit/worker/exec/tree_fixture.h"

namespace overwinter::worker::exec {
namespace {

namespace fs = std::filesystem;

class CheckpointFilesTest : public TreeTest {
 protected:
  void write(const std::string& path, const std::string& bytes) const {
    fs::create_directories((job_ / path).parent_path());
    std::ofstream(job_ / path, std::ios::binary) << bytes;
  }
  bool complete(const std::string& path) const {
    const auto file = open_inside(job_, path);
    return file && checkpoint_file_complete(*file, path);
  }
  // Runs Python here; what it left is what we look at.
  void python(const std::string& program) {
    const TreeEnd end =
        run(order("cat > x.py <<'END'\n" + program + "\nEND\n/usr/bin/python3 x.py", As::kSameUid));
    ASSERT_TRUE(end.processes[0].succeeded()) << recorder_.text();
  }
};

TEST_F(CheckpointFilesTest, ASafetensorsFileIsAsLongAsItsHeaderSays) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F32","shape":[1],"data_offsets": [8, 12]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  bytes += header + std::string(12, 'x');
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    write("m.safetensors", bytes.substr(0, length));
    EXPECT_FALSE(complete("m.safetensors")) << length;
  }
  write("m.safetensors", bytes);
  EXPECT_TRUE(complete("m.safetensors"));
  write("m.safetensors", bytes + "x");
  EXPECT_FALSE(complete("m.safetensors"));
  write("m.safetensors", std::string(8, '\xff') + "{}");
  EXPECT_FALSE(complete("m.safetensors"));
}

TEST_F(CheckpointFilesTest, AZipIsCompleteWithItsDirectory) {
  python(
      "import zipfile\n"
      "with zipfile.ZipFile('m.pt', 'w') as z:\n"
      "    z.writestr('archive/data.pkl', 'x' * 300)\n"
      "    z.writestr('archive/data/0', 'y' * 300)\n");
  ASSERT_TRUE(complete("m.pt"));
  std::ifstream file(job_ / "m.pt", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  for (std::size_t length = 4; length < bytes.size(); ++length) {
    write("m.pt", bytes.substr(0, length));
    EXPECT_FALSE(complete("m.pt")) << length;
  }
  write("old.pt", "\x80\x02pickle");
  EXPECT_TRUE(complete("old.pt"));
  write("empty.pt", "");
  EXPECT_FALSE(complete("empty.pt"));
}

TEST_F(CheckpointFilesTest, ARealProgramsRenameAndItsOpenFileAreSeen) {
  TreeOrder order = this->order(R"(cat > x.py <<'END'
import os
os.mkdir("ckpt"); print("made", flush=True)
input_ = os.open("go", os.O_RDONLY)
os.read(input_, 1)
with open("ckpt/a.tmp", "w") as f: f.write("x")
os.rename("ckpt/a.tmp", "ckpt/a")
f = open("ckpt/b", "w"); f.write("y"); f.flush()
print("written", flush=True)
os.read(input_, 1)
END
mkfifo go; /usr/bin/python3 x.py)",
                                As::kSameUid);
  auto tree = ProcessTree::start(order, recorder_);
  ASSERT_TRUE(tree.has_value());
  recorder_.wait_line("made");
  CheckpointFolder folder(job_, "ckpt");
  EXPECT_TRUE(folder.take({})->files.empty());
  const Descriptor go(::open((job_ / "go").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::write(go.get(), "1", 1), 1);
  recorder_.wait_line("written");
  const auto snapshot = folder.take(descendants_of((*tree)->keeper()));
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_THAT(snapshot->renamed, testing::ElementsAre("a"));
  ASSERT_EQ(snapshot->files.size(), 2U);
  EXPECT_FALSE(snapshot->files[0].open_for_writing);
  EXPECT_TRUE(snapshot->files[1].open_for_writing);
  (*tree)->kill();
  recorder_.wait_finished();
}

TEST_F(CheckpointFilesTest, NoLinkLeadsTheDaemonOutOfTheFolder) {
  std::ofstream(base_ / "secret") << "canary";
  fs::create_symlink(base_ / "secret", job_ / "link");
  fs::create_symlink(base_, job_ / "up");
  ASSERT_EQ(::mkfifo((job_ / "pipe").c_str(), 0600), 0);
  write("out/a/b", "1234");
  write("out/c", "12");
  fs::create_symlink("../../secret", job_ / "out/link");
  for (const char* path :
       {"link", "up/secret", "../secret", "pipe", "out/link", "/etc/passwd", "out"})
    EXPECT_FALSE(open_inside(job_, path).has_value()) << path;
  EXPECT_FALSE(list_inside(job_, "up").has_value());
  EXPECT_EQ(list_inside(job_, "no").error().code, Code::kNotFound);
  const auto files = list_inside(job_, "out");
  ASSERT_TRUE(files.has_value());
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "a/b");
  EXPECT_EQ((*files)[0].size_bytes, 4U);
}

TEST_F(CheckpointFilesTest, OutputsComeOnceAndWithinBounds) {
  write("out/a", "1234");
  write("out/b", "12");
  write("model.bin", "123");
  const auto all = collect_outputs(job_, {"out", "./model.bin", "out/a", "missing", "out/"}, 100);
  ASSERT_TRUE(all.has_value());
  std::vector<std::string> paths;
  for (const InsideFile& file : all->files) paths.push_back(file.path);
  EXPECT_THAT(paths, testing::ElementsAre("out/a", "out/b", "model.bin"));
  EXPECT_THAT(all->missing, testing::ElementsAre("missing"));
  EXPECT_EQ(all->bytes, 9U);
  EXPECT_EQ(collect_outputs(job_, {"out"}, 5).error().code, Code::kResourceExhausted);
  EXPECT_EQ(collect_outputs(job_, {"../other"}, 5).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace overwinter::worker::exec
