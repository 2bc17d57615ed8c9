#include "coordinator/wire/fact_codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <random>

#include "overwinter/v1/fact.pb.h"
#include "tests/unit/coordinator/wire/every_fact.h"
#include "tests/unit/coordinator/wire/members.h"

namespace overwinter::wire {
namespace {

using core::Fact;
using core::test::every_fact;

// Equal by content, where a fact holds shared bytes too.
bool same(const core::SharedBytes& a, const core::SharedBytes& b) {
  return (a == nullptr) == (b == nullptr) && (a == nullptr || *a == *b);
}
template <class T>
bool same(const T& a, const T& b) {
  return a == b;
}
bool same_fact(const Fact& a, const Fact& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        const auto& right = std::get<std::decay_t<decltype(left)>>(b);
        return std::apply(
            [&](const auto&... l) {
              return std::apply([&](const auto&... r) { return (same(l, r) && ...); },
                                test::members(right));
            },
            test::members(left));
      },
      a);
}

// The names of fields that were left at their default, by protobuf's own reflection.
void unset_fields(const google::protobuf::Message& message, const std::string& prefix,
                  std::vector<std::string>& out) {
  const auto* reflection = message.GetReflection();
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->real_containing_oneof() != nullptr && !reflection->HasField(message, field)) {
      continue;  // another fact of the oneof
    }
    const std::string name = prefix + "." + std::string(field->name());
    const bool set = field->is_repeated() ? reflection->FieldSize(message, field) > 0
                                          : reflection->HasField(message, field);
    if (!set) out.push_back(name);
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE || !set) continue;
    if (!field->is_repeated()) {
      unset_fields(reflection->GetMessage(message, field), name, out);
    } else {
      for (int n = 0; n < reflection->FieldSize(message, field); ++n) {
        unset_fields(reflection->GetRepeatedMessage(message, field, n), name, out);
      }
    }
  }
}

TEST(FactCodec, EveryFactComesBackWithEveryField) {
  for (const Fact& fact : every_fact()) {
    const std::string bytes = encode_turn(3, core::test::at(9), std::span(&fact, 1));
    const auto turn = decode_turn(bytes);
    ASSERT_TRUE(turn) << fact.index() << ": " << turn.error().message;
    EXPECT_EQ(turn->sequence, 3U);
    EXPECT_EQ(turn->time, core::test::at(9));
    ASSERT_EQ(turn->facts.size(), 1U);
    EXPECT_TRUE(same_fact(turn->facts[0], fact)) << "fact " << fact.index();
  }
}

TEST(FactCodec, NoFieldOfTheMessageIsLeftOut) {
  const auto facts = every_fact();
  v1::Turn turn;
  ASSERT_TRUE(turn.ParseFromString(encode_turn(3, core::test::at(9), facts)));
  std::vector<std::string> unset;
  unset_fields(turn, "turn", unset);
  EXPECT_TRUE(unset.empty()) << ::testing::PrintToString(unset);
  // And every fact of the message is one that the core knows.
  EXPECT_EQ(v1::Fact::descriptor()->field_count(), static_cast<int>(std::variant_size_v<Fact>));
}

TEST(FactCodec, DefaultsAndAbsentFieldsComeBack) {
  const std::vector<Fact> facts = {core::JobAccepted{},      core::TokenCreated{},
                                   core::SeatFunded{},       core::JobUpdated{},
                                   core::WorkerRegistered{}, core::UnitsDone{}};
  const auto turn = decode_turn(encode_turn(1, Time{}, facts));
  ASSERT_TRUE(turn) << turn.error().message;
  ASSERT_EQ(turn->facts.size(), facts.size());
  for (std::size_t i = 0; i < facts.size(); ++i) EXPECT_TRUE(same_fact(turn->facts[i], facts[i]));
}

TEST(FactCodec, ChargesKeepAll128Bits) {
  for (const auto& units :
       {ledger::Int128{0}, ledger::Int128{1}, ledger::Int128{-1}, (ledger::Int128{1} << 64),
        (ledger::Int128{1} << 64) - 1, -(ledger::Int128{1} << 64), (ledger::Int128{1} << 126),
        -(ledger::Int128{1} << 126) - 12345}) {
    const Fact fact = core::MachineCharged{WorkerId(1), {}, {}, {units}, {-units}, {units / 3}};
    const auto turn = decode_turn(encode_turn(1, Time{}, std::span(&fact, 1)));
    ASSERT_TRUE(turn);
    EXPECT_TRUE(same_fact(turn->facts[0], fact));
  }
}

TEST(FactCodec, TheSameTurnGivesTheSameBytes) {
  core::WorkerRegistered fact = core::test::full(core::test::Tag<core::WorkerRegistered>{});
  for (int i = 0; i < 50; ++i) fact.labels["key" + std::to_string(i)] = "value";
  const Fact one = fact;
  const std::string first = encode_turn(1, Time{}, std::span(&one, 1));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(encode_turn(1, Time{}, std::span(&one, 1)), first);
}

TEST(FactCodec, TextsThatAreNoUtf8ComeBack) {
  core::JobAccepted accepted = core::test::full(core::test::Tag<core::JobAccepted>{});
  const std::string cut = "caf\xC3";  // "café" cut in the middle of its last character
  accepted.display_name = cut;
  accepted.labels[cut] = cut;
  core::WorkerConnected connected = core::test::full(core::test::Tag<core::WorkerConnected>{});
  connected.machine.devices[0].model = cut;
  const std::vector<Fact> facts = {
      accepted, connected,
      core::JobStateChanged{JobId(1), core::JobState::kFailed, core::Cause::kFailure, 1, cut, 0}};
  const auto turn = decode_turn(encode_turn(1, Time{}, facts));
  ASSERT_TRUE(turn) << turn.error().message;
  for (std::size_t i = 0; i < facts.size(); ++i) EXPECT_TRUE(same_fact(turn->facts[i], facts[i]));
}

TEST(FactCodec, ANewerVersionIsRefusedWithBothNumbers) {
  v1::Turn turn;
  turn.set_version(kFactVersion + 6);
  const auto read = decode_turn(turn.SerializeAsString());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kFailedPrecondition);
  EXPECT_NE(read.error().message.find("7"), std::string::npos);
  EXPECT_NE(read.error().message.find("1"), std::string::npos);
}

TEST(FactCodec, NonsenseIsNamed) {
  v1::Turn turn;
  turn.set_version(kFactVersion);
  turn.set_sequence(42);
  turn.add_facts();  // of a kind that this program does not know
  EXPECT_EQ(decode_turn(turn.SerializeAsString()).error().code, Code::kDataLoss);
  turn.mutable_facts(0)->mutable_job_state_changed()->set_state(99);
  const auto state = decode_turn(turn.SerializeAsString());
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().field, "state");
  EXPECT_NE(state.error().message.find("turn 42"), std::string::npos);
  auto* units = turn.mutable_facts(0)->mutable_units_done()->add_units();
  units->set_begin(7);
  units->set_end(7);
  EXPECT_EQ(decode_turn(turn.SerializeAsString()).error().field, "units");
  turn.mutable_facts(0)->mutable_token_created()->set_hash("short");
  EXPECT_EQ(decode_turn(turn.SerializeAsString()).error().field, "hash");
}

TEST(FactCodec, HostileBytesNeverCrash) {
  const std::string good = encode_turn(3, core::test::at(9), every_fact());
  std::mt19937_64 random(20261124);
  std::size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    const auto changes = 1 + random() % 4;
    for (std::uint64_t i = 0; i < changes; ++i) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    const auto turn = decode_turn(bytes);
    refused += turn ? 0U : 1U;
    if (turn) {
      EXPECT_LE(turn->facts.size(), 1000U);
    }
  }
  EXPECT_GT(refused, 1000U);
}

}  // namespace
}  // namespace overwinter::wire
