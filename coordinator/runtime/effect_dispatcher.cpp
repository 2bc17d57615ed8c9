#include "coordinator/runtime/effect_dispatcher.h"

#include <type_traits>
#include <variant>

#include "common/base/check.h"

namespace overwinter::runtime {

EffectDispatcher::EffectDispatcher(Ports ports) : ports_(ports) {
  check(ports_.workers != nullptr && ports_.replies != nullptr && ports_.results != nullptr &&
            ports_.plans != nullptr,
        "every port is connected");
}

void EffectDispatcher::dispatch(std::span<const core::Effect> effects) {
  bool ordered = false;
  for (const core::Effect& effect : effects) {
    std::visit(
        [&](const auto& e) {
          using E = std::decay_t<decltype(e)>;
          if constexpr (std::is_same_v<E, core::Reply>) {
            ports_.replies->deliver(e);
          } else if constexpr (std::is_same_v<E, core::PrepareResult>) {
            ports_.results->prepare(e);
          } else if constexpr (std::is_same_v<E, core::FinishResult>) {
            ports_.results->finish(e);
          } else if constexpr (std::is_same_v<E, core::DropResult>) {
            ports_.results->drop(e);
          } else if constexpr (std::is_same_v<E, core::Replan>) {
            ports_.plans->replan(e.job);
          } else if constexpr (std::is_same_v<E, core::EndPrincipal>) {
            ports_.workers->end_principal(e);
          } else {
            ports_.workers->order(effect);
            ordered = true;
          }
        },
        effect);
  }
  if (ordered) ports_.workers->flush();
}

WorkerId worker_of(const core::Effect& effect) {
  return std::visit(
      [](const auto& e) {
        if constexpr (requires { e.incarnation; }) {
          return e.worker;
        } else {
          return WorkerId();
        }
      },
      effect);
}

}  // namespace overwinter::runtime
