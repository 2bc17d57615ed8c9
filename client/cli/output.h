// How results are printed: tables that fit 80 columns, wide ones, JSON, YAML. Standard output
// carries the result alone; messages go to standard error.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "overwinter/v1/common.pb.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::cli {

enum class Format { kTable, kWide, kJson, kYaml };

struct OutputOptions {
  Format format = Format::kTable;
  bool quiet = false;
  bool color = false;  // a terminal, and neither --no-color nor NO_COLOR
};

// True for JSON and YAML: the caller prints the resource and nothing else.
[[nodiscard]] inline bool is_machine(const OutputOptions& o) {
  return o.format == Format::kJson || o.format == Format::kYaml;
}

// proto3 JSON with every field printed, or the same as YAML.
void print_message(const OutputOptions& options, const google::protobuf::Message& message);
[[nodiscard]] std::string to_json(const google::protobuf::Message& message);

// Columns are as wide as their longest cell; the last is cut with "…" so that the row fits `width`
// (0: no limit).
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.size() == 1; }
  void print(const OutputOptions& options) const;
  [[nodiscard]] std::string render(std::size_t width) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Standard output, one line.
void print_line(std::string_view line);
// Standard error, one line; nothing when quiet.
void say(const OutputOptions& options, std::string_view line);
// "error: sentence" and the hint on standard error; returns the exit code of the status.
int report(const Status& status);

// Of a plan, on a device: "1.5 GiB"; "all memory" where a seat has whatever its device has.
[[nodiscard]] std::string memory_text(const v1::Plan& plan);
// "3000 x 2000 x 2500  bf16, classical"; what Strassen's method brings and costs where it is used
[[nodiscard]] std::string product_text(const v1::MatmulPlan& plan);
// "precision bf16, activations recomputed"; empty: the plan does not say (an older coordinator's).
[[nodiscard]] std::string training_text(const v1::TrainPlan& plan);
[[nodiscard]] std::string money_text(const v1::Money& money);   // "0.0203 USD"
[[nodiscard]] std::string amount_text(const v1::Money& money);  // "0.0203"
// Local time with its zone, to the second: "2026-11-24 15:04:26 CET".
[[nodiscard]] std::string duration_text(const google::protobuf::Duration& d);  // "3.2s"
[[nodiscard]] std::string time_text(const google::protobuf::Timestamp& time);
// The last part of a resource name: what people type.
[[nodiscard]] std::string short_name(const std::string& resource_name);
// Control characters replaced, so that no name moves the cursor.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace overwinter::cli
