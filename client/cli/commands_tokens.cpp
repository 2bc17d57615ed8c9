// tokens create|list|revoke, login
#include <fmt/format.h>
#include <unistd.h>

#include <google/protobuf/util/time_util.h>

#include <cstdio>
#include <filesystem>
#include <iostream>

#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "common/security/file_io.h"

namespace overwinter::cli {
namespace {

using google::protobuf::util::TimeUtil;

int create_join_file(const Globals& globals, client::Client& client, const TokenOptions& options,
                     Duration ttl) {
  if (options.output.empty()) {
    return report(error(Code::kInvalidArgument, "a join file is a secret and is written to a file",
                        "-o", "add `-o join.file`"));
  }
  v1::CreateJoinFileRequest request;
  request.set_uses(options.uses);
  *request.mutable_ttl() = TimeUtil::MillisecondsToDuration(ttl.count());
  request.set_name(options.name);
  for (const std::string& project : options.projects) request.add_projects(project);
  request.set_may_set_price(options.may_set_price);
  auto made = client.create_join_file(request);
  if (!made) return report(made.error());
  if (const Status written = write_file_atomically(options.output, made->join_file());
      !written.ok()) {
    return report(written);
  }
  if (is_machine(globals.output)) {
    print_message(globals.output, made->token());
    return kDone;
  }
  const std::string file = std::filesystem::path(options.output).filename().string();
  print_line(options.output);
  say(globals.output,
      fmt::format(
          "good for {} machine{} until {}. Copy it to the machine (it is a secret), then there:",
          options.uses, options.uses == 1 ? "" : "s", time_text(made->token().expire_time())));
  say(globals.output,
      "  shell    overwinter-worker --join " + file + " --data-dir /var/lib/overwinter-worker");
  say(globals.output, "  systemd  install -D -m 600 " + file +
                          " /etc/overwinter/join.file && "
                          "systemctl enable --now overwinter-worker");
  say(globals.output, "  compose  JOIN_FILE=$PWD/" + file +
                          " docker-compose -f "
                          "deploy/docker-compose.yml --profile machine up -d");
  say(globals.output, "it is used once; later starts need it no more.");
  return kDone;
}

Result<Duration> parse_ttl(const std::string& text, Duration otherwise) {
  if (text.empty()) return otherwise;
  auto ttl = parse_duration(text);
  if (!ttl) {
    Status status = ttl.error();
    status.field = "--ttl";
    return fail(std::move(status));
  }
  return ttl;
}

}  // namespace

int run_tokens_create(const Globals& globals, const TokenOptions& options) {
  const bool join = options.role == "worker";
  auto ttl = parse_ttl(options.ttl, join ? Duration(std::chrono::hours(24)) : Duration(0));
  if (!ttl) return report(ttl.error());
  auto connected = globals.connect();
  if (!connected) return report(connected.error());
  client::Client& client = **connected;
  if (join) return create_join_file(globals, client, options, *ttl);
  v1::CreateTokenRequest request;
  request.set_role(options.role);
  request.set_project(options.project);
  request.set_name(options.name);
  if (ttl->count() > 0) *request.mutable_ttl() = TimeUtil::MillisecondsToDuration(ttl->count());
  auto made = client.create_token(request);
  if (!made) return report(made.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *made);
    return kDone;
  }
  if (options.output.empty()) {
    print_line(made->login());
  } else if (const Status written = write_file_atomically(options.output, made->login() + "\n");
             !written.ok()) {
    return report(written);
  }
  say(globals.output,
      fmt::format(
          "token {} ({}). Its owner runs `overwinter login` and gives this line, once, within "
          "15 minutes.",
          made->token().id(), made->token().role()));
  return kDone;
}

int run_tokens_list(const Globals& globals) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  auto list = (*client)->list_tokens();
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  Table table({"ID", "ROLE", "PROJECT", "STATE", "USES", "ENDS", "FOR"});
  for (const v1::Token& token : list->tokens()) {
    const bool join = token.role() == "worker";
    table.add({std::to_string(token.id()), token.role(),
               token.project().empty() ? "all" : token.project(),
               token.revoked() ? "revoked" : "good", join ? std::to_string(token.uses_left()) : "-",
               token.has_expire_time() ? time_text(token.expire_time()) : "never",
               printable(token.name())});
  }
  table.print(globals.output);
  return kDone;
}

int run_tokens_revoke(const Globals& globals, std::uint64_t id, bool join_file) {
  auto client = globals.connect();
  if (!client) return report(client.error());
  const Status status = (*client)->revoke_token(id, join_file);
  if (!status.ok()) return report(status);
  say(globals.output, fmt::format("{} {} is revoked", join_file ? "join file" : "token", id));
  return kDone;
}

int run_login(const Globals& globals, const LoginOptions& options) {
  if (isatty(STDIN_FILENO) == 1) {
    std::fputs("the ow1_… line of `overwinter tokens create`: ", stderr);
  }
  std::string line;
  std::getline(std::cin, line);
  if (line.size() > 4096) line.resize(4096);
  const std::filesystem::path folder =
      std::filesystem::path(client::config_path()).parent_path() / options.name;
  auto context = client::login(line, folder.string(), options.name,
                               globals.timeout.value_or(Duration(15'000)));
  if (!context) return report(context.error());
  const Status stored = client::store_context(client::config_path(), *context);
  if (!stored.ok()) return report(stored);
  say(globals.output,
      fmt::format("logged in to {} as context \"{}\"", context->address, context->name));
  return kDone;
}

}  // namespace overwinter::cli
