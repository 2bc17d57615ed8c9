#include "coordinator/rpc/worker_messages.h"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "common/base/version.h"
#include "common/wire/convert.h"

namespace overwinter::rpc {
namespace {

constexpr std::size_t kHostNameBytesMax = 253;
constexpr std::size_t kReasonBytesMax = 2000;
constexpr int kSeatsMax = 4096;
constexpr std::size_t kAddressBytesMax = 300;

Result<core::SeatStatus> seat_status(const v1::SeatStatus& message) {
  core::SeatStatus status;
  const auto seat = wire::from_proto(message.seat());
  if (!seat) return fail(seat.error());
  const auto used = wire::from_proto(message.used());
  if (!used) return fail(used.error());
  auto held = wire::from_proto(message.held());
  if (!held) return fail(held.error());
  status.seat = *seat;
  status.used = *used;
  status.held = std::move(*held);
  status.memory_peak_bytes = message.memory_peak_bytes();
  status.memory_used_bytes = message.memory_used_bytes();
  status.stopping = message.stopping();
  if (!v1::GangPhase_IsValid(message.phase())) {
    return fail(Code::kInvalidArgument, "a seat is in a phase that is not known", "phase");
  }
  status.phase = static_cast<GangPhase>(message.phase());
  status.step = message.step();
  status.activity = message.activity();
  return status;
}

template <class Messages>
Result<std::vector<core::SeatStatus>> seat_statuses(const Messages& messages) {
  if (messages.size() > kSeatsMax) {
    return fail(Code::kInvalidArgument, "a worker holds at most 4,096 seats", "seats");
  }
  std::vector<core::SeatStatus> out;
  for (const auto& message : messages) {
    auto status = seat_status(message);
    if (!status) return fail(status.error());
    out.push_back(std::move(*status));
  }
  return out;
}

std::string shortened(const std::string& text) {
  return text.substr(0, kReasonBytesMax);
}

Result<core::Report> seat_ended(const v1::SeatEnded& message) {
  const auto seat = wire::from_proto(message.seat());
  if (!seat) return fail(seat.error());
  const auto used = wire::from_proto(message.used());
  if (!used) return fail(used.error());
  if (!v1::SeatEnded::End_IsValid(message.end()) || message.end() == 0) {
    return fail(Code::kInvalidArgument, "a seat ends in a way that is not known", "end");
  }
  core::SeatEnded report;
  report.seat = *seat;
  report.end = static_cast<core::SeatEnd>(message.end());
  report.used = *used;
  report.memory_peak_bytes = message.memory_peak_bytes();
  report.message = shortened(message.message());
  report.exit.exit_code = message.exit().exit_code();
  report.exit.signal = message.exit().signal();
  if (message.exit().has_rank()) report.exit.rank = message.exit().rank();
  report.exit.step = message.exit().step();
  report.exit.repeats = message.exit().repeats();
  return report;
}

Result<core::Report> launch_failed(const v1::LaunchFailed& message) {
  const auto seat = wire::from_proto(message.seat());
  if (!seat) return fail(seat.error());
  return core::LaunchFailed{*seat, WorkerId(message.unreachable()), shortened(message.message())};
}

template <class R, class M>
Result<core::Report> units_report(const M& message) {
  const auto seat = wire::from_proto(message.seat());
  if (!seat) return fail(seat.error());
  auto units = wire::from_proto(message.units());
  if (!units) return fail(units.error());
  R report;
  report.seat = *seat;
  report.units = std::move(*units);
  if constexpr (requires { message.message(); }) report.message = shortened(message.message());
  return report;
}

Result<core::Report> report_of(const v1::Report& message) {
  switch (message.report_case()) {
    case v1::Report::kSeatBegan: {
      const auto seat = wire::from_proto(message.seat_began().seat());
      if (!seat) return fail(seat.error());
      return core::SeatBegan{*seat};
    }
    case v1::Report::kSeatEnded:
      return seat_ended(message.seat_ended());
    case v1::Report::kUnitsReported:
      return units_report<core::UnitsReported>(message.units_reported());
    case v1::Report::kUnitsFailed:
      return units_report<core::UnitsFailed>(message.units_failed());
    case v1::Report::kSeatPrepared: {
      const auto seat = wire::from_proto(message.seat_prepared().seat());
      if (!seat) return fail(seat.error());
      return core::SeatPrepared{*seat};
    }
    case v1::Report::kLaunchFailed:
      return launch_failed(message.launch_failed());
    case v1::Report::REPORT_NOT_SET:
      break;
  }
  return fail(Code::kInvalidArgument, "a report of a kind that is not known", "report");
}

struct Version {
  int major = 0;
  int minor = 0;
};

std::optional<Version> parse_version(std::string_view text) {
  Version version;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  if (minor.ec != std::errc() || (minor.ptr != end && *minor.ptr != '.')) return std::nullopt;
  return version;
}

std::string_view reason(core::Cause cause) {
  switch (cause) {
    case core::Cause::kPerson:
      return "paused by a person";
    case core::Cause::kBudget:
      return "the job's cap";
    case core::Cause::kTimeLimit:
      return "the job's time limit";
    case core::Cause::kPreempted:
      return "another job goes first";
    case core::Cause::kDone:
      return "nothing is left to do";
    case core::Cause::kFailure:
      return "the job has failed";
    case core::Cause::kDrain:
      return "the worker drains";
    case core::Cause::kCancelled:
      return "the job was cancelled";
    case core::Cause::kWorkerLost:
      return "the worker was lost";
    case core::Cause::kNoRoom:
      return "its result has no room on the coordinator's disk";
    case core::Cause::kStalled:
      return "the job stood still";
    case core::Cause::kLaunch:
      return "the job could not be launched";
    case core::Cause::kNone:
      break;
  }
  return "as ordered";
}

}  // namespace

Status check_version(const std::string& worker_version) {
  const auto ours = parse_version(kVersion);
  const auto theirs = parse_version(worker_version);
  if (!theirs || worker_version.size() > 32) {
    return error(Code::kInvalidArgument, "the worker's version is not written as 0.1.0", "version");
  }
  if (ours && ours->major == theirs->major && std::abs(ours->minor - theirs->minor) <= 1) {
    return Status::success();
  }
  return error(Code::kFailedPrecondition,
               "worker version " + worker_version + " and coordinator version " + kVersion +
                   " are more than one minor version apart",
               "version", "upgrade the older one, one minor version at a time");
}

Result<core::WorkerHello> hello_event(WorkerId worker, const v1::Hello& hello,
                                      const std::string& coordinator_host) {
  if (hello.incarnation() == 0) {
    return fail(Code::kInvalidArgument, "a worker's incarnation is at least 1", "incarnation");
  }
  if (hello.host_id().size() > 64 || hello.host_name().size() > kHostNameBytesMax) {
    return fail(Code::kInvalidArgument, "the host's name is too long", "host_name");
  }
  if (hello.devices_size() == 0 || hello.devices_size() > wire::kDevicesMax) {
    return fail(Code::kInvalidArgument, "a worker has 1 to 64 devices", "devices");
  }
  core::WorkerHello event;
  event.worker = worker;
  event.incarnation = Incarnation(hello.incarnation());
  event.machine.host_id = hello.host_id();
  event.machine.host_name = hello.host_name();
  event.machine.version = hello.version();
  for (const std::string* text :
       {&hello.peer_address(), &hello.network(), &hello.no_exec(), &hello.memory_limit()}) {
    if (text->size() > kAddressBytesMax) {
      return fail(Code::kInvalidArgument, "a text about the worker's machine is too long",
                  "peer_address");
    }
  }
  event.machine.peer_address = hello.peer_address();
  event.machine.network = hello.network();
  event.machine.shared_network = hello.shared_network();
  event.machine.no_exec = hello.no_exec();
  event.machine.memory_limit = hello.memory_limit();
  event.machine.host = {hello.host_memory_bytes(), hello.host_cpus()};
  for (const auto& message : hello.devices()) {
    auto device = wire::from_proto(message);
    if (!device) return fail(device.error());
    event.machine.devices.push_back(std::move(*device));
  }
  event.machine.same_host_as_coordinator =
      !hello.host_id().empty() && hello.host_id() == coordinator_host;
  auto seats = seat_statuses(hello.seats());
  if (!seats) return fail(seats.error());
  event.seats = std::move(*seats);
  event.last_report = hello.last_report();
  return event;
}

Result<core::Event> event_of(const Speaker& speaker, const v1::WorkerMessage& message) {
  if (message.has_heartbeat()) {
    auto seats = seat_statuses(message.heartbeat().seats());
    if (!seats) return fail(seats.error());
    core::Event event(std::in_place_type<core::WorkerHeartbeat>);
    auto& heartbeat = std::get<core::WorkerHeartbeat>(event);
    heartbeat.worker = speaker.worker;
    heartbeat.incarnation = speaker.incarnation;
    heartbeat.seats = std::move(*seats);
    return event;
  }
  if (message.has_report()) {
    auto report = report_of(message.report());
    if (!report) return fail(report.error());
    // Built in place: g++ 12 warns of the variant's moves otherwise.
    core::Event event(std::in_place_type<core::WorkerReported>);
    auto& reported = std::get<core::WorkerReported>(event);
    reported.worker = speaker.worker;
    reported.incarnation = speaker.incarnation;
    reported.number = message.report().number();
    reported.report = std::move(*report);
    return event;
  }
  return fail(Code::kInvalidArgument, "after Hello a worker sends heartbeats and reports alone");
}

v1::OfferSeat to_message(const core::OfferSeat& effect, std::string capability) {
  v1::OfferSeat out;
  *out.mutable_seat() = wire::to_proto(effect.seat);
  out.set_device(effect.device);
  out.set_memory_bytes(effect.memory_bytes);
  out.set_threads(effect.threads);
  *out.mutable_funded_for() = wire::to_proto(effect.funded_for);
  *out.mutable_stop_time() = wire::to_proto(effect.stop_time);
  out.set_job("projects/" + effect.project + "/jobs/" + effect.job_name);
  if (effect.spec) out.set_spec(*effect.spec);
  if (effect.plan) out.set_plan(*effect.plan);
  out.set_capability(std::move(capability));
  out.set_gang(effect.gang);
  if (effect.from_step) out.set_from_step(*effect.from_step);
  return out;
}

v1::FundSeat to_message(const core::FundSeat& effect, std::string capability) {
  v1::FundSeat out;
  *out.mutable_seat() = wire::to_proto(effect.seat);
  *out.mutable_funded_for() = wire::to_proto(effect.funded_for);
  out.set_capability(std::move(capability));
  return out;
}

v1::HandOutUnits to_message(const core::HandOutUnits& effect) {
  v1::HandOutUnits out;
  *out.mutable_seat() = wire::to_proto(effect.seat);
  wire::to_proto(effect.units, out.mutable_units());
  return out;
}

v1::ReclaimUnits to_message(const core::ReclaimUnits& effect) {
  v1::ReclaimUnits out;
  *out.mutable_seat() = wire::to_proto(effect.seat);
  wire::to_proto(effect.units, out.mutable_units());
  return out;
}

v1::StopSeat to_message(const core::StopSeat& effect) {
  v1::StopSeat out;
  *out.mutable_seat() = wire::to_proto(effect.seat);
  out.set_reason(std::string(reason(effect.cause)));
  out.set_at_once(effect.at_once);
  return out;
}

v1::LaunchGang to_message(const core::LaunchGang& effect, std::size_t member,
                          const std::string& token) {
  v1::LaunchGang out;
  *out.mutable_seat() = wire::to_proto(effect.members[member].seat);
  for (const GangMember& one : effect.members) {
    v1::LaunchGang::Member* to = out.add_members();
    *to->mutable_seat() = wire::to_proto(one.seat);
    to->set_worker(one.worker.value());
    to->set_worker_name(one.worker_name);
    to->set_host_id(one.host_id);
    to->set_peer_address(one.peer_address);
    to->set_device(one.device);
  }
  out.set_token(token);
  return out;
}

}  // namespace overwinter::rpc
