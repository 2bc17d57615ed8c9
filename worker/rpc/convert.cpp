#include "worker/rpc/convert.h"

#include <memory>
#include <utility>

#include "common/wire/convert.h"

namespace overwinter::worker {
namespace {

void fill(const SeatStatus& status, v1::SeatStatus& out) {
  *out.mutable_seat() = wire::to_proto(status.seat);
  *out.mutable_used() = wire::to_proto(status.used);
  wire::to_proto(status.held, out.mutable_held());
  out.set_memory_peak_bytes(status.memory_peak_bytes);
  out.set_memory_used_bytes(status.memory_used_bytes);
  out.set_stopping(status.stopping);
  out.set_phase(static_cast<v1::GangPhase>(status.phase));
  out.set_step(status.step);
  out.set_activity(status.activity);
}

void fill(const SendHello& hello, const MachineInfo& machine, v1::Hello& out) {
  out.set_incarnation(hello.incarnation.value());
  out.set_version(machine.version);
  out.set_host_id(machine.host_id);
  out.set_host_name(machine.host_name);
  for (const DeviceInfo& device : machine.devices) *out.add_devices() = wire::to_proto(device);
  for (const SeatStatus& seat : hello.seats) fill(seat, *out.add_seats());
  out.set_last_report(hello.last_report);
  out.set_generation(hello.generation.value());
  out.set_peer_address(machine.peer_address);
  out.set_network(machine.network);
  out.set_shared_network(machine.shared_network);
  out.set_no_exec(machine.no_exec);
  out.set_memory_limit(machine.memory_limit);
  out.set_host_memory_bytes(machine.host.memory_bytes);
  out.set_host_cpus(machine.host.cpus);
}

v1::SeatEnded::End to_proto(SeatEnd end) {
  switch (end) {
    case SeatEnd::kFinished:
      return v1::SeatEnded::FINISHED;
    case SeatEnd::kFundsEnded:
      return v1::SeatEnded::FUNDS_ENDED;
    case SeatEnd::kRefused:
      return v1::SeatEnded::REFUSED;
    case SeatEnd::kFailed:
      return v1::SeatEnded::FAILED;
    case SeatEnd::kLeaving:
      return v1::SeatEnded::LEAVING;
    case SeatEnd::kCompleted:
      return v1::SeatEnded::COMPLETED;
    case SeatEnd::kPeerLost:
      return v1::SeatEnded::PEER_LOST;
  }
  return v1::SeatEnded::END_UNSPECIFIED;
}

struct FillReport {
  v1::Report& out;
  void operator()(const SeatBegan& r) const {
    *out.mutable_seat_began()->mutable_seat() = wire::to_proto(r.seat);
  }
  void operator()(const SeatEnded& r) const {
    v1::SeatEnded& ended = *out.mutable_seat_ended();
    *ended.mutable_seat() = wire::to_proto(r.seat);
    ended.set_end(to_proto(r.end));
    *ended.mutable_used() = wire::to_proto(r.used);
    ended.set_memory_peak_bytes(r.memory_peak_bytes);
    ended.set_message(r.message);
    if (r.exit == SeatExit{}) return;
    ended.mutable_exit()->set_exit_code(r.exit.exit_code);
    ended.mutable_exit()->set_signal(r.exit.signal);
    if (r.exit.rank) ended.mutable_exit()->set_rank(*r.exit.rank);
    ended.mutable_exit()->set_step(r.exit.step);
    ended.mutable_exit()->set_repeats(r.exit.repeats);
  }
  void operator()(const SeatPrepared& r) const {
    *out.mutable_seat_prepared()->mutable_seat() = wire::to_proto(r.seat);
  }
  void operator()(const LaunchFailedReport& r) const {
    v1::LaunchFailed& failed = *out.mutable_launch_failed();
    *failed.mutable_seat() = wire::to_proto(r.seat);
    failed.set_unreachable(r.unreachable.value());
    failed.set_message(r.message);
  }
  void operator()(const UnitsReported& r) const {
    *out.mutable_units_reported()->mutable_seat() = wire::to_proto(r.seat);
    wire::to_proto(r.units, out.mutable_units_reported()->mutable_units());
  }
  void operator()(const UnitsFailedReport& r) const {
    v1::UnitsFailed& failed = *out.mutable_units_failed();
    *failed.mutable_seat() = wire::to_proto(r.seat);
    wire::to_proto(r.units, failed.mutable_units());
    failed.set_message(r.message);
  }
};

Result<OfferSeat> offer_from(const v1::OfferSeat& m) {
  auto seat = wire::from_proto(m.seat());
  auto funded = wire::from_proto(m.funded_for());
  auto stop = wire::from_proto(m.stop_time());
  if (!seat) return fail(seat.error());
  if (!funded) return fail(funded.error());
  if (!stop) return fail(stop.error());
  OfferSeat offer;
  offer.seat = *seat;
  offer.device = m.device();
  offer.memory_bytes = m.memory_bytes();
  offer.threads = m.threads();
  offer.funded_for = *funded;
  offer.stop_time = *stop;
  offer.job = m.job();
  offer.capability = m.capability();
  offer.spec = std::make_shared<const std::string>(m.spec());
  offer.plan = std::make_shared<const std::string>(m.plan());
  offer.gang = m.gang();
  if (m.has_from_step()) offer.from_step = m.from_step();
  return offer;
}

Result<LaunchGang> launch_from(const v1::LaunchGang& m) {
  constexpr int kMembersMax = 4096;
  auto seat = wire::from_proto(m.seat());
  if (!seat) return fail(seat.error());
  if (m.members_size() > kMembersMax) {
    return fail(Code::kInvalidArgument, "a gang has at most 4,096 members", "members");
  }
  LaunchGang order;
  order.seat = *seat;
  for (const v1::LaunchGang::Member& from : m.members()) {
    auto key = wire::from_proto(from.seat());
    if (!key) return fail(key.error());
    order.members.push_back({*key, WorkerId(from.worker()), from.worker_name(), from.host_id(),
                             from.peer_address(), from.device()});
  }
  order.token = m.token();
  return order;
}

Result<FundSeat> fund_from(const v1::FundSeat& m) {
  auto seat = wire::from_proto(m.seat());
  auto funded = wire::from_proto(m.funded_for());
  if (!seat) return fail(seat.error());
  if (!funded) return fail(funded.error());
  return FundSeat{*seat, *funded, m.capability()};
}

Result<Welcome> welcome_from(const v1::Welcome& m) {
  Welcome welcome;
  welcome.acknowledged = m.acknowledged();
  welcome.generation = Generation(m.generation());
  if (m.has_heartbeat_every()) {
    auto every = wire::from_proto(m.heartbeat_every());
    if (!every) return fail(every.error());
    welcome.heartbeat_every = *every;
  }
  for (const v1::FundSeat& keep : m.keep()) {
    auto fund = fund_from(keep);
    if (!fund) return fail(fund.error());
    welcome.keep.push_back(std::move(*fund));
  }
  for (const v1::SeatKey& drop : m.drop()) {
    auto seat = wire::from_proto(drop);
    if (!seat) return fail(seat.error());
    welcome.drop.push_back(*seat);
  }
  for (const v1::OfferSeat& start : m.start()) {
    auto offer = offer_from(start);
    if (!offer) return fail(offer.error());
    welcome.start.push_back(std::move(*offer));
  }
  return welcome;
}

template <class Order, class Message>
Result<Input> units_from(const Message& m) {
  auto seat = wire::from_proto(m.seat());
  auto units = wire::from_proto(m.units());
  if (!seat) return fail(seat.error());
  if (!units) return fail(units.error());
  return Input(Order{*seat, std::move(*units)});
}

template <class T>
Result<Input> as_input(Result<T> value) {
  if (!value) return fail(value.error());
  return Input(std::move(*value));
}

Result<Input> input_from(const v1::CoordinatorMessage& m) {
  switch (m.message_case()) {
    case v1::CoordinatorMessage::kWelcome:
      return as_input(welcome_from(m.welcome()));
    case v1::CoordinatorMessage::kOfferSeat:
      return as_input(offer_from(m.offer_seat()));
    case v1::CoordinatorMessage::kFundSeat:
      return as_input(fund_from(m.fund_seat()));
    case v1::CoordinatorMessage::kHandOutUnits:
      return units_from<HandOutUnits>(m.hand_out_units());
    case v1::CoordinatorMessage::kReclaimUnits:
      return units_from<ReclaimUnits>(m.reclaim_units());
    case v1::CoordinatorMessage::kStopSeat: {
      auto seat = wire::from_proto(m.stop_seat().seat());
      if (!seat) return fail(seat.error());
      return Input(StopSeat{*seat, m.stop_seat().reason(), m.stop_seat().at_once()});
    }
    case v1::CoordinatorMessage::kLaunchGang:
      return as_input(launch_from(m.launch_gang()));
    case v1::CoordinatorMessage::kAcknowledge:
      return Input(Acknowledge{m.acknowledge().report()});
    case v1::CoordinatorMessage::kDescribeHost:
    case v1::CoordinatorMessage::kProbePeer:
    case v1::CoordinatorMessage::MESSAGE_NOT_SET:
      break;
  }
  return fail(Code::kUnimplemented, "an order of an unknown kind");
}

}  // namespace

v1::WorkerMessage to_proto(const Output& message, const MachineInfo& machine) {
  v1::WorkerMessage out;
  if (const auto* hello = std::get_if<SendHello>(&message)) {
    fill(*hello, machine, *out.mutable_hello());
  } else if (const auto* heartbeat = std::get_if<SendHeartbeat>(&message)) {
    v1::Heartbeat& beat = *out.mutable_heartbeat();
    for (const SeatStatus& seat : heartbeat->seats) fill(seat, *beat.add_seats());
  } else if (const auto* report = std::get_if<SendReport>(&message)) {
    out.mutable_report()->set_number(report->number);
    std::visit(FillReport{*out.mutable_report()}, report->report);
  }
  return out;
}

Result<Orders> from_proto(const v1::ConnectResponse& response) {
  Orders orders;
  for (const v1::CoordinatorMessage& message : response.messages()) {
    if (message.has_describe_host() || message.has_probe_peer()) {
      orders.questions.push_back(message);
      continue;
    }
    auto input = input_from(message);
    if (!input) {
      if (input.error().code == Code::kUnimplemented) continue;
      return fail(input.error());
    }
    if (message.has_welcome()) {
      orders.welcome = true;
      orders.descriptor_socket = message.welcome().descriptor_socket();
    }
    orders.inputs.push_back(std::move(*input));
  }
  return orders;
}

}  // namespace overwinter::worker
