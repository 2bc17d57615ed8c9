// Waiting for a job: a bar of its progress, and what its end means for the exit code.
#pragma once

#include <string>

#include "client/cli/globals.h"

namespace overwinter::cli {

struct Followed {
  v1::Job job;  // as it was last seen
  int exit_code =
      0;  // 0 succeeded, 1 failed or cancelled, 4 paused and will not go on by itself, 124, 130
};

// Follows until the job ends (or pauses for good), drawing its progress unless quiet. Sits out 5
// minutes without a coordinator. Says on standard error how to return to the job when it is left.
[[nodiscard]] Result<Followed> follow_job(const Globals& globals, client::Client& client,
                                          const std::string& name, bool progress);

// One job for people, all that is known of it.
void print_job(const v1::Job& job);

}  // namespace overwinter::cli
