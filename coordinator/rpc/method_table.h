// Which gRPC method needs what, by server. A method that stands in no table is refused: the default
// is no (TRUST §2).
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "common/domain/principal.h"

namespace overwinter::rpc {

enum class Access { kNobodyNeeded, kAnyPrincipal, kPermission };

struct MethodRule {
  std::string_view path;  // "/overwinter.v1.JobService/GetJob"
  Access access = Access::kPermission;
  Permission permission = Permission::kReadJobs;  // of Access::kPermission
};

[[nodiscard]] std::span<const MethodRule> people_methods();
[[nodiscard]] std::span<const MethodRule> worker_methods();
[[nodiscard]] std::optional<MethodRule> find_rule(std::span<const MethodRule> table,
                                                  std::string_view path);

}  // namespace overwinter::rpc
