// A folder of a test's own in which Python programs run: the independent reader or writer of a
// file.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace overwinter::test {

// Removed at the end. `name` tells two suites apart.
class PythonFolder {
 public:
  explicit PythonFolder(const std::string& name)
      : path_(std::filesystem::path(testing::TempDir()) /
              ("ow_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~PythonFolder() { std::filesystem::remove_all(path_); }
  PythonFolder(const PythonFolder&) = delete;
  PythonFolder& operator=(const PythonFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  // Runs the program there; its standard output. The test fails when it does.
  std::string run(const std::string& program) const {
    std::ofstream(path_ / "program.py") << program;
    const std::string command = "cd " + path_.string() + " && /usr/bin/python3 program.py";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    EXPECT_NE(pipe, nullptr);
    std::string output;
    char piece[4096];
    while (const std::size_t got = std::fread(piece, 1, sizeof piece, pipe))
      output.append(piece, got);
    EXPECT_EQ(::pclose(pipe), 0) << program;
    return output;
  }

 private:
  const std::filesystem::path path_;
};

}  // namespace overwinter::test
