// Findings about workers' machines and the ways between them. Private to doctor_findings.cpp.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <cstdint>
#include <string>
#include <utility>

#include "overwinter/v1/doctor.pb.h"

namespace overwinter::cli {

// Certificates and deadlines bear a little; times on screens do not.
inline constexpr std::int64_t kClockWarningMs = 2'000;
inline constexpr std::int64_t kClockFailureMs = 300'000;

// Appends to a report.
class FindingList {
 public:
  explicit FindingList(v1::DoctorReport& report) : report_(report) {}
  void ok(const std::string& check, std::string message, std::string subject = {}) {
    add(v1::Finding::OK, check, std::move(message), {}, std::move(subject));
  }
  void warning(const std::string& check, std::string message, std::string next,
               std::string subject = {}) {
    add(v1::Finding::WARNING, check, std::move(message), std::move(next), std::move(subject));
  }
  void failure(const std::string& check, std::string message, std::string next,
               std::string subject = {}) {
    add(v1::Finding::FAILURE, check, std::move(message), std::move(next), std::move(subject));
  }

 private:
  void add(v1::Finding::Severity severity, const std::string& check, std::string message,
           std::string next, std::string subject);
  v1::DoctorReport& report_;
};

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
