// The command line: declares every command and option, runs the one that was asked for.
#pragma once

namespace overwinter::cli {

// Returns the exit code. Usage errors are 2.
int run_command_line(int argc, char** argv);

}  // namespace overwinter::cli
