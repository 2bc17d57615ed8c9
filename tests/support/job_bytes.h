// Specifications and plans as bytes, for tests of rooms that see no messages.
#pragma once

#include <string>

#include "common/base/bytes.h"
#include "overwinter/v1/job.pb.h"

namespace overwinter::test {

// The plan of a product of two uploaded matrices.
inline std::string matmul_plan(const Digest& a, const Digest& b) {
  v1::Plan plan;
  plan.mutable_matmul()->set_a_digest(to_hex(a));
  plan.mutable_matmul()->set_b_digest(to_hex(b));
  return plan.SerializeAsString();
}

}  // namespace overwinter::test
