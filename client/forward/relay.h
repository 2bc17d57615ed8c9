// One connection of a browser and its own one to the coordinator: requests go over, answers come
// back piece by piece. Inner header of the room.
#pragma once

#include "client/forward/upstream.h"

namespace overwinter::forward {

// Counts itself in `shared.open`; until either side ends it.
Awaitable<void> relay(Shared& shared, tcp::socket browser);

}  // namespace overwinter::forward
