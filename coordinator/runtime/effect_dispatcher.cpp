#include "coordinator/runtime/effect_dispatcher.h"

#include <type_traits>
#include <variant>

#include "common/base/check.h"

namespace overwinter::runtime {
namespace {

// To one incarnation of a worker.
template <class E>
constexpr bool kIsOrder = requires(const E& e) {
  e.incarnation;
};

bool is_order(const core::Effect& effect) {
  return std::visit([](const auto& e) { return kIsOrder<std::decay_t<decltype(e)>>; }, effect);
}

}  // namespace

EffectDispatcher::EffectDispatcher(Ports ports) : ports_(ports) {
  check(ports_.workers != nullptr && ports_.replies != nullptr && ports_.results != nullptr &&
            ports_.plans != nullptr,
        "every port is connected");
}

// Orders first: a worker's time costs from the grant on, and what a reply or a job's result needs
// takes the processor away from it.
void EffectDispatcher::dispatch(std::span<const core::Effect> effects) {
  bool ordered = false;
  for (const core::Effect& effect : effects) {
    if (const auto* launch = std::get_if<core::LaunchGang>(&effect)) {
      ports_.workers->launch(*launch);
    } else if (is_order(effect)) {
      ports_.workers->order(effect);
    } else {
      continue;
    }
    ordered = true;
  }
  if (ordered) ports_.workers->flush();
  for (const core::Effect& effect : effects) {
    if (!is_order(effect)) dispatch_other(effect);
  }
}

void EffectDispatcher::dispatch_other(const core::Effect& effect) {
  std::visit(
      [this](const auto& e) {
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
        } else {  // dispatched before
          static_assert(kIsOrder<E> || std::is_same_v<E, core::LaunchGang>);
        }
      },
      effect);
}

WorkerId worker_of(const core::Effect& effect) {
  return std::visit(
      [](const auto& e) {
        if constexpr (kIsOrder<std::decay_t<decltype(e)>>) {
          return e.worker;
        } else {
          return WorkerId();
        }
      },
      effect);
}

}  // namespace overwinter::runtime
