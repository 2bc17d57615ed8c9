// The store as the loop's sink of turns.
#pragma once

#include <span>
#include <vector>

#include "coordinator/runtime/committer.h"
#include "coordinator/store/store.h"

namespace overwinter::app {

class StoreSink final : public runtime::TurnSink {
 public:
  explicit StoreSink(store::Store& store) : store_(store) {}
  Status commit(std::span<const runtime::Turn> turns) override {
    std::vector<store::TurnRef> refs;
    refs.reserve(turns.size());
    for (const auto& turn : turns) refs.push_back({turn.time, turn.facts});
    return store_.append_and_commit(refs);
  }

 private:
  store::Store& store_;
};

}  // namespace overwinter::app
