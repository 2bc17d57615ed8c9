// What every part of `overwinter doctor`'s judgement writes to.
#pragma once

#include <string>
#include <utility>

#include "overwinter/v1/doctor.pb.h"

namespace overwinter::cli {

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

}  // namespace overwinter::cli
