// Rows of projects, tokens and join files, and the one row of the cluster.
#include "coordinator/wire/record_codec.h"

#include "common/wire/convert.h"
#include "coordinator/wire/codec_parts.h"
#include "coordinator/wire/record_parts.h"
#include "overwinter/v1/record.pb.h"

namespace overwinter::wire {

using namespace codec;

std::string encode_project(const core::Project& project) {
  v1::ProjectRecord out;
  out.set_name(project.name);
  out.set_created_at_ms(unix_ms(project.created_at));
  put(project.charged, out.mutable_charged());
  return serialise(out);
}

Result<core::Project> decode_project(std::string_view bytes) {
  v1::ProjectRecord in;
  if (!parse(bytes, in) || in.name().empty()) return fail(damaged("project"));
  return core::Project{in.name(), time_from_unix_ms(in.created_at_ms()), charge(in.charged())};
}

std::string encode_token(const core::Token& token) {
  v1::TokenRecord out;
  out.set_id(token.id.value());
  out.set_hash(bytes_of(token.hash));
  out.set_role(static_cast<std::uint32_t>(token.role));
  out.set_project(token.project);
  out.set_name(token.name);
  if (token.expires) out.set_expires_ms(unix_ms(*token.expires));
  out.set_created_at_ms(unix_ms(token.created_at));
  if (token.revoked_at) out.set_revoked_at_ms(unix_ms(*token.revoked_at));
  return serialise(out);
}

Result<core::Token> decode_token(std::string_view bytes) {
  v1::TokenRecord in;
  if (!parse(bytes, in) || in.id() == 0) return fail(damaged("token"));
  Check check;
  core::Token out;
  out.id = TokenId(in.id());
  out.hash = digest(in.hash(), "hash", check);
  out.role = enumeration(in.role(), Role::kNone, Role::kAdmin, "role", check);
  out.project = in.project();
  out.name = in.name();
  if (in.has_expires_ms()) out.expires = time_from_unix_ms(in.expires_ms());
  out.created_at = time_from_unix_ms(in.created_at_ms());
  if (in.has_revoked_at_ms()) out.revoked_at = time_from_unix_ms(in.revoked_at_ms());
  if (!check.field().empty()) return fail(damaged("token", check.field()));
  return out;
}

std::string encode_join_file(const core::JoinFile& file) {
  v1::JoinFileRecord out;
  out.set_id(file.id.value());
  out.set_uses(file.uses);
  out.set_used(file.used);
  out.set_expires_ms(unix_ms(file.expires));
  out.set_name(file.name);
  for (const auto& project : file.projects) out.add_projects(project);
  out.set_may_set_price(file.may_set_price);
  out.set_created_at_ms(unix_ms(file.created_at));
  if (file.revoked_at) out.set_revoked_at_ms(unix_ms(*file.revoked_at));
  return serialise(out);
}

Result<core::JoinFile> decode_join_file(std::string_view bytes) {
  v1::JoinFileRecord in;
  if (!parse(bytes, in) || in.id() == 0) return fail(damaged("join file"));
  core::JoinFile out;
  out.id = JoinFileId(in.id());
  out.uses = in.uses();
  out.used = in.used();
  out.expires = time_from_unix_ms(in.expires_ms());
  out.name = in.name();
  out.projects.assign(in.projects().begin(), in.projects().end());
  out.may_set_price = in.may_set_price();
  out.created_at = time_from_unix_ms(in.created_at_ms());
  if (in.has_revoked_at_ms()) out.revoked_at = time_from_unix_ms(in.revoked_at_ms());
  return out;
}

std::string encode_cluster(const core::ClusterState& state) {
  v1::ClusterRecord out;
  out.set_cluster(state.cluster);
  out.set_seed(state.seed);
  out.set_last_time_ms(unix_ms(state.last_time));
  put(state.prices, out.mutable_prices());
  out.set_prices_source(state.prices_source);
  out.set_prices_set_at_ms(unix_ms(state.prices_set_at));
  out.set_next_job(state.next_job);
  out.set_next_worker(state.next_worker);
  out.set_next_token(state.next_token);
  out.set_next_join_file(state.next_join_file);
  for (const core::EarlierPrices& earlier : state.earlier_prices) {
    v1::EarlierPricesRecord* to = out.add_earlier_prices();
    put(earlier.book, to->mutable_prices());
    to->set_until_ms(unix_ms(earlier.until));
  }
  if (state.generation.is_restored()) {
    out.set_generation(state.generation.number);
    out.set_generation_id(state.generation.id);
    out.set_backup_turn(state.generation.backup_turn);
    out.set_backup_ms(unix_ms(state.generation.backup));
    out.set_restored_ms(unix_ms(state.generation.restored));
  }
  return serialise(out);
}

Status decode_cluster(std::string_view bytes, core::ClusterState& state) {
  v1::ClusterRecord in;
  if (!parse(bytes, in) || in.next_job() == 0) return damaged("cluster");
  state.cluster = in.cluster();
  state.seed = in.seed();
  state.last_time = time_from_unix_ms(in.last_time_ms());
  state.prices = price_book(in.prices());
  state.prices_source = in.prices_source();
  state.prices_set_at = time_from_unix_ms(in.prices_set_at_ms());
  state.next_job = in.next_job();
  state.next_worker = in.next_worker();
  state.next_token = in.next_token();
  state.next_join_file = in.next_join_file();
  state.earlier_prices.clear();
  for (const auto& from : in.earlier_prices()) {
    state.earlier_prices.push_back({price_book(from.prices()), time_from_unix_ms(from.until_ms())});
  }
  state.generation = {};
  if (in.generation() != 0) {
    state.generation = {in.generation(), in.generation_id(), in.backup_turn(),
                        time_from_unix_ms(in.backup_ms()), time_from_unix_ms(in.restored_ms())};
  }
  return Status::success();
}

}  // namespace overwinter::wire
