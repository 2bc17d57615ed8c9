#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "common/formats/npy.h"
#include "worker/train/csv_table.h"
#include "worker/train/data_source.h"
#include "worker/train/sample_order.h"

namespace overwinter::worker {
namespace {

float half_to_float(std::uint16_t h) {
  const std::uint32_t exponent = h >> 10 & 31U;
  const float fraction = static_cast<float>(h & 1023U);
  float value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = fraction * 0x1.0p-24F;
  } else {
    value = std::ldexp(1024 + fraction, static_cast<int>(exponent) - 25);
  }
  return (h & 0x8000U) != 0 ? -value : value;
}

template <class T>
double read_as(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return static_cast<double>(value);
}

// A matrix inside the bytes of a .npy file.
class NpyMatrix {
 public:
  NpyMatrix(const formats::NpyHeader& header, ByteSpan file)
      : header_(header), data_(file.data() + header.data_offset) {}
  [[nodiscard]] std::uint64_t rows() const { return header_.rows; }
  [[nodiscard]] std::uint64_t columns() const { return header_.columns; }
  [[nodiscard]] bool whole_numbers() const { return header_.dtype >= formats::Dtype::kInt8; }
  [[nodiscard]] double at(std::uint64_t row, std::uint64_t column) const {
    const std::uint64_t index =
        header_.fortran_order ? column * header_.rows + row : row * header_.columns + column;
    const std::byte* at = data_ + index * formats::dtype_bytes(header_.dtype);
    switch (header_.dtype) {
      case formats::Dtype::kFloat16:
        return static_cast<double>(
            half_to_float(static_cast<std::uint16_t>(read_as<std::uint16_t>(at))));
      case formats::Dtype::kFloat32:
        return read_as<float>(at);
      case formats::Dtype::kFloat64:
        return read_as<double>(at);
      case formats::Dtype::kInt8:
        return read_as<std::int8_t>(at);
      case formats::Dtype::kInt32:
        return read_as<std::int32_t>(at);
      case formats::Dtype::kInt64:
        return read_as<std::int64_t>(at);
    }
    return 0;
  }

 private:
  formats::NpyHeader header_;
  const std::byte* data_;
};

Result<NpyMatrix> open_npy(ByteSpan file, const std::string& field) {
  const auto read = [&](std::uint64_t offset, std::span<std::byte> out) {
    std::memcpy(out.data(), file.data() + offset, out.size());
    return Status::success();
  };
  auto header = formats::read_npy_header(file.size(), read);
  if (!header) {
    Status status = header.error();
    status.field = field;
    return fail(status);
  }
  return NpyMatrix(*header, file);
}

constexpr const char* kFieldX = "workload.train.data.npy.x";
constexpr const char* kFieldY = "workload.train.data.npy.y";

// Rows whose last part is for validation. How a row is read is the derived class's.
class Rows : public DataSource {
 public:
  Rows(const plan::DataFacts& facts, std::uint64_t validation, std::optional<std::uint64_t> seed)
      : facts_(facts),
        training_(facts.samples - validation),
        validation_(validation),
        order_(training_, seed) {}

  [[nodiscard]] plan::DataFacts facts() const final { return facts_; }
  [[nodiscard]] std::uint64_t training_samples() const final { return training_; }
  [[nodiscard]] std::uint64_t validation_samples() const final { return validation_; }
  Status training_sample(std::uint64_t sample, const SampleSlot& slot) const final {
    return read_row(order_.place(sample).index, slot);
  }
  Status validation_sample(std::uint64_t index, const SampleSlot& slot) const final {
    return read_row(training_ + index, slot);
  }

 protected:
  virtual Status read_row(std::uint64_t row, const SampleSlot& slot) const = 0;

 private:
  const plan::DataFacts facts_;
  const std::uint64_t training_;
  const std::uint64_t validation_;
  const SampleOrder order_;
};

Result<std::uint64_t> parts_of_rows(double fraction, std::uint64_t rows) {
  const auto validation = validation_part(fraction, rows);
  if (!validation) return fail(validation.error());
  if (rows == *validation)
    return fail(Code::kInvalidArgument, "The data have no rows to train on.",
                "workload.train.data");
  return *validation;
}

class NpyRows final : public Rows {
 public:
  NpyRows(const plan::DataFacts& facts, std::uint64_t validation, std::optional<std::uint64_t> seed,
          NpyMatrix x, NpyMatrix y)
      : Rows(facts, validation, seed), x_(x), y_(y) {}

 private:
  Status read_row(std::uint64_t row, const SampleSlot& slot) const override {
    for (std::size_t j = 0; j < slot.values.size(); ++j) {
      slot.values[j] = static_cast<float>(x_.at(row, j));
      if (!std::isfinite(slot.values[j])) return not_finite(row, j, "x");
    }
    for (std::size_t j = 0; j < slot.classes.size(); ++j)
      slot.classes[j] = static_cast<std::int32_t>(y_.at(row, j));
    for (std::size_t j = 0; j < slot.targets.size(); ++j) {
      slot.targets[j] = static_cast<float>(y_.at(row, j));
      if (!std::isfinite(slot.targets[j])) return not_finite(row, j, "y");
    }
    return Status::success();
  }
  static Status not_finite(std::uint64_t row, std::size_t column, const std::string& of) {
    return error(Code::kOutOfRange,
                 "Row " + std::to_string(row) + ", column " + std::to_string(column) + " of " + of +
                     " (both from 0) is no finite number in fp32.",
                 of, "Remove such rows, or fill in what is missing.");
  }

  const NpyMatrix x_;
  const NpyMatrix y_;
};

// The number of classes, or nothing when a value is no class. All of y is read once.
Result<std::uint64_t> count_classes(const NpyMatrix& y) {
  double most = -1;
  for (std::uint64_t row = 0; row < y.rows(); ++row) {
    const double v = y.at(row, 0);
    if (v < 0 || v >= static_cast<double>(plan::kTrainClassesMax))
      return fail(Code::kInvalidArgument,
                  "Row " + std::to_string(row) + " (from 0) of y holds " +
                      std::to_string(static_cast<std::int64_t>(v)) +
                      "; whole numbers are classes and lie from 0 to 65,535.",
                  kFieldY, "For values to approximate save y as float32.");
    most = std::max(most, v);
  }
  return static_cast<std::uint64_t>(most) + 1;
}

class CsvRows final : public Rows {
 public:
  CsvRows(const plan::DataFacts& facts, std::uint64_t validation, std::optional<std::uint64_t> seed,
          Buffer table)
      : Rows(facts, validation, seed), columns_(facts.inputs + 1), table_(std::move(table)) {}

 private:
  // The target lies behind the inputs.
  Status read_row(std::uint64_t row, const SampleSlot& slot) const override {
    const float* at = reinterpret_cast<const float*>(table_.data()) + row * columns_;
    std::memcpy(slot.values.data(), at, slot.values.size_bytes());
    const float target = at[columns_ - 1];
    if (!slot.classes.empty()) slot.classes[0] = static_cast<std::int32_t>(target);
    if (!slot.targets.empty()) slot.targets[0] = target;
    return Status::success();
  }

  const std::uint64_t columns_;
  const Buffer table_;
};

}  // namespace

Result<std::unique_ptr<DataSource>> make_npy_source(ByteSpan x, ByteSpan y,
                                                    double validation_fraction,
                                                    std::optional<std::uint64_t> seed) {
  const auto inputs = open_npy(x, kFieldX);
  if (!inputs) return fail(inputs.error());
  const auto outputs = open_npy(y, kFieldY);
  if (!outputs) return fail(outputs.error());
  if (inputs->rows() != outputs->rows())
    return fail(Code::kInvalidArgument,
                "x has " + std::to_string(inputs->rows()) + " rows and y has " +
                    std::to_string(outputs->rows()) + "; they must be as many.",
                kFieldY);
  const auto validation = parts_of_rows(validation_fraction, inputs->rows());
  if (!validation) return fail(validation.error());
  plan::DataFacts facts;
  facts.samples = inputs->rows();
  facts.inputs = inputs->columns();
  facts.outputs = outputs->columns();
  facts.classes = outputs->whole_numbers() && outputs->columns() == 1;
  if (facts.classes) {
    const auto classes = count_classes(*outputs);
    if (!classes) return fail(classes.error());
    facts.outputs = *classes;
  }
  return std::make_unique<NpyRows>(facts, *validation, seed, *inputs, *outputs);
}

Result<std::unique_ptr<DataSource>> make_csv_source(ByteSpan csv, const std::string& target,
                                                    double validation_fraction,
                                                    std::optional<std::uint64_t> seed,
                                                    MemoryResource& resource) {
  const std::string_view text(reinterpret_cast<const char*>(csv.data()), csv.size());
  const auto shape = csv_shape(text);
  if (!shape) return fail(shape.error());
  std::optional<std::size_t> wanted;
  for (std::size_t j = 0; j < shape->columns.size(); ++j) {
    if (shape->columns[j] == target) wanted = j;
  }
  if (!wanted)
    return fail(Code::kInvalidArgument, "No column is named '" + target + "'.",
                "workload.train.data.csv.target",
                "The first column is named '" + shape->columns.front().substr(0, 60) +
                    "', the last '" + shape->columns.back().substr(0, 60) + "'.");
  const std::uint64_t columns = shape->columns.size();
  const auto validation = parts_of_rows(validation_fraction, shape->rows);
  if (!validation) return fail(validation.error());
  // No overflow: the text has a byte or more for each number.
  auto table = Buffer::make(resource, shape->rows * columns * sizeof(float));
  if (!table) return fail(table.error());
  float* values = table->as<float>();
  bool whole = true;
  double most = -1;
  const auto number = [&](std::uint64_t row, std::size_t column, double value) {
    const std::size_t place = column == *wanted ? columns - 1 : column - (column > *wanted ? 1 : 0);
    values[row * columns + place] = static_cast<float>(value);
    if (column != *wanted) return;
    whole = whole && value >= 0 && value < static_cast<double>(plan::kTrainClassesMax) &&
            value == std::floor(value);
    most = std::max(most, value);
  };
  if (Status s = read_csv(text, *shape, number); !s.ok()) return fail(s);
  plan::DataFacts facts;
  facts.samples = shape->rows;
  facts.inputs = columns - 1;
  facts.classes = whole;
  facts.outputs = whole ? static_cast<std::uint64_t>(most) + 1 : 1;
  facts.table_bytes = table->size();
  return std::make_unique<CsvRows>(facts, *validation, seed, std::move(*table));
}

}  // namespace overwinter::worker
