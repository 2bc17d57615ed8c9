// Every job file in deploy/examples is read, whole and by this room alone.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "common/spec/spec.h"

namespace overwinter::spec {
namespace {

namespace fs = std::filesystem;

const SpecOptions kAll{.release = {.train = true, .exec = true, .mpi = true}};

fs::path examples() {
  // From this file's own place.
  const std::string here = __FILE__;
  return fs::path(here.substr(0, here.rfind("tests/unit/"))) / "deploy" / "examples";
}

TEST(ParseExamples, AllAreRight) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(examples())) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".yaml" || name == "prices.yaml") continue;
    std::ifstream in(entry.path());
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    const auto parsed = parse_spec(text, name, kAll);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    v1::JobSpec spec = parsed->spec;
    const Status status = to_status(complete_and_validate(spec, "", kAll), *parsed);
    EXPECT_TRUE(status.ok()) << status.message;
    names.insert(name);
    if (!spec.has_exec()) continue;
    // The script that it runs is there.
    const std::string& shell = spec.exec().shell();
    const std::string script = spec.exec().argv_size() > 1
                                   ? spec.exec().argv(1)
                                   : shell.substr(8, shell.find(' ', 8) - 8);  // after "python3 "
    EXPECT_TRUE(fs::exists(examples() / script)) << name << ": " << script;
  }
  EXPECT_EQ(names,
            (std::set<std::string>{"csv-logistic.yaml", "exec-ddp.yaml", "licence-gpt.yaml",
                                   "matmul.yaml", "mlp.yaml", "mpi4py.yaml", "torch-save.yaml"}));
}

}  // namespace
}  // namespace overwinter::spec
