// Told: which hook was told what, so that a restart tells nothing twice and loses nothing. Pure;
// its text is kept in a file of the data folder, written after deliveries. A crash between a
// delivery and the writing tells once more: at least once, not exactly once.
//
// The text is JSON: {"version": 1, "hooks": {NAME: ms}, "told": {OWNER: {KEY: [NAME, …]}}}; a hook
// is told of nothing that happened before it was there.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"

namespace overwinter::notify {

inline constexpr std::size_t kToldMax =
    20'000;  // keys; beyond it some are forgotten and may be told again
inline constexpr std::size_t kToldBytesMax = std::size_t{8} * 1024 * 1024;
// Stands for the release command among the names; no hook can be called so.
inline constexpr std::string_view kReleased = "(released)";

class Told {
 public:
  // DATA_LOSS: not such a text.
  [[nodiscard]] static Result<Told> read(std::string_view text);
  [[nodiscard]] std::string text() const;

  // The hooks that there are now: new ones begin at `now`, others are forgotten.
  void set_hooks(const std::vector<std::string>& names, Time now);
  // Whether the hook is still to be told of what happened at `at`.
  [[nodiscard]] bool open(const std::string& hook, const std::string& owner, const std::string& key,
                          Time at) const;
  [[nodiscard]] bool has(const std::string& name, const std::string& owner,
                         const std::string& key) const;
  void add(const std::string& name, const std::string& owner, const std::string& key);
  void remove(const std::string& name, const std::string& owner, const std::string& key);
  void forget(const std::string& owner);

  // Whether text() has changed since the last call.
  [[nodiscard]] bool take_changed();

 private:
  std::map<std::string, Time> hooks_;
  std::map<std::string, std::map<std::string, std::set<std::string>>> told_;
  std::size_t keys_ = 0;
  bool changed_ = false;
};

}  // namespace overwinter::notify
