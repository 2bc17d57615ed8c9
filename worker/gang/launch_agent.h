// What Open MPI calls in place of ssh: `overwinter-launch-agent HOST WORD...`. It asks its own
// daemon, over the job's socket, to have orted started on that host, and stays as long as orted
// does.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace overwinter::worker {

// The words of a command line as a POSIX shell would cut it: blanks, '...', "..." with \" \\ \$ \`,
// and backslashes. Nothing is expanded. INVALID_ARGUMENT for an open quote and for what would make
// a shell do more than run one command ( ; & | < > ( ) $ ` * ? and line ends, outside of quotes; $
// and ` inside "...").
[[nodiscard]] Result<std::vector<std::string>> split_as_shell(std::string_view line);

// Joins `words` with blanks (as ssh does), cuts them, and asks. Returns the exit code of orted, or
// 255 when it is lost or was refused: that is how mpirun learns of it.
[[nodiscard]] int run_launch_agent(const std::filesystem::path& socket, const std::string& host,
                                   std::span<const std::string> words);

}  // namespace overwinter::worker
