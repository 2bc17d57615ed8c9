// audit list|export
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "client/cli/audit_text.h"
#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "common/base/clock.h"
#include "common/base/time.h"

namespace overwinter::cli {
namespace {

constexpr int kPageMax = 1000;

Result<v1::ListAuditEntriesRequest> audit_request(const AuditOptions& options) {
  v1::ListAuditEntriesRequest request;
  request.set_actor(options.actor);
  request.set_object(options.object);
  request.set_refusals(options.refusals);
  if (options.since.empty()) return request;
  Time since{};
  if (const auto age = parse_duration(options.since)) {
    since = Time(system_clock().wall()) - *age;
  } else if (const auto time = parse_time(options.since)) {
    since = *time;
  } else {
    return fail(Code::kInvalidArgument,
                "\"" + options.since + "\" is neither how long ago nor a time", "--since",
                "for example --since 7d, or --since 2026-11-24");
  }
  request.mutable_since()->set_seconds(unix_ms(since) / 1000);
  request.mutable_since()->set_nanos(static_cast<std::int32_t>(unix_ms(since) % 1000) * 1'000'000);
  return request;
}

// A file that becomes visible whole, under its name, and that nobody else can read.
class ExportFile {
 public:
  explicit ExportFile(std::string path) : path_(std::move(path)), part_(path_ + ".part") {}
  ~ExportFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!part_.empty()) ::unlink(part_.c_str());
  }
  ExportFile(const ExportFile&) = delete;
  ExportFile& operator=(const ExportFile&) = delete;

  Status open() {
    ::unlink(part_.c_str());
    descriptor_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return descriptor_ >= 0 ? Status::success() : failed();
  }
  Status write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::write(descriptor_, text.data(), text.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return failed();
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return Status::success();
  }
  Status finish() {
    if (::fsync(descriptor_) != 0 || ::rename(part_.c_str(), path_.c_str()) != 0) return failed();
    part_.clear();
    return Status::success();
  }

 private:
  [[nodiscard]] Status failed() const {
    return error(Code::kInvalidArgument, path_ + " cannot be written: " + std::strerror(errno),
                 "-o", "name a file in a folder that you may write to");
  }
  const std::string path_;
  std::string part_;
  int descriptor_ = -1;
};

Result<std::uint64_t> export_pages(client::Client& client, v1::ListAuditEntriesRequest request,
                                   ExportFile& file) {
  std::uint64_t count = 0;
  request.set_page_size(kPageMax);
  for (;;) {
    const auto page = client.list_audit(request);
    if (!page) return fail(page.error());
    std::string lines;
    for (const v1::AuditEntry& entry : page->entries()) lines += audit_line(entry);
    if (Status status = file.write(lines); !status.ok()) return fail(std::move(status));
    count += static_cast<std::uint64_t>(page->entries_size());
    if (page->next_page_token().empty()) return count;
    request.set_page_token(page->next_page_token());
  }
}

}  // namespace

int run_audit_list(const Globals& globals, const AuditOptions& options) {
  auto request = audit_request(options);
  if (!request) return report(request.error());
  auto client = globals.connect();
  if (!client) return report(client.error());
  request->set_page_size(options.limit);
  const auto list = (*client)->list_audit(*request);
  if (!list) return report(list.error());
  if (is_machine(globals.output)) {
    print_message(globals.output, *list);
    return kDone;
  }
  const bool is_wide = globals.output.format == Format::kWide;
  (is_wide ? audit_table_wide(*list) : audit_table(*list)).print(globals.output);
  if (!list->next_page_token().empty()) {
    say(globals.output, fmt::format("these are the newest {}; `overwinter audit export` has all",
                                    list->entries_size()));
  }
  return kDone;
}

int run_audit_export(const Globals& globals, const AuditOptions& options) {
  const auto request = audit_request(options);
  if (!request) return report(request.error());
  auto client = globals.connect();
  if (!client) return report(client.error());
  ExportFile file(options.output);
  if (Status status = file.open(); !status.ok()) return report(status);
  const auto count = export_pages(**client, *request, file);
  if (!count) return report(count.error());
  if (Status status = file.finish(); !status.ok()) return report(status);
  print_line(options.output);
  say(globals.output,
      fmt::format("{} {}, newest first", *count, *count == 1 ? "entry" : "entries"));
  return kDone;
}

}  // namespace overwinter::cli
