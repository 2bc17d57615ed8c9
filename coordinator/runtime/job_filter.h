// Filters and orders of lists: the part of AIP-160 that jobs need.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "coordinator/runtime/views.h"
#include "coordinator/store/history.h"

namespace overwinter::runtime {

// `state=RUNNING AND labels.team=nlp`, `NOT state=FAILED`, `display_name != "a b"`,
// `create_time>=2026-11-29T00:00:00Z`. Terms are joined by AND; there is no OR and there are no
// parentheses. Keys: state, name, display_name, priority, labels.KEY with = and !=, create_time
// with >=, >, <= and < and a time (RFC 3339, or a date). A value with spaces stands between double
// quotes; `*` at its end matches any rest.
class JobFilter {
 public:
  // INVALID_ARGUMENT (field filter), one sentence with what is not understood.
  [[nodiscard]] static Result<JobFilter> parse(std::string_view text);
  [[nodiscard]] bool matches(const JobView& job) const;
  // The one state that a match must have; nullopt: the filter does not say.
  [[nodiscard]] std::optional<core::JobState> only_state() const;
  // When a match was created: at `created_from` or later, before `created_before`.
  [[nodiscard]] std::optional<Time> created_from() const { return created_from_; }
  [[nodiscard]] std::optional<Time> created_before() const { return created_before_; }
  // It says nothing.
  [[nodiscard]] bool empty() const { return terms_.empty() && !created_from_ && !created_before_; }
  // It says nothing else than only_state() and the times.
  [[nodiscard]] bool of_state_and_time() const {
    return terms_.empty() || (terms_.size() == 1 && only_state());
  }

 private:
  struct Term {
    bool negated = false;
    bool prefix = false;
    std::string key;
    std::string value;
  };
  Status add_time(std::string_view comparison, std::string_view time, bool negated);

  std::vector<Term> terms_;
  std::optional<Time> created_from_;
  std::optional<Time> created_before_;
};

struct JobSort {
  store::JobOrder order = store::JobOrder::kCreated;
  bool descending = true;
};
// A key and, with a space between, "asc" (what is meant without) or "desc". Keys: create_time,
// end_time, state, cost, name. "" is "create_time desc".
[[nodiscard]] Result<JobSort> parse_order(std::string_view order_by);

[[nodiscard]] std::string_view state_name(core::JobState state);
[[nodiscard]] std::string_view priority_name(Priority priority);

}  // namespace overwinter::runtime
