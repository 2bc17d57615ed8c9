// dashboard: the page through a port of this machine, and invitations to it.
#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "client/cli/browser.h"
#include "client/cli/commands.h"
#include "client/cli/exit_codes.h"
#include "client/forward/forwarder.h"

namespace overwinter::cli {
namespace {

using google::protobuf::util::TimeUtil;

// As long as a session of the page: who logged in by a code has the token from nowhere else.
constexpr std::int64_t kPageLife_s = std::int64_t{12} * 3600;
constexpr auto kLook = std::chrono::milliseconds(100);
constexpr Duration kRevokeTimeout{2000};
constexpr std::size_t kUserNameBytesMax = 60;

// Who sits here, as the system says: the coordinator's list of tokens then says whose page it is.
std::string user_name() {
  const passwd* entry = ::getpwuid(::geteuid());
  const std::string name =
      entry == nullptr ? std::to_string(::geteuid()) : printable(entry->pw_name);
  return name.substr(0, kUserNameBytesMax);
}

// A token with the caller's own rights for the page, and no longer good than the caller's.
Result<v1::CreateTokenResponse> make_own_token(client::Client& client) {
  const auto caller = client.diagnose();
  if (!caller) return fail(caller.error());
  if (caller->role() != "admin") {
    return fail(Code::kPermissionDenied,
                fmt::format("a token of a{} {} makes no login codes",
                            caller->role() == "operator" ? "n" : "", caller->role()));
  }
  v1::CreateTokenRequest request;
  request.set_role(caller->role());
  request.set_project(caller->project());
  request.set_name("page of " + user_name());
  std::int64_t life_s = kPageLife_s;
  if (caller->has_token_expire_time()) {
    const auto left = caller->token_expire_time() - caller->now();
    life_s = std::clamp(TimeUtil::DurationToSeconds(left), std::int64_t{1}, life_s);
  }
  request.mutable_ttl()->set_seconds(life_s);
  return client.create_token(request);
}

// The page on its port, from the first word about it to the last.
class Page {
 public:
  Page(const Globals& globals, const DashboardOptions& options, forward::Forwarder& forwarder)
      : globals_(globals),
        forwarder_(forwarder),
        address_(fmt::format("http://127.0.0.1:{}/", forwarder.port())),
        browser_(!options.no_browser && browser_at_hand()),
        // A code is for a person's eyes or the program that asked for it, not for a log.
        tells_code_(is_machine(globals.output) || ::isatty(STDOUT_FILENO) == 1) {}

  // Makes a login code where it will be used, and shows the page.
  void open(client::Client& client) {
    if (browser_ || tells_code_) {
      auto made = make_own_token(client);
      if (made) {
        token_ = made->token().id();
        login_ = address_ + "login#code=" + made->login();
      } else {
        why_no_code_ = made.error().message;
      }
    } else {
      why_no_code_ = "standard output is no terminal, so that no login code is printed";
    }
    if (browser_) open_browser();
    if (!browser_) tell();
  }

  // Until somebody ends it.
  int stay() {
    while (!interrupted()) {
      if (timed_out(globals_)) return kTimeout;
      if (forwarder_.login_seen()) file_.reset();
      if (start_ && start_->failed()) {
        start_.reset();
        file_.reset();
        say(globals_.output, "no browser could be opened");
        tell();
      }
      std::this_thread::sleep_for(kLook);
    }
    return kDone;
  }

  // The token made for it goes with the page.
  void close(const client::Credentials& credentials) {
    file_.reset();
    if (token_ == 0) return;
    auto client = client::Client::create(credentials, kRevokeTimeout);
    const Status gone = client ? (*client)->revoke_token(token_, false) : client.error();
    if (gone.ok()) return;
    say(globals_.output, fmt::format("token {} of the page could not be revoked ({}); it ends by "
                                     "itself within 12 hours",
                                     token_, gone.message));
  }

 private:
  void open_browser() {
    auto file = LeadingFile::write(login_.empty() ? address_ + "login" : login_);
    auto start = file ? BrowserStart::open(file->path()) : fail(file.error());
    if (!start) {
      say(globals_.output, start.error().message);
      browser_ = false;
      return;
    }
    file_.emplace(std::move(*file));
    start_.emplace(std::move(*start));
    print_address(false);
    say(globals_.output,
        "the page opens in your browser; if it does not, `overwinter dashboard --no-browser` "
        "prints an address to open. Ctrl-C ends it.");
    explain_no_code();
  }

  void tell() {
    print_address(true);
    if (!login_.empty() && tells_code_) {
      say(globals_.output,
          "open this address in a browser on this machine: it logs in once, within 15 minutes. "
          "Ctrl-C ends it.");
    } else {
      say(globals_.output, "open this address in a browser on this machine. Ctrl-C ends it.");
    }
    explain_no_code();
  }

  void explain_no_code() {
    if (why_no_code_.empty()) return;
    const char* given = std::getenv("OVERWINTER_TOKEN");
    const auto context = client::choose_context(client::config_path(), globals_.context);
    const bool in_file = (given == nullptr || *given == '\0') && context;
    const std::string yours =
        in_file ? "yours is in " + context->token_file : "yours is in OVERWINTER_TOKEN";
    say(globals_.output, why_no_code_ + ": paste a token into the page; " + yours);
  }

  void print_address(bool with_code) {
    const bool code = with_code && tells_code_ && !login_.empty();
    if (is_machine(globals_.output)) {
      print_line(
          nlohmann::ordered_json({{"address", address_}, {"login", code ? login_ : ""}}).dump());
    } else {
      print_line(code ? login_ : address_);
    }
  }

  const Globals& globals_;
  forward::Forwarder& forwarder_;
  const std::string address_;
  bool browser_;
  const bool tells_code_;
  std::string login_;        // the address with the code; empty without one
  std::string why_no_code_;  // a sentence's beginning; empty with one
  std::uint64_t token_ = 0;
  std::optional<LeadingFile> file_;
  std::optional<BrowserStart> start_;
};

int forward_page(const Globals& globals, const DashboardOptions& options, client::Client& client,
                 const client::Credentials& credentials, const forward::Place& place) {
  forward::ForwardConfig config;
  config.port = options.port;
  config.dashboard = place;
  config.root_pem = credentials.root_pem;
  auto forwarder = forward::Forwarder::start(config);
  if (!forwarder) return report(forwarder.error());
  if (const Status there = (*forwarder)->try_dashboard(); !there.ok()) return report(there);
  interrupt_on_termination();
  Page page(globals, options, **forwarder);
  page.open(client);
  const int code = page.stay();
  page.close(credentials);
  return code;
}

int invite(const Globals& globals, const DashboardOptions& options, client::Client& client,
           const forward::Place& place) {
  // A page of this machine, or one with the cluster's own certificate, opens with a warning or not
  // at all: who is invited then comes through a forwarder of their own.
  const bool direct =
      place.named && !forward::is_loopback(place.host) && forward::trusted_by_browsers(place);
  v1::CreateTokenRequest request;
  request.set_role(options.role);
  request.set_project(options.project);
  request.set_name(options.invite);
  if (direct) request.mutable_ttl()->set_seconds(kPageLife_s);
  const auto made = client.create_token(request);
  if (!made) return report(made.error());
  const std::string link =
      direct ? fmt::format("https://{}/login#code={}", forward::text_of(place), made->login()) : "";
  if (is_machine(globals.output)) {
    print_line(
        nlohmann::ordered_json({{"token", nlohmann::ordered_json::parse(to_json(made->token()))},
                                {"link", link},
                                {"login", direct ? "" : made->login()}})
            .dump());
    return kDone;
  }
  print_line(direct ? link : made->login());
  const std::string who = fmt::format("token {} ({})", made->token().id(), made->token().role());
  say(globals.output,
      direct ? fmt::format("{}: this link lets {} in once, within 15 minutes, for 12 hours.", who,
                           printable(options.invite))
             : fmt::format(
                   "{}, without end. {} runs `overwinter login` and gives this line, once, within "
                   "15 minutes; then `overwinter dashboard`. A link would open with a warning: "
                   "the page's certificate is the cluster's own (`overwinter-coordinator "
                   "--dashboard-cert` gives it one that browsers know).",
                   who, printable(options.invite)));
  return kDone;
}

}  // namespace

int run_dashboard(const Globals& globals, const DashboardOptions& options) {
  const auto credentials = globals.credentials();
  if (!credentials) return report(credentials.error());
  auto client = globals.connect();
  if (!client) return report(client.error());
  const auto status = (*client)->status();
  if (!status) return report(status.error());
  const auto place = forward::place_of(status->dashboard(), credentials->address);
  if (!place) return report(place.error());
  return options.invite.empty() ? forward_page(globals, options, **client, *credentials, *place)
                                : invite(globals, options, **client, *place);
}

}  // namespace overwinter::cli
