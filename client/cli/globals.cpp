#include "client/cli/globals.h"

#include <unistd.h>
#include <csignal>

#include <chrono>

#include "client/cli/exit_codes.h"

namespace overwinter::cli {
namespace {

constexpr Duration kCallTimeout{15'000};

volatile std::sig_atomic_t interrupt_seen = 0;
const auto process_began = std::chrono::steady_clock::now();

void on_interrupt(int) {
  if (interrupt_seen != 0) _exit(kInterrupted);
  interrupt_seen = 1;
}

void interrupt_on(int number) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);
}

}  // namespace

Result<client::Credentials> Globals::credentials() const {
  auto chosen = client::choose_context(client::config_path(), context);
  if (!chosen) return fail(chosen.error());
  auto credentials = client::read_credentials(*chosen);
  if (!credentials) {
    Status status = credentials.error();
    // A context without its files reaches nobody.
    if (status.code == Code::kNotFound) status.code = Code::kUnavailable;
    return fail(std::move(status));
  }
  return credentials;
}

Result<std::unique_ptr<client::Client>> Globals::connect() const {
  auto credentials = this->credentials();
  if (!credentials) return fail(credentials.error());
  return client::Client::create(*credentials, timeout.value_or(kCallTimeout));
}

bool interrupted() {
  return interrupt_seen != 0;
}

void install_interrupt() {
  interrupt_on(SIGINT);
  std::signal(SIGPIPE, SIG_IGN);
}

void interrupt_on_termination() {
  interrupt_on(SIGTERM);
  interrupt_on(SIGHUP);
}

bool timed_out(const Globals& globals) {
  if (!globals.timeout) return false;
  return std::chrono::steady_clock::now() - process_began > *globals.timeout;
}

}  // namespace overwinter::cli
