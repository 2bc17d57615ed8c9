// Findings about the coordinator's process, its disk and what it keeps there. Private to
// doctor_findings.cpp.
#pragma once

#include <cstdint>
#include <string>

#include "client/cli/doctor_finding_list.h"

namespace overwinter::cli {

void check_disk(const v1::DoctorReport& report, FindingList& out);
// What the coordinator keeps is damaged, as `problem` says.
void found_damage(const std::string& problem, FindingList& out);
void check_store(const v1::DoctorReport& report, FindingList& out);
void check_hooks(const v1::DoctorReport& report, FindingList& out);
// A cluster that was restored: what is not known of it. A warning for a week, in which its bills
// and grants want to be looked at; a fact after that.
void check_restore(const v1::DoctorReport& report, FindingList& out);

// One process's descriptors. True when they are well; nothing is said then.
bool check_limit(FindingList& out, const std::string& subject, const std::string& who,
                 std::uint64_t open, std::uint64_t limit);
// Of the coordinator.
void check_descriptors(const v1::DoctorReport& report, FindingList& out);

}  // namespace overwinter::cli
