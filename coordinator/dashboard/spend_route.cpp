#include "coordinator/dashboard/spend_route.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "coordinator/runtime/credentials.h"
#include "coordinator/runtime/spend.h"

namespace overwinter::dashboard {
namespace {

using runtime::SpendHour;

constexpr std::array<std::pair<const char*, ledger::Charge SpendHour::*>, 4> kKinds{
    {{"useful", &SpendHour::useful},
     {"waiting", &SpendHour::waiting},
     {"redone", &SpendHour::redone},
     {"idle", &SpendHour::idle}}};

}  // namespace

Response spend_by_hour(const Ask& ask) {
  const auto& views = ask.sources.views;
  const bool machines = may(ask.caller, Permission::kReadAllMoney) && ask.caller.project.empty();
  const auto spend =
      runtime::spend_by_hour(views, ask.sources.store, machines, ask.caller.project, ask.now);
  if (!spend) return refusal(spend.error());
  ledger::Charge reserved;
  for (const auto& job : views.jobs(ask.caller.project)) reserved += job->reserved;
  nlohmann::json hours(spend->hours.size(), nlohmann::json::object());
  for (const auto& [name, kind] : kKinds) {
    std::vector<ledger::Charge> charges;
    for (const SpendHour& hour : spend->hours) charges.push_back(hour.*kind);
    const auto amounts = store::rounded_lines(charges);
    for (std::size_t i = 0; i < amounts.size(); ++i)
      hours[i][name] = std::to_string(amounts[i].micros);
  }
  return as_json(nlohmann::json{{"from", format_time(spend->from)},
                                {"currency", views.cluster()->prices.currency},
                                {"machines", machines},
                                {"complete", spend->complete},
                                {"reserved", std::to_string(ledger::rounded(reserved).micros)},
                                {"hours", std::move(hours)}});
}

}  // namespace overwinter::dashboard
