// What is sent: JSON that Slack-compatible receivers take ("text"), with the same for machines
// beside it. Pure.
//
//   {"text": "[lab] Job mm-4096 FAILED: …\nCharged 0.0213 of 0.50 USD.\nhttps://…",
//    "event": "failed", "cluster": "lab", "time": "2026-11-29T10:00:00.000Z", "state": "FAILED",
//    "job": "projects/demo/jobs/mm-4096", "project": "demo", "sentence": "…", "link": "https://…",
//    "charged": {"amountMicros": "21300", "currencyCode": "USD"}, "cap": {…}}
//
// Of a machine "worker": "workers/W" stands in place of job and project, and of an idle one
// "charged" is what it has cost since it has no work.
#pragma once

#include <string>
#include <string_view>

#include "coordinator/notify/notice.h"

namespace overwinter::notify {

struct MessageContext {
  std::string cluster;
  std::string currency;
  std::string page;  // https://HOST:PORT; empty: no link
};

inline constexpr std::size_t kNameShownMax = 100;      // bytes
inline constexpr std::size_t kSentenceShownMax = 600;  // bytes

[[nodiscard]] std::string message_of(const Notice& notice, const MessageContext& context);
// Says that it is a test and who may ignore it.
[[nodiscard]] std::string test_message(const std::string& hook, const MessageContext& context,
                                       Time now);

// Text of a user for "text": &, < and > as Slack wants them, control characters and such that turn
// the direction of writing as "?", line ends as spaces, no name that calls somebody (a zero-width
// space behind "@"), at most `bytes_max` bytes of it and then "…". Always UTF-8.
[[nodiscard]] std::string shown(std::string_view text, std::size_t bytes_max);

}  // namespace overwinter::notify
