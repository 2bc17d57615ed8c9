// Findings about workers' machines and the ways between them. Private to doctor_findings.cpp.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <string>

#include "client/cli/doctor_finding_list.h"

namespace overwinter::cli {

// Certificates and deadlines bear a little; times on screens do not.
inline constexpr std::int64_t kClockWarningMs = 2'000;
inline constexpr std::int64_t kClockFailureMs = 300'000;

// `whose` clock against `other`'s. Says nothing about workers whose clock is right (`subject` names
// one).
void check_clock(FindingList& out, const std::string& check, const std::string& subject,
                 const std::string& whose, const std::string& other,
                 const google::protobuf::Duration& offset,
                 const google::protobuf::Duration& uncertainty);

void check_programs(const v1::DoctorReport& report, FindingList& out);
void check_networks(const v1::DoctorReport& report, FindingList& out);
void check_machines(const v1::DoctorReport& report, FindingList& out);
void check_pairs(const v1::DoctorReport& report, FindingList& out);

}  // namespace overwinter::cli
