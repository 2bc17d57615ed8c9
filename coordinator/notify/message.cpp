#include "coordinator/notify/message.h"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace overwinter::notify {
namespace {

using Json = nlohmann::ordered_json;

struct Character {
  std::uint32_t code = 0;  // 0xFFFD for bytes that are none
  std::size_t bytes = 1;
};

Character next_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length == 0 || lead > 0xf4 || text.size() < length) return {0xfffd, 1};
  std::uint32_t code = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xc0) != 0x80) return {0xfffd, 1};
    code = (code << 6) | (byte & 0x3f);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[length] || code > 0x10ffff || surrogate) return {0xfffd, 1};
  return {code, length};
}

bool is_hidden(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfffd || code == 0x061c ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
}

Json money_json(Money amount, const std::string& currency) {
  return {{"amountMicros", std::to_string(amount.micros)}, {"currencyCode", currency}};
}

std::string first_line(const Notice& notice) {
  const std::string name = shown(notice.name, kNameShownMax);
  const std::string job = "Job " + name + " (project " + shown(notice.project, kNameShownMax) + ")";
  switch (notice.event) {
    case Event::kFailed:
      return job + " FAILED";
    case Event::kPaused:
      return job + " is PAUSED";
    case Event::kCap80:
      return job + " has passed 80 % of its cap";
    case Event::kWorkerLost:
      return "Worker " + name + " is LOST";
    case Event::kWaiting:
      return job + " has waited for an hour";
    case Event::kIdle:
      return "Worker " + name + " is idle";
  }
  return job;
}

std::string money_line(const Notice& notice, const std::string& currency) {
  const std::string amount = format_money(notice.charged);
  if (notice.event == Event::kIdle) return "Cost since: " + amount + " " + currency + ".";
  if (notice.event == Event::kWorkerLost) return {};
  return "Charged " + amount + (notice.cap ? " of " + format_money(*notice.cap) : std::string()) +
         " " + currency + ".";
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string shown(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    const Character next = next_character(text);
    std::string piece(text.substr(0, next.bytes));
    if (next.code == '\n' || next.code == '\t' || next.code == '\r') {
      piece = " ";
    } else if (is_hidden(next.code)) {
      piece = "?";
    } else if (next.code == '&') {
      piece = "&amp;";
    } else if (next.code == '<') {
      piece = "&lt;";
    } else if (next.code == '>') {
      piece = "&gt;";
    } else if (next.code == '@') {
      piece = "@\u200b";
    }
    if (out.size() + piece.size() > bytes_max) return out + "…";
    out += piece;
    text.remove_prefix(next.bytes);
  }
  return out;
}

std::string message_of(const Notice& notice, const MessageContext& context) {
  const std::string of_job = "projects/" + notice.project + "/jobs/" + notice.name;
  const std::string resource = notice.job.valid() ? of_job : "workers/" + notice.name;
  const std::string link = context.page.empty() ? std::string() : context.page + "/" + resource;
  const std::string sentence = shown(notice.sentence, kSentenceShownMax);
  std::string text = "[" + shown(context.cluster, kNameShownMax) + "] " + first_line(notice);
  text += sentence.empty() ? "." : ": " + sentence;
  if (const std::string money = money_line(notice, context.currency); !money.empty())
    text += "\n" + money;
  if (!link.empty()) text += "\n" + shown(link, kSentenceShownMax);
  Json json = {{"text", text},
               {"event", event_name(notice.event)},
               {"cluster", context.cluster},
               {"time", format_time(notice.at)},
               {"state", notice.state}};
  if (notice.job.valid()) {
    json["job"] = resource;
    json["project"] = notice.project;
  } else {
    json["worker"] = resource;
  }
  json["sentence"] = sentence;
  if (!link.empty()) json["link"] = link;
  if (notice.event != Event::kWorkerLost)
    json["charged"] = money_json(notice.charged, context.currency);
  if (notice.cap) json["cap"] = money_json(*notice.cap, context.currency);
  return dumped(json);
}

std::string test_message(const std::string& hook, const MessageContext& context, Time now) {
  std::string text = "[" + shown(context.cluster, kNameShownMax) + "] This is a test of the hook " +
                     hook + ": nothing has happened, nothing is to be done.";
  if (!context.page.empty()) text += "\n" + context.page;
  const Json json = {{"text", text},
                     {"event", "test"},
                     {"cluster", context.cluster},
                     {"time", format_time(now)},
                     {"link", context.page}};
  return dumped(json);
}

}  // namespace overwinter::notify
