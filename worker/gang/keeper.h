// The keeper of a gang's processes on one host: a process between the daemon and mpirun or orted.
// All of them are its descendants, for good: it is their subreaper.
//
// It speaks with its daemon over one socket (SOCK_SEQPACKET, descriptor kKeeperSocket), a packet a
// word:
//   daemon → keeper    "term"   SIGTERM to the program        "kill"  SIGKILL to everything
//   keeper → daemon    "started PID"     "failed ERRNO"        the program could (not) be started
//                      "reaped PID STATUS"                     a descendant was reaped (a wait
//                      status) "ended STATUS"                          the program itself; then all
//                      else is killed "gone"                                  no descendant is
//                      left; the keeper ends
// When the daemon is gone (the socket ends) everything is killed. SIGTERM does the same.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace overwinter::worker {

inline constexpr int kKeeperSocket = 3;

struct KeeperOrder {
  uid_t uid = 0;  // what the program runs as; the keeper's own: nothing changes
  gid_t gid = 0;
  std::vector<std::string> command;  // an absolute path and its arguments
};

// Runs to the end of everything; the keeper's exit code. Needs a process of its own without
// threads.
[[nodiscard]] int run_keeper(const KeeperOrder& order);

}  // namespace overwinter::worker
