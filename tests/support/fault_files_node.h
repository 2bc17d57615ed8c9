// What a FaultFiles holds. Included by fault_files*.cpp alone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/fault_files.h"

namespace overwinter::test {

// A file or a folder. `now` is what programs see, `durable` what the disk holds.
struct FaultFiles::Node {
  using Names = std::map<std::string, NodePtr>;
  bool folder = false;
  Names now_names;
  Names durable_names;

  std::string now;
  std::string durable;
  // Writes since the last sync: which bytes may have reached the disk. A growth alone is an empty
  // one at its end.
  struct Write {
    std::uint64_t offset;
    std::string data;
  };
  std::vector<Write> unsynced;
  bool lost = false;  // a sync failed

  [[nodiscard]] NodePtr after_power_cut(Rest rest, std::mt19937_64& random) const;
};

}  // namespace overwinter::test
