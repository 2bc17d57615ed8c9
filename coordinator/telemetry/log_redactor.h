// Takes secrets out of the lines of one rank, before they are kept. Lines come one by one, and a
// private key has several: what stands between its first and its last line goes too.
#pragma once

#include <string>

namespace overwinter::telemetry {

class LogRedactor {
 public:
  // Replaces the line by what may be kept.
  void clean(std::string& line);

 private:
  // Lines that a key may still have: a first line that nothing follows hides no more than these.
  int inside_key_ = 0;
};

}  // namespace overwinter::telemetry
