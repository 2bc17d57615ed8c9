// A job's specification: YAML or JSON text to message, settings on top, validation and defaults.
// The one list of known keys is spec_keys.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/spec/release.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::spec {

inline constexpr std::size_t kSpecBytesMax = std::size_t{1024} * 1024;
inline constexpr int kSpecDepthMax = 16;

struct SpecOptions {
  bool allow_test_workloads = false;  // noop: coordinators and clients of the test build only
  // Factors must be stored ones (artifact://SHA256), as in a submission; else paths will do, as in
  // a file.
  bool require_artifacts = false;
  Release release = kThisRelease;
};

struct ParsedSpec {
  v1::JobSpec spec;  // as written: no default is filled, but the workdir of a program, which is "."
  bool json = false;
  std::string source;                // source_name
  std::map<std::string, int> lines;  // of each key that is there, by its path
};

// source_name is for messages ("job.yaml"). Text that begins with { is read as JSON. The error is
// INVALID_ARGUMENT with the key's path in `field` and a message that begins with source and line.
[[nodiscard]] Result<ParsedSpec> parse_spec(std::string_view text, std::string_view source_name,
                                            const SpecOptions& options = {});

// "workers.max=2", "workload.matmul.algorithm=classical", "labels.team=nlp",
// "workload.train.model.mlp.layers=[784, 10]": --set. The value is read as in a file.
[[nodiscard]] Status apply_setting(v1::JobSpec& spec, std::string_view setting,
                                   const SpecOptions& options = {});

struct Violation {
  std::string field;    // workload.matmul.a
  std::string message;  // one sentence
};

// Fills every default, so that who reads the message needs to know none of them, and returns every
// violation; none: the specification may be planned. Doing it twice changes nothing.
// default_project: of the token; "default" when it has none.
[[nodiscard]] std::vector<Violation> complete_and_validate(v1::JobSpec& spec,
                                                           std::string_view default_project,
                                                           const SpecOptions& options = {});
// All violations as one Status (the first one's field), or success.
[[nodiscard]] Status to_status(const std::vector<Violation>& violations);
// The same, each message with the line that its key is at.
[[nodiscard]] Status to_status(const std::vector<Violation>& violations, const ParsedSpec& parsed);

// Every text of the specification that names a file to be read: factors, data, the weights to begin
// with. In a file: a path, or artifact://SHA256 already. The pointers are into the message.
struct InputText {
  std::string field;  // workload.train.data.text[1]
  std::string* text;
};
[[nodiscard]] std::vector<InputText> input_texts(v1::JobSpec& spec);
// JOB@STEP, which init_from takes beside files.
[[nodiscard]] bool is_checkpoint_name(std::string_view text);

// workers.device: KIND[:COUNT], COUNT devices of that kind on each worker.
struct DeviceWish {
  std::string kind;  // any, cpu, gpu, a model (H100) or a size (80GB)
  std::uint32_t count = 1;
};
// The message is the rest of a sentence that begins with the key.
[[nodiscard]] Result<DeviceWish> parse_device(std::string_view text);

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
