#include "coordinator/app/page_certificate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/security/file_io.h"
#include "common/security/host_certificate.h"

namespace overwinter::app {
namespace {

constexpr const char* kCertificateOption = "--dashboard-cert";
constexpr const char* kKeyOption = "--dashboard-key";
constexpr Duration kEndsSoon = std::chrono::days(14);

tl::unexpected<Status> unusable(const char* option, const std::filesystem::path& file,
                                const std::string& why, std::string hint = {}) {
  return fail(Code::kFailedPrecondition, fmt::format("{} {}: {}", option, file.string(), why),
              option, std::move(hint));
}

Result<std::string> text_of(const char* option, const std::filesystem::path& file) {
  auto text = read_file(file, kPemBytesMax);
  if (text) return text;
  return unusable(option, file, text.error().message,
                  "the coordinator reads it as its own user: give that user the right to");
}

std::string names_of(const CertificateInfo& info) {
  std::string out;
  for (const std::string& host : info.hosts) out += (out.empty() ? "" : ", ") + host;
  return out.empty() ? "no host" : out;
}

}  // namespace

Result<PageCertificate> read_page_certificate(const PageCertificateFiles& files,
                                              const std::vector<std::string>& hosts, Time now) {
  PageCertificate out;
  auto chain = text_of(kCertificateOption, files.certificate);
  if (!chain) return fail(std::move(chain.error()));
  auto key = text_of(kKeyOption, files.key);
  if (!key) return fail(std::move(key.error()));
  const auto wrong = [&files](const std::string& why, std::string hint = {}) {
    return unusable(kCertificateOption, files.certificate, why, std::move(hint));
  };
  const auto info = read_certificate(*chain);
  if (!info) return wrong(info.error().message);
  if (!serves(*chain)) return wrong("its usages do not let a server show it");
  if (!key_belongs(*key, *chain)) {
    return unusable(kKeyOption, files.key,
                    "it is not the private key of " + files.certificate.string(),
                    "PEM, without a passphrase, of the first certificate in that file");
  }
  if (now < info->not_before) {
    return wrong("it is good only from " + format_time(info->not_before) + " on",
                 "set this machine's clock");
  }
  if (now > info->not_after)
    return wrong("it ended at " + format_time(info->not_after), "renew it");
  const auto host = std::find_if(hosts.begin(), hosts.end(), [&chain](const std::string& one) {
    return names_host(*chain, one);
  });
  if (host == hosts.end()) {
    return wrong("it names " + names_of(*info) + ", and nothing that this coordinator goes by",
                 "give the name that browsers use by --name");
  }
  out.host = *host;
  out.not_after = info->not_after;
  if (out.not_after - now < kEndsSoon) {
    out.warning = fmt::format("{} {} ends at {}", kCertificateOption, files.certificate.string(),
                              format_time(out.not_after));
  } else if (others_can_access(files.key)) {
    out.warning = fmt::format("{} {}: others than its owner may read it: chmod 600", kKeyOption,
                              files.key.string());
  }
  out.pem = {std::move(*key), std::move(*chain)};
  return out;
}

}  // namespace overwinter::app
