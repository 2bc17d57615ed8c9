#include "worker/train/data_source.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "common/formats/npy.h"
#include "tests/unit/worker/train/train_support.h"
#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

struct Window {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> next;
  explicit Window(std::size_t context) : tokens(context), next(context) {}
  SampleSlot slot() {
    SampleSlot s;
    s.tokens = tokens;
    s.classes = next;
    return s;
  }
};

TEST(SampleOrder, EachPassHasEachPlaceOnce) {
  for (const std::uint64_t count : {1U, 2U, 3U, 7U, 64U, 1000U}) {
    const SampleOrder order(count, 42);
    for (std::uint64_t pass = 0; pass < 4; ++pass) {
      std::set<std::uint64_t> seen;
      std::uint64_t in_order = 0;
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto place = order.place(pass * count + i);
        EXPECT_EQ(place.pass, pass);
        EXPECT_LT(place.index, count);
        seen.insert(place.index);
        in_order += place.index == i ? 1 : 0;
      }
      EXPECT_EQ(seen.size(), count);
      if (count >= 64) {
        EXPECT_LT(in_order, count / 8);
      }
    }
  }
  const SampleOrder sequential(7, std::nullopt);
  for (std::uint64_t i = 0; i < 21; ++i) EXPECT_EQ(sequential.place(i).index, i % 7);
  EXPECT_NE(SampleOrder(1000, 1).place(1000).index, SampleOrder(1000, 2).place(1000).index);
}

TEST(TextSource, WindowsFollowEachOtherAcrossFiles) {
  const std::string a = "abcdefgh";
  const std::string b;
  const std::string c = "ijklmnopqrstuvwxyz";
  const auto data =
      make_text_source({bytes_of(a), bytes_of(b), bytes_of(c)}, 5, 0.25, std::nullopt);
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ((*data)->facts().samples, 26U);
  EXPECT_EQ((*data)->training_samples(), 3U);    // of 20 bytes, each window and one more
  EXPECT_EQ((*data)->validation_samples(), 1U);  // of 6
  const std::string all = a + c;
  Window w(5);
  const auto expect_at = [&](std::size_t offset) {
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(w.tokens[i], all[offset + i]);
      EXPECT_EQ(w.next[i], all[offset + i + 1]);
    }
  };
  for (std::uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE((*data)->training_sample(i, w.slot()).ok());
    expect_at(5 * i);
  }
  ASSERT_TRUE((*data)->validation_sample(0, w.slot()).ok());
  expect_at(20);
  // Shuffled ones stay within the training part, whatever they draw.
  const auto shuffled = make_text_source({bytes_of(a), bytes_of(b), bytes_of(c)}, 5, 0.25, 1);
  for (std::uint64_t i = 0; i < 3000; ++i) {
    ASSERT_TRUE((*shuffled)->training_sample(i, w.slot()).ok());
    const auto offset = static_cast<std::size_t>(w.tokens[0] - 'a');
    ASSERT_LE(offset + 5, 19U);
    expect_at(offset);
  }
}

TEST(TextSource, TooShortIsSaid) {
  const std::string text = "abcdefghij";
  EXPECT_EQ(make_text_source({bytes_of(text)}, 10, 0, 1).error().field,
            "workload.train.model.gpt.context");
  EXPECT_TRUE(make_text_source({bytes_of(text)}, 9, 0, 1).has_value());
  EXPECT_EQ(make_text_source({bytes_of(text)}, 4, 0.3, 1).error().field,
            "workload.train.data.validation_fraction");
  EXPECT_EQ(make_text_source({bytes_of(text)}, 4, 1, 1).error().field,
            "workload.train.data.validation_fraction");
  EXPECT_FALSE(make_text_source({}, 4, 0, 1).has_value());
}

struct Row {
  std::vector<float> values, targets;
  std::vector<std::int32_t> classes;
  SampleSlot slot() {
    SampleSlot s;
    s.values = values;
    s.targets = targets;
    s.classes = classes;
    return s;
  }
};

TEST(CsvSource, ReadsNumbersAsPeopleWriteThem) {
  const std::string csv =
      "\xEF\xBB\xBF\"height, m\",target,\"a \"\"b\"\"\"\r\n1.5,0,-2e3\r\n \"2\", +1 ,.25\r\n";
  const auto refused = make_csv_source(bytes_of(csv), "target", 0, std::nullopt, host());
  // White space before a quote is text, and text is no number.
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message,
            "Line 3, column 1: a quote stands inside a field without quotes.");
  const std::string good =
      "\xEF\xBB\xBF\"height, m\",target,\"a \"\"b\"\"\"\r\n1.5,0,-2e3\r\n\"2\", +1 ,.25\r\n\r\n";
  const auto data = make_csv_source(bytes_of(good), "target", 0.5, std::nullopt, host());
  ASSERT_TRUE(data.has_value()) << data.error().message;
  const plan::DataFacts facts = (*data)->facts();
  EXPECT_EQ(facts.samples, 2U);
  EXPECT_EQ(facts.inputs, 2U);
  EXPECT_TRUE(facts.classes);
  EXPECT_EQ(facts.outputs, 2U);
  Row row{std::vector<float>(2), {}, {9}};
  ASSERT_TRUE((*data)->training_sample(0, row.slot()).ok());
  EXPECT_EQ(row.values, (std::vector<float>{1.5F, -2000}));
  EXPECT_EQ(row.classes[0], 0);
  ASSERT_TRUE((*data)->validation_sample(0, row.slot()).ok());
  EXPECT_EQ(row.values, (std::vector<float>{2, 0.25F}));
  EXPECT_EQ(row.classes[0], 1);
}

TEST(CsvSource, OneSentenceWithLineAndColumn) {
  const std::map<std::string, std::string> cases = {
      {"", "Line 1, column 1: the file is empty."},
      {"\n\n", "Line 1, column 1: the file is empty."},
      {"a,b\n", "Line 2, column 1: there are no rows under the names."},
      {"a,a\n1,2\n", "Line 1, column 2: a second column is named 'a'."},
      {"a,\n1,2\n", "Line 1, column 2: it has no name."},
      {"a,b\n1,2\n3\n",
       "Line 3, column 1: the row ends here; it has 1 fields, the first line names 2 columns."},
      {"a,b\n1,2,3\n", "Line 2, column 3: the row goes on; the first line names 2 columns."},
      {"a,b\n1,x\n", "Line 2, column 2: 'x' in 'b' is no number."},
      {"a,b\n1,2\n1,\n", "Line 3, column 2: nothing stands in 'b'."},
      {"a,b\n1,nan\n", "Line 2, column 2: 'nan' in 'b' is no number."},
      {"a,b\n1e99,1\n", "Line 2, column 1: '1e99' in 'a' is no number."},
      {"a,b\n1,0x10\n", "Line 2, column 2: '0x10' in 'b' is no number."},
      {"a,b\n\"1,2\n", "Line 2, column 1: a quote is not closed."},
      {"a,b\n\"1\"2,2\n", "Line 2, column 1: a field is followed by something other than a comma."},
      {"a,b\n1,2\n\n3,4\n",
       "Line 3, column 1: the row ends here; it has 1 fields, the first line names 2 columns."},
  };
  for (const auto& [csv, message] : cases) {
    const auto data = make_csv_source(bytes_of(csv), "b", 0, std::nullopt, host());
    ASSERT_FALSE(data.has_value()) << csv;
    EXPECT_EQ(data.error().message, message);
    EXPECT_EQ(data.error().field, "workload.train.data.csv.path");
  }
  const std::string good = "a,b\n1,2\n";
  EXPECT_EQ(make_csv_source(bytes_of(good), "c", 0, std::nullopt, host()).error().message,
            "No column is named 'c'.");
  const std::string reals = "a,b\n1,2\n1,2.5\n";
  EXPECT_FALSE((*make_csv_source(bytes_of(reals), "b", 0, std::nullopt, host()))->facts().classes);
}

template <class T>
std::string npy(formats::Dtype dtype, std::uint64_t rows, std::uint64_t columns, bool fortran,
                const std::vector<T>& values) {
  std::string file = formats::write_npy_header(dtype, rows, columns, fortran);
  file.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return file;
}

TEST(NpySource, ReadsEveryKindInBothOrders) {
  const std::string x = npy<double>(formats::Dtype::kFloat64, 3, 2, true, {1, 2, 3, 10, 20, 30});
  const std::string classes = npy<std::int64_t>(formats::Dtype::kInt64, 3, 1, false, {2, 0, 1});
  const auto data = make_npy_source(bytes_of(x), bytes_of(classes), 0, std::nullopt);
  ASSERT_TRUE(data.has_value()) << data.error().message;
  EXPECT_TRUE((*data)->facts().classes);
  EXPECT_EQ((*data)->facts().outputs, 3U);
  Row row{std::vector<float>(2), {}, {0}};
  ASSERT_TRUE((*data)->training_sample(1, row.slot()).ok());
  EXPECT_EQ(row.values, (std::vector<float>{2, 20}));
  EXPECT_EQ(row.classes[0], 0);
  const std::string halves = npy<std::uint16_t>(formats::Dtype::kFloat16, 3, 2, false,
                                                {0x3C00, 0xC100, 0x0001, 0x7BFF, 0x0000, 0x7C00});
  const auto values = make_npy_source(bytes_of(x), bytes_of(halves), 0.4, std::nullopt);
  ASSERT_TRUE(values.has_value());
  EXPECT_FALSE((*values)->facts().classes);
  EXPECT_EQ((*values)->training_samples(), 2U);
  Row reals{std::vector<float>(2), std::vector<float>(2), {}};
  ASSERT_TRUE((*values)->training_sample(0, reals.slot()).ok());
  EXPECT_EQ(reals.targets, (std::vector<float>{1, -2.5F}));
  ASSERT_TRUE((*values)->training_sample(1, reals.slot()).ok());
  EXPECT_EQ(reals.targets, (std::vector<float>{0x1.0p-24F, 65504}));
  const Status no_number = (*values)->validation_sample(0, reals.slot());
  EXPECT_EQ(no_number.message, "Row 2, column 1 of y (both from 0) is no finite number in fp32.");
  EXPECT_EQ(no_number.code, Code::kOutOfRange);
  EXPECT_EQ(no_number.field, "y");
}

TEST(NpySource, WithoutRowsOrColumnsThereIsNothingToLearn) {
  const std::string none = npy<float>(formats::Dtype::kFloat32, 0, 3, false, {});
  const std::string no_targets = npy<float>(formats::Dtype::kFloat32, 0, 1, false, {});
  const auto data = make_npy_source(bytes_of(none), bytes_of(no_targets), 0, std::nullopt);
  ASSERT_FALSE(data.has_value());
  EXPECT_EQ(data.error().message, "The data have no rows to train on.");
}

TEST(NpySource, WhatDoesNotFitIsSaid) {
  const std::string x = npy<float>(formats::Dtype::kFloat32, 2, 1, false, {1, 2});
  const std::string y = npy<float>(formats::Dtype::kFloat32, 3, 1, false, {1, 2, 3});
  const std::string negative = npy<std::int8_t>(formats::Dtype::kInt8, 2, 1, false, {1, -1});
  EXPECT_EQ(make_npy_source(bytes_of(x), bytes_of(y), 0, std::nullopt).error().field,
            "workload.train.data.npy.y");
  EXPECT_EQ(make_npy_source(bytes_of(x), bytes_of(negative), 0, std::nullopt).error().field,
            "workload.train.data.npy.y");
  EXPECT_EQ(make_npy_source(bytes_of("nonsense"), bytes_of(y), 0, std::nullopt).error().field,
            "workload.train.data.npy.x");
}

}  // namespace
}  // namespace overwinter::worker
