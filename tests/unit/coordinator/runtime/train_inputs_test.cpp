#include "coordinator/runtime/train_inputs.h"

#include <gtest/gtest.h>

#include <cstring>

#include "common/formats/digest.h"
#include "common/formats/npy.h"
#include "tests/support/fault_files.h"

namespace overwinter::runtime {
namespace {

constexpr Time kStart = time_from_unix_ms(1'000'000);

class TrainInputsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = artifacts::BlobStore::open(files_, "/data", {});
    ASSERT_TRUE(store.has_value()) << store.error().message;
    blobs_ = std::move(*store);
    inputs_.emplace(*blobs_);
    spec_.set_project("demo");
    spec_.mutable_train();
  }

  static Digest digest(std::string_view content) {
    formats::BlobDigester digester;
    digester.update(std::as_bytes(std::span(content)));
    return digester.finish();
  }
  std::string stored(std::string_view content, const std::string& project = "demo") {
    const Digest name = digest(content);
    if (blobs_->has({project, name})) return "artifact://" + to_hex(name);
    auto upload = blobs_->begin_upload({project, name}, content.size(), kStart);
    EXPECT_TRUE(upload.has_value());
    for (std::size_t at = 0; upload && at < content.size(); at += kMiB)
      EXPECT_TRUE(
          (*upload)->write(std::as_bytes(std::span(content.substr(at, kMiB))), kStart).ok());
    EXPECT_TRUE(upload && (*upload)->finish().ok());
    return "artifact://" + to_hex(name);
  }
  template <class T>
  static std::string npy_of(formats::Dtype dtype, std::uint64_t columns,
                            const std::vector<T>& values) {
    std::string out = formats::write_npy_header(dtype, values.size() / columns, columns, false);
    const std::size_t begin = out.size();
    out.resize(begin + values.size() * sizeof(T));
    if (!values.empty()) std::memcpy(out.data() + begin, values.data(), values.size() * sizeof(T));
    return out;
  }
  Result<plan::TrainProblem> npy(std::string_view x, std::string_view y) {
    spec_.mutable_train()->mutable_data()->mutable_npy()->set_x(stored(x));
    spec_.mutable_train()->mutable_data()->mutable_npy()->set_y(stored(y));
    return inputs_->read(spec_);
  }

  test::FaultFiles files_;
  std::unique_ptr<artifacts::BlobStore> blobs_;
  std::optional<TrainInputs> inputs_;
  v1::JobSpec spec_;
};

TEST_F(TrainInputsTest, TextIsTheSumOfItsFilesInOrder) {
  const std::string a = stored("first text, ");
  const std::string b = stored("second");
  for (const std::string& uri : {b, a, b}) spec_.mutable_train()->mutable_data()->add_text(uri);
  spec_.mutable_train()->set_init_from(stored("weights"));
  const auto problem = inputs_->read(spec_);
  ASSERT_TRUE(problem.has_value()) << problem.error().message;
  EXPECT_TRUE(problem->data.text);
  EXPECT_EQ(problem->data.samples, 24u);
  EXPECT_EQ(problem->data_digests,
            (std::vector<std::string>{b.substr(11), a.substr(11), b.substr(11)}));
  EXPECT_EQ(problem->init_digest, spec_.train().init_from().substr(11));
  EXPECT_EQ(problem->input_bytes, 31u);
  spec_.mutable_train()->set_init_from("an-earlier-job@100");
  EXPECT_EQ(inputs_->read(spec_).error().field, "workload.train.init_from")
      << "the command makes a stored file of a checkpoint";
}

TEST_F(TrainInputsTest, WhatIsNotStoredInTheProjectIsNotFoundWithItsField) {
  spec_.mutable_train()->mutable_data()->add_text(stored("mine"));
  spec_.mutable_train()->mutable_data()->add_text(stored("of others", "another"));
  auto status = inputs_->read(spec_).error();
  EXPECT_EQ(status.code, Code::kNotFound);
  EXPECT_EQ(status.field, "workload.train.data.text[1]");
  EXPECT_NE(status.message.find("project demo"), std::string::npos) << status.message;
  spec_.mutable_train()->mutable_data()->mutable_text()->RemoveLast();
  EXPECT_TRUE(inputs_->read(spec_).has_value());
  spec_.mutable_train()->set_init_from("artifact://" + to_hex(digest("no weights")));
  EXPECT_EQ(inputs_->read(spec_).error().field, "workload.train.init_from");
  spec_.mutable_train()->set_init_from("");
  for (int i = 0; i < 63; ++i)
    spec_.mutable_train()->mutable_data()->add_text(spec_.train().data().text(0));
  status = inputs_->read(spec_).error();
  EXPECT_EQ(status.code, Code::kInvalidArgument) << "a capability names at most 64 files";
  EXPECT_NE(status.message.find("64 files"), std::string::npos) << status.message;
}

TEST_F(TrainInputsTest, WholeNumbersAreClassesUpToTheLargest) {
  const std::string x = npy_of<float>(formats::Dtype::kFloat32, 2, {1, 2, 3, 4, 5, 6});
  auto problem = npy(x, npy_of<std::int64_t>(formats::Dtype::kInt64, 1, {0, 6, 2}));
  ASSERT_TRUE(problem.has_value()) << problem.error().message;
  EXPECT_EQ(problem->data.samples, 3u);
  EXPECT_EQ(problem->data.inputs, 2u);
  EXPECT_EQ(problem->data.outputs, 7u);
  EXPECT_TRUE(problem->data.classes);
  EXPECT_EQ(problem->data.table_bytes, 0u) << "read in place";
  EXPECT_EQ(npy(x, npy_of<std::int8_t>(formats::Dtype::kInt8, 1, {0, 0, 1}))->data.outputs, 2u);
  // Several columns, and floating-point numbers, are values.
  problem = npy(x, npy_of<std::int32_t>(formats::Dtype::kInt32, 2, {1, 2, 3, 4, 5, 6}));
  EXPECT_FALSE(problem->data.classes);
  EXPECT_EQ(problem->data.outputs, 2u);
  EXPECT_FALSE(npy(x, npy_of<float>(formats::Dtype::kFloat32, 1, {0, 1, 2}))->data.classes);
}

// More than one piece is read, and what stands in the last one counts.
TEST_F(TrainInputsTest, ClassesOfAManyPiecedColumn) {
  std::vector<std::int32_t> classes(600'000, 3);
  classes.back() = 41;
  const std::vector<std::int8_t> rows(classes.size(), 1);
  const std::string x = npy_of(formats::Dtype::kInt8, 1, rows);
  EXPECT_EQ(npy(x, npy_of(formats::Dtype::kInt32, 1, classes))->data.outputs, 42u);
  classes.back() = -1;
  const auto wrong = npy(x, npy_of(formats::Dtype::kInt32, 1, classes));
  EXPECT_EQ(wrong.error().field, "workload.train.data.npy.y");
  EXPECT_NE(wrong.error().message.find("-1"), std::string::npos) << wrong.error().message;
}

TEST_F(TrainInputsTest, WhatAWorkerRefusesIsRefused) {
  const std::string x = npy_of<float>(formats::Dtype::kFloat32, 1, {1, 2, 3});
  const auto rows = npy(x, npy_of<float>(formats::Dtype::kFloat32, 1, {1, 2}));
  EXPECT_EQ(rows.error().field, "workload.train.data.npy.y");
  EXPECT_NE(rows.error().message.find("x has 3 rows and y has 2"), std::string::npos);
  EXPECT_EQ(npy("no matrix", x).error().field, "workload.train.data.npy.x");
  EXPECT_FALSE(npy(x, npy_of<std::int32_t>(formats::Dtype::kInt32, 1, {0, 1, 65536})).has_value());
}

TEST_F(TrainInputsTest, ATableIsReadOnceAndRememberedByItsContent) {
  v1::CsvData& csv = *spec_.mutable_train()->mutable_data()->mutable_csv();
  csv.set_path(stored("a,kind,b\n1,0,2\n3,2,4\n"));
  csv.set_target("kind");
  const auto first = inputs_->read(spec_);
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->data.samples, 2u);
  EXPECT_EQ(first->data.inputs, 2u);
  EXPECT_EQ(first->data.outputs, 3u);
  EXPECT_TRUE(first->data.classes);
  EXPECT_EQ(first->data.table_bytes, 24u);
  const auto again = inputs_->read(spec_);
  EXPECT_EQ(again->data.outputs, 3u);
  EXPECT_EQ(again->data_digests, first->data_digests);
  csv.set_target("b");
  EXPECT_EQ(inputs_->read(spec_)->data.outputs, 5u) << "another target is another question";
  csv.set_target("colour");
  EXPECT_EQ(inputs_->read(spec_).error().field, "workload.train.data.csv.target");
  // Known, but not in this project.
  csv.set_target("kind");
  spec_.set_project("another");
  EXPECT_EQ(inputs_->read(spec_).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace overwinter::runtime
