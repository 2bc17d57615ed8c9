// What the facts of a doctor's report mean. Pure: the report's own time is now.
#pragma once

#include "overwinter/v1/doctor.pb.h"

namespace overwinter::cli {

// Sets report.findings from the rest of the report, in the order in which a person should read
// them: what everything else hangs on first. Each one that is not OK says what to do next. What is
// not known is not judged.
void judge(v1::DoctorReport& report);

// Of `overwinter doctor`: 0 when nothing has failed (warnings are no failure); 1 when something
// has; where the coordinator could not be asked what was wanted, the code of that answer
// (exit_codes.h: 3 unreachable, 4 refused).
[[nodiscard]] int doctor_exit_code(const v1::DoctorReport& report);

}  // namespace overwinter::cli
