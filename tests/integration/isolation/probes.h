// The reader names what the other tenant has, in every field of every method of the people's port.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/isolation/life.h"

namespace overwinter::test {

// Words that no answer to the reader may hold.
[[nodiscard]] std::vector<std::string> secrets_of(const Life& secret);
// The first of them in the text; empty: none.
[[nodiscard]] std::string secret_in(const std::string& text,
                                    const std::vector<std::string>& secrets);

struct Probed {
  std::size_t calls = 0;
  std::vector<std::string> told;  // where the answer was another than for what does not exist
};
[[nodiscard]] Probed probe(Tenants& tenants, const Life& secret);

}  // namespace overwinter::test
