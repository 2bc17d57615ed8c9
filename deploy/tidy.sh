#!/usr/bin/env bash
# clang-tidy over the .cpp files that changed since a commit, and Clang's thread-safety analysis with it.
#
#   deploy/tidy.sh [BASE]           default: HEAD~1. Uncommitted changes count.
#   deploy/tidy.sh --all [FOLDER]   every .cpp file (of a folder)
#
# A changed header stands for the .cpp file of the same name. Works in build/tidy; compiles nothing but the
# generated messages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=build/tidy
programs='common coordinator worker client'

case ${1:-} in
  -h|--help) sed -n '2,8p' "$0"; exit 0 ;;
  --all)
    mapfile -t files < <(git ls-files -- "${2:-.}" | grep -E "^(${programs// /|})/.*\.cpp$" || true)
    ;;
  *)
    base=${1:-HEAD~1}
    git rev-parse -q --verify "$base^{commit}" >/dev/null || { echo "tidy: no commit $base" >&2; exit 2; }
    # shellcheck disable=SC2086
    mapfile -t files < <(git diff --name-only --diff-filter=d "$base" -- $programs |
      sed -nE 's/\.(h|cpp)$/.cpp/p' | sort -u | while read -r file; do [ ! -f "$file" ] || echo "$file"; done)
    ;;
esac
if [ ${#files[@]} -eq 0 ]; then
  echo 'tidy: nothing to check'
  exit 0
fi

deploy/install-dependencies.sh build tests tidy
mkdir -p build
cmake --preset tidy -B "$build" >"$build.log" 2>&1 || { tail -n 20 "$build.log" >&2; exit 1; }
ninja -C "$build" -t targets all | sed -n 's/^\(.*\.pb\.h\): .*/\1/p' | xargs -r ninja -C "$build" >/dev/null
echo "tidy: ${#files[@]} files"
printf '%s\0' "${files[@]}" |
  xargs -0 -P 2 -n 1 clang-tidy-16 -p "$build" --quiet
echo 'tidy: clean'
