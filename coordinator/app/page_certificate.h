// The operator's own certificate for the page's port (--dashboard-cert, --dashboard-key): read at
// the start and again while the coordinator runs, since certificates of public CAs are renewed
// every few weeks by somebody else's program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/security/certificate.h"

namespace overwinter::app {

struct PageCertificateFiles {
  std::filesystem::path certificate;  // the leaf and what leads to its root, PEM
  std::filesystem::path key;
};

struct PageCertificate {
  CertifiedKey pem;
  std::string host;  // the first of those asked for that it names
  Time not_after{};
  std::string warning;  // one sentence; empty: nothing to say
};

// A good pair: both can be read, belong together, are good now, and name one of `hosts`, by which
// browsers may come. FAILED_PRECONDITION in one sentence, with the option's name (also as field).
[[nodiscard]] Result<PageCertificate> read_page_certificate(const PageCertificateFiles& files,
                                                            const std::vector<std::string>& hosts,
                                                            Time now);

}  // namespace overwinter::app
