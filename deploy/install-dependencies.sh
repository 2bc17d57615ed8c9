#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing, and says so first. May be run again: when nothing is
# missing it asks dpkg and ends.
#
#   deploy/install-dependencies.sh [build] [numpy] [tests] [tidy] [page] [bundle]
#
# Each word is a purpose; build when none is given. The lists are in packages.sh.
# Needs root or sudo when something is missing. Removes no package; adds no repository.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/packages.sh
. "$here/packages.sh"

wanted=()
for purpose in "${@:-build}"; do
  case $purpose in
    build) wanted+=("${packages_build[@]}") ;;
    numpy) wanted+=("${packages_numpy[@]}") ;;
    tests) wanted+=("${packages_tests[@]}") ;;
    tidy) wanted+=("${packages_tidy[@]}") ;;
    bundle) wanted+=("${packages_bundle[@]}") ;;
    page)
      for package in "${packages_page[@]}"; do
        # An npm from elsewhere (nodejs of its makers holds one) and Debian's cannot both be installed.
        if [ "$package" != npm ] || ! command -v npm >/dev/null; then wanted+=("$package"); fi
      done ;;
    -h|--help) sed -n '2,8p' "$0"; exit 0 ;;
    *) echo "install-dependencies: no purpose $purpose; there are: build numpy tests tidy page bundle" >&2; exit 2 ;;
  esac
done

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "install-dependencies: this is no Debian; Debian 12 names these packages: ${wanted[*]}" >&2
  exit 1
fi

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
  awk '$2 == "installed" { print $1 }' || true)
missing=()
for package in "${wanted[@]}"; do
  grep -qxF -- "$package" <<<"$installed" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install-dependencies: all ${#wanted[@]} packages are installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install-dependencies: needs root or sudo to install: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "install-dependencies: about to install with apt-get, and what they depend on:"
printf '  %s\n' "${missing[*]}" | fold -s -w 100
# env passes the variables through sudo too.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o DPkg::Lock::Timeout=300)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# One line each twenty packages: apt's own output is a line or more for every one.
progress() {
  local line rest total=0 unpacked=0 ready=0
  while IFS= read -r line; do
    case $line in
      *' newly installed'*) rest=${line#* upgraded, }; total=${rest%% *}; echo "  $total packages" ;;
      'Need to get '*) echo "  $line" ;;
      'Unpacking '*)
        unpacked=$((unpacked + 1))
        if [ $((unpacked % 20)) -eq 0 ]; then echo "  unpacked $unpacked of $total"; fi ;;
      'Setting up '*)
        ready=$((ready + 1))
        if [ $((ready % 20)) -eq 0 ] || [ "$ready" = "$total" ]; then echo "  set up $ready of $total"; fi ;;
    esac
  done
}

failed() {
  tail -n 15 "$log" >&2
  echo "install-dependencies: $1; apt-get's own words are above" >&2
  exit 1
}

"${apt[@]}" update >"$log" 2>&1 || failed 'the package lists could not be fetched'
"${apt[@]}" install -y --no-install-recommends --no-remove "${missing[@]}" 2>&1 | tee "$log" | progress ||
  failed 'not everything could be installed'
echo "install-dependencies: done"
