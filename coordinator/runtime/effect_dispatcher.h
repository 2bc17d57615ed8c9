// EffectDispatcher: sends each effect to the port it is for. Owned and called by the core loop.
#pragma once

#include <span>

#include "coordinator/core/effect.h"
#include "coordinator/runtime/ports.h"

namespace overwinter::runtime {

struct Ports {
  WorkerLink* workers = nullptr;
  ReplyPort* replies = nullptr;
  ResultPort* results = nullptr;
  ReplanPort* plans = nullptr;
};

class EffectDispatcher {
 public:
  // All ports are set and outlive this.
  explicit EffectDispatcher(Ports ports);
  // Orders to workers leave first, in their order; then all else, in its order.
  void dispatch(std::span<const core::Effect> effects);

 private:
  void dispatch_other(const core::Effect& effect);

  const Ports ports_;
};

// The worker that an effect is an order for; none for all others.
[[nodiscard]] WorkerId worker_of(const core::Effect& effect);

}  // namespace overwinter::runtime
