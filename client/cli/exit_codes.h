// What the command's exit status means (INTERFACE §2).
#pragma once

#include "common/base/result.h"

namespace overwinter::cli {

inline constexpr int kDone = 0;
inline constexpr int kJobFailed = 1;    // failed or cancelled
inline constexpr int kBadInput = 2;     // usage, job file, input file
inline constexpr int kUnreachable = 3;  // the coordinator
inline constexpr int kRefused = 4;      // permission, quota, budget, does not fit
inline constexpr int kNoSuchThing = 5;  // job, worker, token, …
inline constexpr int kTimeout = 124;    // --timeout passed
inline constexpr int kInterrupted = 130;

[[nodiscard]] int exit_code_of(const Status& status);

}  // namespace overwinter::cli
