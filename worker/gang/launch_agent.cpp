#include "worker/gang/launch_agent.h"

#include "common/base/log.h"
#include "overwinter/v1/local.pb.h"
#include "worker/local/local_channel.h"

namespace overwinter::worker {
namespace {

constexpr int kLost = 255;
constexpr std::string_view kShellOnly = ";&|<>()$`*?\n";
constexpr std::string_view kEscapedInQuotes = "\"\\$`";

Status beyond_words(char c) {
  return error(Code::kInvalidArgument,
               std::string("a command of Open MPI needs a shell ('") + c + "'); there is none");
}

// One word or a part of it that stands in quotes; `at` is behind the opening quote and is moved
// behind the closing one.
Status take_quoted(std::string_view line, std::size_t& at, char quote, std::string& word) {
  for (; at < line.size(); ++at) {
    char c = line[at];
    if (c == quote) {
      ++at;
      return Status::success();
    }
    if (quote == '"' && c == '\\' && at + 1 < line.size() &&
        kEscapedInQuotes.find(line[at + 1]) != std::string_view::npos) {
      c = line[++at];
    } else if (quote == '"' && (c == '$' || c == '`')) {
      return beyond_words(c);
    }
    word.push_back(c);
  }
  return error(Code::kInvalidArgument, "a command of Open MPI has a quote that is not closed");
}

}  // namespace

Result<std::vector<std::string>> split_as_shell(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool begun = false;
  for (std::size_t at = 0; at < line.size();) {
    const char c = line[at++];
    if (c == ' ' || c == '\t') {
      if (begun) words.push_back(std::move(word));
      word.clear();
      begun = false;
      continue;
    }
    begun = true;
    if (c == '\'' || c == '"') {
      if (Status taken = take_quoted(line, at, c, word); !taken.ok()) return fail(taken);
    } else if (c == '\\') {
      if (at == line.size()) return fail(beyond_words(c));
      word.push_back(line[at++]);
    } else if (kShellOnly.find(c) != std::string_view::npos) {
      return fail(beyond_words(c));
    } else {
      word.push_back(c);
    }
  }
  if (begun) words.push_back(std::move(word));
  return words;
}

int run_launch_agent(const std::filesystem::path& socket, const std::string& host,
                     std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) line += word + " ";
  auto cut = split_as_shell(line);
  if (!cut) {
    log_error("{}", cut.error().message);
    return kLost;
  }
  auto channel = LocalChannel::connect(socket);
  if (!channel) {
    log_error("{}", channel.error().message);
    return kLost;
  }
  v1::LocalRequest message;
  message.mutable_launch()->set_host(host);
  for (std::string& word : *cut) message.mutable_launch()->add_words(std::move(word));
  if (Status sent = channel->send(message); !sent.ok()) return kLost;
  for (;;) {
    const auto answer = channel->receive();
    if (!answer) {
      log_error("{}", answer.error().message);
      return kLost;
    }
    if (!answer->has_value() || !(*answer)->has_agent_ended()) continue;
    const v1::AgentEnded& ended = (*answer)->agent_ended();
    if (!ended.message().empty()) log_error("{}: {}", host, ended.message());
    return ended.exit_code();
  }
}

}  // namespace overwinter::worker
