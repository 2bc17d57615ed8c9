#include "client/cli/doctor_finding_list.h"

namespace overwinter::cli {

void FindingList::add(v1::Finding::Severity severity, const std::string& check, std::string message,
                      std::string next, std::string subject) {
  v1::Finding& one = *report_.add_findings();
  one.set_severity(severity);
  one.set_check(check);
  one.set_subject(std::move(subject));
  one.set_message(std::move(message));
  one.set_next(std::move(next));
}

}  // namespace overwinter::cli
