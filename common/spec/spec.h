// A job's specification: YAML or JSON text to message, settings on top, validation and defaults.
// The one list of known keys is spec_keys.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::spec {

inline constexpr std::size_t kSpecBytesMax = std::size_t{1024} * 1024;
inline constexpr int kSpecDepthMax = 16;

struct SpecOptions {
  bool allow_test_workloads = false;  // noop: coordinators and clients of the test build only
  // Factors must be stored ones (artifact://SHA256), as in a submission; else paths will do, as in
  // a file.
  bool require_artifacts = false;
};

struct ParsedSpec {
  v1::JobSpec spec;  // as written: no default is filled
  bool json = false;
};

// source_name is for messages ("job.yaml"). Text that begins with { is read as JSON. The error is
// INVALID_ARGUMENT with the key's path in `field` and a message that begins with source and line.
[[nodiscard]] Result<ParsedSpec> parse_spec(std::string_view text, std::string_view source_name,
                                            const SpecOptions& options = {});

// "workers.max=2", "workload.matmul.algorithm=classical", "labels.team=nlp": --set. The value is
// read as in a file.
[[nodiscard]] Status apply_setting(v1::JobSpec& spec, std::string_view setting,
                                   const SpecOptions& options = {});

struct Violation {
  std::string field;    // workload.matmul.a
  std::string message;  // one sentence
};

// Fills defaults (project, name, transport, workers.min, device, priority, spot, algorithm) and
// returns every violation; none: the specification may be planned. default_project: of the token;
// "default" when it has none.
[[nodiscard]] std::vector<Violation> complete_and_validate(v1::JobSpec& spec,
                                                           std::string_view default_project,
                                                           const SpecOptions& options = {});
// All violations as one Status (the first one's field), or success.
[[nodiscard]] Status to_status(const std::vector<Violation>& violations);

// The digest of artifact://SHA256 as 64 lower case hexadecimal digits; empty when the text is none.
[[nodiscard]] std::string artifact_digest(std::string_view uri);

// What a name becomes in a resource name: lower case letters, digits and single dashes, at most 40;
// never empty.
[[nodiscard]] std::string slug(std::string_view name);

// A project's name: 1 to 40 lower case letters, digits and dashes, beginning with a letter.
[[nodiscard]] bool is_project_name(std::string_view name);
// 1 to 80 characters of UTF-8, no control characters, no "/".
[[nodiscard]] bool is_job_name(std::string_view name);

// The specification as YAML, with the keys of a job file; parse_spec() reads it back as the same
// message.
[[nodiscard]] std::string spec_to_yaml(const v1::JobSpec& spec);

}  // namespace overwinter::spec
