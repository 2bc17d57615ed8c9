// The keeper: the process that stands between the daemon and one tree of a user's processes. It is
// small and has one thread, so that what must happen between fork and exec may; it is the subreaper
// of the tree, so that it knows all of it; and when its daemon is gone, however that went, it ends
// the tree. It holds no key. The daemon's side is ProcessTree.
#pragma once

namespace overwinter::worker::exec {

// The whole program: descriptors as keeper_protocol.h says. Its exit code.
int run_keeper();

}  // namespace overwinter::worker::exec
