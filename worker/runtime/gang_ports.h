// What the gangs of a daemon need from outside: the other daemons. Implemented in worker/rpc and by
// tests.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "worker/runtime/gang_events.h"

namespace overwinter::worker {

struct PeerLaunchOrder {
  std::string address;  // ADDRESS:PORT
  WorkerId worker;      // whose certificate has to be shown there
  GangKey key;
  std::string token;
  std::vector<std::string> words;
};
struct PeerLaunchEnd {
  bool began = false;   // the other daemon had accepted it
  bool lost = false;    // the connection ended before the program did
  int exit_code = 255;  // of orted, where it is known
  std::string message;  // empty: nothing to say
};

class PeerLaunches {
 public:
  // One launch at another host. Its end here ends it there.
  class Launch {
   public:
    virtual ~Launch() = default;
  };
  virtual ~PeerLaunches() = default;
  // Returns at once. `ended` is called once, from any thread, but not after the launch's destructor
  // has returned.
  [[nodiscard]] virtual std::unique_ptr<Launch> launch(
      const PeerLaunchOrder& order, std::function<void(const PeerLaunchEnd&)> ended) = 0;
};

}  // namespace overwinter::worker
