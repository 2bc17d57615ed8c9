// Records against the core's own equality, on states that a cluster really had.
#include "coordinator/wire/record_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/core_builders.h"

namespace overwinter::wire {
namespace {

using namespace core::test;

// A cluster with a job in every stage: seats held, one paused, one failed, tokens, a revoked join
// file.
TestCluster& a_busy_cluster() {
  static TestCluster cluster;
  static const bool built = [] {
    cluster.set_prices(a_book(1'890'000));
    const WorkerId worker = cluster.joined(a_worker().named("one").with_price(77).on_spot());
    cluster.joined(a_worker().named("two").for_projects({"default"}));
    core::TokenCreateRequested token;
    token.by = admin();
    token.hash.bytes[3] = 7;
    token.role = Role::kBilling;
    token.name = "ann";
    token.expires = cluster.now + Duration(1000);
    cluster.step(token);
    const JobId running =
        cluster.submit(a_job().with_units(9).with_cap(5'000'000).with_time_limit(Duration(99'000)));
    const SeatKey seat = cluster.seat(running);
    cluster.began(seat);
    cluster.run_for(Duration(3000));
    cluster.land(seat, units(2, 4));
    cluster.land(seat, units(7, 8));
    const JobId paused = cluster.submit(a_job().with_request_id("r1"));
    cluster.act(paused, core::JobAction::kPause);
    cluster.submit(a_job().with_memory(1ULL << 60));
    cluster.beat(worker);
    return true;
  }();
  EXPECT_TRUE(built);
  return cluster;
}

TEST(RecordCodec, EveryRecordComesBack) {
  const core::ClusterState& state = a_busy_cluster().state();
  ASSERT_GE(state.jobs.size(), 2U);
  bool held = false;
  for (const auto& [id, job] : state.jobs) {
    auto back = decode_job(encode_job(job));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(static_cast<const core::JobRecord&>(*back) == job);
    EXPECT_EQ(back->spec, nullptr);
    held = held || !job.seats.empty();
  }
  EXPECT_TRUE(held);
  for (const auto& [id, worker] : state.workers) {
    const auto back = decode_worker(encode_worker(worker));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(*back == worker);
  }
  ASSERT_FALSE(state.tokens.empty());
  for (const auto& [id, token] : state.tokens) {
    EXPECT_TRUE(decode_token(encode_token(token)).value() == token);
  }
  for (const auto& [id, file] : state.join_files) {
    EXPECT_TRUE(decode_join_file(encode_join_file(file)).value() == file);
  }
  for (const auto& [name, project] : state.projects) {
    EXPECT_TRUE(decode_project(encode_project(project)).value() == project);
  }
}

TEST(RecordCodec, AllFieldsThatACoreMaySet) {
  core::Job job;
  job.id = JobId(3);
  job.started_at = time_from_unix_ms(1);
  job.ended_at = time_from_unix_ms(2);
  job.running_since = time_from_unix_ms(3);
  job.ran = Duration(4);
  job.ran_at_resume = Duration(2);
  job.failures = 5;
  job.last_failure = "why";
  job.memory_peak_bytes = 6;
  job.next_seat = 9;
  job.state_actor = 10;
  job.charged.units = -(ledger::Int128{1} << 90);
  core::Seat seat;
  seat.key = {JobId(3), 2, 8};
  seat.stopping = true;
  seat.stop_cause = core::Cause::kDrain;
  seat.stopping_at = time_from_unix_ms(11);
  seat.used_charged = Duration(12);
  seat.charged.units = 13;
  job.seats.emplace(8, seat);
  const core::Job back = decode_job(encode_job(job)).value();
  EXPECT_TRUE(static_cast<const core::JobRecord&>(back) == job);
  core::Job gang;
  gang.id = JobId(4);
  gang.demand.transport = Transport::kGang;
  gang.wasted.units = 14;
  gang.gang_wait.units = 15;
  gang.up_at = time_from_unix_ms(16);
  const core::Job gang_back = decode_job(encode_job(gang)).value();
  EXPECT_TRUE(static_cast<const core::JobRecord&>(gang_back) == gang);
  core::Token token;
  token.id = TokenId(1);
  token.revoked_at = time_from_unix_ms(5);
  EXPECT_TRUE(decode_token(encode_token(token)).value() == token);
  core::JoinFile file;
  file.id = JoinFileId(1);
  file.used = 2;
  file.revoked_at = time_from_unix_ms(5);
  EXPECT_TRUE(decode_join_file(encode_join_file(file)).value() == file);
  core::Worker worker;
  worker.id = WorkerId(1);
  worker.draining = worker.removing = true;
  worker.reports_processed = 3;
  worker.lost.units = 4;
  worker.jobs_in_slice.units = 5;
  worker.jobs_later[time_from_unix_ms(77)].units = 9;
  worker.lost_at = {time_from_unix_ms(5), time_from_unix_ms(6)};
  worker.busy = {{time_from_unix_ms(7), time_from_unix_ms(8)}};
  worker.busy_since = time_from_unix_ms(9);
  EXPECT_TRUE(decode_worker(encode_worker(worker)).value() == worker);
}

TEST(RecordCodec, WhatAClusterHasOneOf) {
  core::ClusterState state = a_busy_cluster().state();
  state.earlier_prices.push_back({state.prices, time_from_unix_ms(7)});
  core::ClusterState back;
  ASSERT_TRUE(decode_cluster(encode_cluster(state), back).ok());
  back.projects = state.projects;
  back.tokens = state.tokens;
  back.join_files = state.join_files;
  back.workers = state.workers;
  back.jobs = state.jobs;
  back.jobs_by_name = state.jobs_by_name;
  back.jobs_by_request_id = state.jobs_by_request_id;
  back.workers_by_key = state.workers_by_key;
  back.workers_by_name = state.workers_by_name;
  EXPECT_TRUE(back == state);
}

TEST(RecordCodec, HostileBytesNeverCrash) {
  const core::Job& job = a_busy_cluster().state().jobs.begin()->second;
  const std::string good = encode_job(job);
  std::mt19937_64 random(7);
  std::size_t refused = 0;
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes = good;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(bytes.size() - random() % 3);
    refused += decode_job(bytes) ? 0U : 1U;
  }
  EXPECT_GT(refused, 100U);
  EXPECT_FALSE(decode_worker("")) << "an empty row is no worker";
}

}  // namespace
}  // namespace overwinter::wire
