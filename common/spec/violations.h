// What the validators of the workloads share. Internal to the room.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/spec/spec.h"
#include "common/spec/spec_keys.h"

namespace overwinter::spec {

class Violations {
 public:
  explicit Violations(const SpecOptions& options) : options_(options) {}

  [[nodiscard]] const SpecOptions& options() const { return options_; }
  [[nodiscard]] std::vector<Violation> take() { return std::move(found_); }

  void refuse(std::string field, std::string message) {
    found_.push_back({std::move(field), std::move(message)});
  }

  // Every leaf of the section, or the leaf itself, against its row of the key list: bounds,
  // choices, texts without control characters; a count or number that may not be 0 is "missing".
  // Defaults are filled before.
  void keys(const v1::JobSpec& spec, std::string_view section);
  // A value of a choice.
  void choice(const std::string& field, const std::string& text);
  // A path, or artifact://SHA256; `what` names what it must be.
  void file(const std::string& field, const std::string& text, const std::string& what);
  // More than nothing, at most 366 days.
  void duration(const std::string& field, const google::protobuf::Duration& d);

 private:
  void leaf(const v1::JobSpec& spec, const Key& key);
  void missing(const Key& key);

  const SpecOptions& options_;
  std::vector<Violation> found_;
};

// Fills the defaults of the workload and says what is wrong with it, and with the keys at the top
// that it has no use for.
void validate_train(v1::JobSpec& spec, Violations& violations);
void validate_exec(v1::JobSpec& spec, Violations& violations);

}  // namespace overwinter::spec
