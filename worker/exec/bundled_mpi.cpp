#include "worker/exec/bundled_mpi.h"

#include <algorithm>
#include <array>
#include <utility>

namespace overwinter::worker::exec {
namespace {

// Debian builds Open MPI and PMIx with each folder named apart, so that a prefix alone moves none.
constexpr std::array<std::pair<const char*, const char*>, 13> kPlaces{{
    {"OPAL_PREFIX", ""},
    {"OPAL_BINDIR", "bin"},
    {"OPAL_LIBDIR", "lib"},
    {"OPAL_PKGLIBDIR", "lib/openmpi"},
    {"OPAL_DATADIR", "share"},
    {"OPAL_PKGDATADIR", "share/openmpi"},
    {"OPAL_SYSCONFDIR", "etc"},
    {"PMIX_PREFIX", ""},
    {"PMIX_PKGLIBDIR", "lib/pmix"},
    {"PMIX_DATADIR", "share"},
    {"PMIX_PKGDATADIR", "share/pmix"},
    {"PMIX_SYSCONFDIR", "etc"},
    // Without plugins: what they ask (graphics, X) is nothing that a gang needs to know.
    {"HWLOC_PLUGINS_PATH", "lib/hwloc"},
}};

}  // namespace

std::map<std::string, std::string> bundled_mpi_variables(const std::filesystem::path& prefix) {
  std::map<std::string, std::string> out;
  for (const auto& [name, place] : kPlaces)
    out[name] = *place == 0 ? prefix.string() : (prefix / place).string();
  return out;
}

bool is_bundled_mpi_variable(std::string_view name) {
  return std::ranges::any_of(kPlaces, [&](const auto& place) { return name == place.first; });
}

}  // namespace overwinter::worker::exec
