#include "coordinator/dashboard/job_routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "common/wire/checkpoint.h"
#include "coordinator/dashboard/log_blocks.h"
#include "coordinator/dashboard/series.h"
#include "coordinator/dashboard/timeline.h"
#include "coordinator/runtime/explain.h"
#include "coordinator/runtime/job_queries.h"
#include "coordinator/runtime/resources.h"
#include "overwinter/v1/checkpoint.pb.h"

namespace overwinter::dashboard {
namespace {

constexpr std::uint64_t kPointsByDefault = 1'000;
constexpr std::uint64_t kPointsMax = 5'000;
constexpr int kCheckpointsMax = 1'000;
constexpr std::size_t kSearchBytesMax = 256;

Result<runtime::JobViewPtr> job_of(const Ask& ask) {
  const std::string_view last = ask.parts[5];
  const std::string name = "projects/" + std::string(ask.parts[3]) + "/jobs/" +
                           std::string(last.substr(0, last.find(':')));
  return runtime::find_any_job(ask.sources.views, ask.sources.store.history(), ask.caller, name);
}

// The metrics that a request names, or all.
std::set<std::string, std::less<>> names_of(const std::string& text) {
  std::set<std::string, std::less<>> names;
  for (std::string_view rest = text; !rest.empty();) {
    const auto comma = rest.find(',');
    names.emplace(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return names;
}

Result<telemetry::Smoothing> smoothing_of(const std::string& text) {
  if (text.empty()) return telemetry::Smoothing::kNone;
  if (text == "0.6") return telemetry::Smoothing::kLight;
  if (text == "0.9") return telemetry::Smoothing::kStrong;
  return fail(Code::kInvalidArgument, "smooth is 0.6 or 0.9", "smooth");
}

Result<BlockQuery> block_query(const Query& query) {
  BlockQuery out;
  const auto rank = query.number("rank");
  if (!rank) return fail(rank.error());
  const auto attempt = query.number("attempt");
  if (!attempt) return fail(attempt.error());
  const auto from = query.number("from");
  if (!from) return fail(from.error());
  const auto before = query.number("before");
  if (!before) return fail(before.error());
  const auto lines = query.number("lines");
  if (!lines) return fail(lines.error());
  if (*from && *before) {
    return fail(Code::kInvalidArgument, "a block begins at `from` or ends at `before`", "before");
  }
  if (lines->value_or(1) == 0 || lines->value_or(1) > kBlockLinesMax) {
    return fail(Code::kInvalidArgument, "lines is 1 to 500", "lines");
  }
  if (rank->value_or(0) > UINT32_MAX || attempt->value_or(0) > UINT32_MAX) {
    return fail(Code::kInvalidArgument, "there is no such rank or attempt", "rank");
  }
  if (*rank) out.rank = static_cast<std::uint32_t>(**rank);
  if (*attempt) out.attempt = static_cast<AttemptNumber>(**attempt);
  out.from = *from;
  out.before = *before;
  out.lines_max = lines->value_or(kBlockLinesMax);
  return out;
}

// A list as JSON that was printed without its rows.
Response with_jobs(Response list, const std::string& rows) {
  constexpr std::string_view kNoJobs = "{\"jobs\":[";
  if (!list.body.starts_with(kNoJobs))
    return refusal(error(Code::kInternal, "the list could not be written as JSON"));
  list.body.insert(kNoJobs.size(), rows);
  return list;
}

}  // namespace

Response list_jobs(const Ask& ask) {
  const auto query = Query::read(ask.query, {"filter", "orderBy", "pageSize", "pageToken"});
  if (!query) return refusal(query.error());
  const auto size = query->number("pageSize");
  if (!size || size->value_or(0) > INT32_MAX) {
    return refusal(error(Code::kInvalidArgument, "pageSize is a number", "pageSize"));
  }
  v1::ListJobsRequest request;
  request.set_parent("projects/" + std::string(ask.parts[3]));
  request.set_filter(query->text("filter"));
  request.set_order_by(query->text("orderBy"));
  request.set_page_token(query->text("pageToken"));
  request.set_page_size(static_cast<std::int32_t>(size->value_or(0)));
  v1::ListJobsResponse list;
  std::string rows;
  const auto add = [&](const runtime::JobViewPtr& job) {
    const JobTexts::Text text = ask.texts.of(job, ask.now);
    rows += (rows.empty() ? "" : ",") + *text;
    return text->size();
  };
  const Status status =
      runtime::list_jobs(ask.sources.views, ask.sources.store, ask.caller, request, add, list);
  return status.ok() ? with_jobs(as_json(list), rows) : refusal(status);
}

Response get_job(const Ask& ask) {
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  Response response;
  response.body = *ask.texts.of(*job, ask.now) + '\n';
  return response;
}

Response explain_job(const Ask& ask) {
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  return as_json(runtime::explain_job(ask.sources.views, ask.caller, **job));
}

Response job_timeline(const Ask& ask) {
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  const auto timeline = timeline_json(ask.sources.views, ask.sources.store, **job, ask.now);
  return timeline ? as_json(*timeline) : refusal(timeline.error());
}

Response job_series(const Ask& ask) {
  const auto query = Query::read(ask.query, {"names", "x", "from", "to", "points", "smooth"});
  if (!query) return refusal(query.error());
  const auto from = query->number("from");
  if (!from) return refusal(from.error());
  const auto to = query->number("to");
  if (!to) return refusal(to.error());
  const auto points = query->number("points");
  if (!points) return refusal(points.error());
  const std::string x = query->text("x");
  const auto smoothing = smoothing_of(query->text("smooth"));
  if (!smoothing) return refusal(smoothing.error());
  if (!x.empty() && x != "step" && x != "time") {
    return refusal(error(Code::kInvalidArgument, "x is step or time", "x"));
  }
  if (points->value_or(0) > kPointsMax) {
    return refusal(error(Code::kInvalidArgument, "points is at most 5,000", "points"));
  }
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  const telemetry::JobKey key{(*job)->project, (*job)->id};
  const auto curves = ask.sources.telemetry.list_curves(key);
  if (!curves) return refusal(curves.error());
  const auto names = names_of(query->text("names"));
  auto series = nlohmann::json::array();
  for (const telemetry::CurveSummary& summary : *curves) {
    if (!names.empty() && !names.contains(summary.name)) continue;
    // A part of a curve comes as fine as it is kept.
    const std::size_t most = *to ? kPointsMax : points->value_or(kPointsByDefault);
    const auto read = [&](telemetry::Smoothing how) {
      auto values =
          ask.sources.telemetry.read_curve(key, summary.name, from->value_or(0), most, how);
      if (values && *to)
        std::erase_if(*values, [&](const auto& value) { return value.step > **to; });
      return values;
    };
    const auto values = read(telemetry::Smoothing::kNone);
    if (!values) return refusal(values.error());
    std::vector<telemetry::CurveValue> smooth;
    if (*smoothing != telemetry::Smoothing::kNone) smooth = read(*smoothing).value_or(smooth);
    auto lost = ask.sources.telemetry.lost_values(key, summary.name);
    std::erase_if(lost, [&](const auto& value) {
      return value.step < from->value_or(0) || value.step > to->value_or(UINT64_MAX);
    });
    series.push_back(
        series_json(summary, {*values, smooth, lost}, x == "time" ? Axis::kTime : Axis::kStep));
  }
  return as_json(nlohmann::json{{"series", std::move(series)}});
}

Response job_checkpoints(const Ask& ask) {
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  v1::ListCheckpointsResponse list;
  for (const auto& stored : ask.sources.checkpoints.list((*job)->id)) {
    if (list.checkpoints_size() == kCheckpointsMax) break;
    auto& one = *list.add_checkpoints();
    one = wire::to_proto(
        *stored.manifest,
        runtime::job_resource_name(**job) + "/checkpoints/" + std::to_string(stored.manifest->step),
        false);
    one.set_damage(stored.damage);
  }
  return as_json(list);
}

Response job_logs(const Ask& ask) {
  const auto query = Query::read(ask.query, {"rank", "attempt", "from", "before", "lines"});
  if (!query) return refusal(query.error());
  const auto wanted = block_query(*query);
  if (!wanted) return refusal(wanted.error());
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  const auto block = read_block(ask.sources.telemetry, {(*job)->project, (*job)->id}, *wanted);
  return block ? as_json(block_json(*block)) : refusal(block.error());
}

Response search_logs(const Ask& ask) {
  const auto query = Query::read(ask.query, {"q", "rank", "attempt", "from"});
  if (!query) return refusal(query.error());
  const std::string text = query->text("q");
  if (text.empty() || text.size() > kSearchBytesMax) {
    return refusal(error(Code::kInvalidArgument, "q is what to look for, 1 to 256 bytes", "q"));
  }
  const auto wanted = block_query(*query);
  if (!wanted) return refusal(wanted.error());
  const auto job = job_of(ask);
  if (!job) return refusal(job.error());
  const auto hits = search(ask.sources.telemetry, {(*job)->project, (*job)->id}, *wanted, text);
  return hits ? as_json(block_json(*hits)) : refusal(hits.error());
}

}  // namespace overwinter::dashboard
