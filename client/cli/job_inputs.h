// The files that a job file names: found, checked and uploaded before the job is submitted.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/globals.h"

namespace overwinter::cli {

// Reads a job file ("-": standard input), applies --set, and makes its relative paths relative to
// the folder that the file is in.
[[nodiscard]] Result<v1::JobSpec> read_job_file(const std::string& file,
                                                const std::vector<std::string>& settings);

// The same of a text that has no file; `name` is what errors call it.
[[nodiscard]] Result<v1::JobSpec> read_job_text(const std::string& text, const std::string& name,
                                                const std::filesystem::path& folder,
                                                const std::vector<std::string>& settings);

// Shapes of the specification's local matrices, from their headers alone. Refuses a file that is no
// matrix, by its name; whether they multiply is the coordinator's to say. Knows nothing of
// artifact:// names.
[[nodiscard]] Result<std::map<std::string, v1::MatrixShape>> read_shapes(const v1::JobSpec& spec);

// What the local data of a training say of themselves; nothing where they are not local, or the job
// is no training. INVALID_ARGUMENT names the file.
[[nodiscard]] Result<std::optional<v1::DataFacts>> read_data_facts(const v1::JobSpec& spec);

// A path of this machine, not artifact://.
[[nodiscard]] bool is_local(const std::string& name);

// Uploads local files of the specification and puts artifact:// names in their place. Files that
// the project has are not sent again.
[[nodiscard]] Status upload_inputs(const Globals& globals, client::Client& client,
                                   v1::JobSpec& spec);

}  // namespace overwinter::cli
