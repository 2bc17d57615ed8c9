// Ports: where effects leave to. The loop's thread calls them; none may block or call back into the
// loop.
#pragma once

#include <span>

#include "common/base/result.h"
#include "coordinator/core/effect.h"
#include "coordinator/core/fact.h"

namespace overwinter::runtime {

// Orders to workers' streams (coordinator/rpc).
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;
  // One of OfferSeat, FundSeat, HandOutUnits, ReclaimUnits, StopSeat, Welcome, AcknowledgeReports,
  // RefuseWorker. Dropped when that incarnation is not connected: it will say Hello again.
  virtual void order(const core::Effect& effect) = 0;
  // To the workers of all its members that are connected, with a token made for it.
  virtual void launch(const core::LaunchGang& effect) = 0;
  // Everything ordered since the last flush may be put on the wire, one message a stream.
  virtual void flush() = 0;
  // Ends every open stream of this principal.
  virtual void end_principal(const core::EndPrincipal& effect) = 0;
};

// The results of jobs (ResultKeeper).
class ResultPort {
 public:
  virtual ~ResultPort() = default;
  virtual void prepare(const core::PrepareResult& effect) = 0;
  virtual void finish(const core::FinishResult& effect) = 0;
  virtual void drop(const core::DropResult& effect) = 0;
};

// Plans a waiting job anew and posts JobReplanned (Planner).
class ReplanPort {
 public:
  virtual ~ReplanPort() = default;
  virtual void replan(JobId job) = 0;
};

// Answers (Requests).
class ReplyPort {
 public:
  virtual ~ReplyPort() = default;
  virtual void deliver(const core::Reply& reply) = 0;
};

}  // namespace overwinter::runtime
