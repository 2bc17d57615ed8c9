// overwinter-launch-agent: two small programs in one.
//   overwinter-launch-agent HOST WORD...                    Open MPI's agent (launch_agent.h)
//   overwinter-launch-agent --keep UID GID PROGRAM ARG...   the keeper of a gang's processes
//   (keeper.h)
#include <sys/prctl.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "worker/gang/keeper.h"
#include "worker/gang/launch_agent.h"

int main(int argc, char** argv) {
  using namespace overwinter;
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 4 && words[0] == "--keep") {
    return worker::run_keeper({static_cast<uid_t>(std::strtoul(words[1].c_str(), nullptr, 10)),
                               static_cast<gid_t>(std::strtoul(words[2].c_str(), nullptr, 10)),
                               {words.begin() + 3, words.end()}});
  }
  // Without mpirun there is nobody to tell.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  const char* socket = std::getenv("OVERWINTER_GANG_SOCKET");
  if (words.size() < 2 || socket == nullptr) {
    log_error("overwinter-launch-agent is called by Open MPI, in a gang; not by hand");
    return 2;
  }
  return worker::run_launch_agent(socket, words[0], std::span(words).subspan(1));
}
