#include "client/cli/secret_input.h"

#include "client/cli/globals.h"
#include "common/security/hidden_input.h"
#include "common/security/passphrase_seal.h"

namespace overwinter::cli {
namespace {

constexpr std::size_t kValueBytesMax = std::size_t{64} * 1024;

}  // namespace

Result<std::string> read_secret(int input, int ask, const std::string& name) {
  HiddenInput from;
  from.input = input;
  from.ask = ask;
  from.prompt = "value of " + name + " (not shown): ";
  from.bytes_max = kValueBytesMax;
  from.otherwise = "give the value by a pipe: overwinter secrets set " + name + " < FILE";
  from.interrupted = interrupted;
  return read_hidden(from);
}

Result<std::string> read_new_passphrase(int input, int ask, bool twice) {
  HiddenInput from;
  from.input = input;
  from.ask = ask;
  from.prompt = "passphrase for the keys (not shown): ";
  from.one_line = true;
  from.bytes_max = kPassphraseMax;
  from.otherwise = "give it by a pipe: overwinter backup --with-keys -o FILE < PASSPHRASE";
  from.interrupted = interrupted;
  auto passphrase = read_hidden(from);
  if (!passphrase) return passphrase;
  if (Status status = check_passphrase(*passphrase); !status.ok()) return fail(std::move(status));
  if (!twice) return passphrase;
  from.prompt = "the same again: ";
  const auto again = read_hidden(from);
  if (!again) return again;
  if (*again == *passphrase) return passphrase;
  return fail(Code::kInvalidArgument, "the two passphrases are not the same", "passphrase");
}

}  // namespace overwinter::cli
