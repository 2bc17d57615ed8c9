#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test, fastest first.
#
#   deploy/test.sh [STAGE...]       layout format page unit contract mpi simulation integration gpu sanitizers (these when
#                                   none is named), threads (ThreadSanitizer); the last two are builds of their own. page:
#                                   the page's types, lint and unit tests, and that its dist is what its sources give
#
# Ends with one line "N tests passed, M skipped", or with a line that names what failed and exit status 1.
# A label without a test is a failure. Works in build/test, build/test-asan and build/test-tsan.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

labels='layout unit contract mpi simulation integration gpu'  # of ctest
stages_by_default="$labels format page sanitizers"
all_stages="$stages_by_default threads"
# Built again with AddressSanitizer and UndefinedBehaviorSanitizer: where memory is handled by hand.
sanitized_rooms='coordinator/core coordinator/store coordinator/secrets coordinator/rpc worker/core worker/gpus worker/memory worker/kernels worker/train worker/compress worker/matmul worker/exec worker/programs worker/runtime worker/rpc'
# Built again with ThreadSanitizer: where threads meet.
threaded_rooms='common/rpc coordinator/store coordinator/runtime worker/runtime worker/rpc'

case ${1:-} in
  -h|--help) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
esac
stages=${*:-$stages_by_default}
for stage in $stages; do
  case " $all_stages " in
    *" $stage "*) ;;
    *) echo "test: no stage $stage; there are: $all_stages" >&2; exit 2 ;;
  esac
done

jobs=$(nproc)
build=build/test
passed=0 skipped=0
failures=()

say() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }
stop() {
  echo "test: $1" >&2
  exit 1
}
chosen() { case " $stages " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# count REPORT ATTRIBUTE: of the whole report.
count() { sed -n "s/.*[[:space:]]$2=\"\([0-9]*\)\".*/\1/p" "$1" | head -n 1; }

# run_label FOLDER LABEL NAME: ctest over one label (or several, as L|M); adds to the counts and the failures.
run_label() {
  local folder=$1 label=$2 name=$3 status=0 report total failed here_skipped names
  report=$PWD/$folder/junit-$name.xml
  rm -f "$report"
  ctest --test-dir "$folder" -L "^($label)\$" -j "$jobs" --output-on-failure --no-tests=error \
    --progress --output-junit "$report" || status=$?
  if [ ! -s "$report" ]; then
    failures+=("$name (ctest wrote no report)")
    return
  fi
  total=$(count "$report" tests) failed=$(count "$report" failures)
  here_skipped=$(($(count "$report" skipped) + $(count "$report" disabled)))
  if [ "$total" -eq 0 ]; then
    failures+=("$name (no test has this label)")
    return
  fi
  passed=$((passed + total - failed - here_skipped))
  skipped=$((skipped + here_skipped))
  if [ "$status" -ne 0 ]; then
    names=$(awk -F'"' '/<testcase /{ name = $2 } /<failure/{ printf "%s ", name }' "$report")
    failures+=("$name: ${names:-some were not built}")
  fi
}

# Before the build: the browser's tests, which are integration tests, use what it fetches.
check_page() {
  local report=build/page-tests.xml
  deploy/install-dependencies.sh page
  deploy/page.sh || failures+=('page (deploy/page.sh)')
  [ ! -s "$report" ] || passed=$((passed + $(count "$report" tests) - $(count "$report" failures)))
}

check_format() {
  local tool=clang-format-14
  command -v "$tool" >/dev/null || tool=clang-format
  git ls-files -z -- '*.h' '*.cpp' '*.cu' '*.cuh' | xargs -0 -r -P "$jobs" -n 20 "$tool" --dry-run -Werror ||
    failures+=('format (clang-format -i mends it)')
}

# run_sanitized NAME PRESET ROOMS: the unit tests of some rooms, and the contracts, in a build of their own. Only their
# programs are built: the rest has its turn in the plain build.
run_sanitized() {
  local name=$1 preset=$2 rooms=$3 folder=build/test-$2 targets=(contract) room
  for room in $rooms; do
    compgen -G "tests/unit/$room/*_test.cpp" >/dev/null || { failures+=("$name (no test in $room)"); continue; }
    targets+=("unit_${room//\//_}")
  done
  cmake --preset "$preset" -B "$folder" >"$folder.log" 2>&1 || { tail -n 20 "$folder.log" >&2; stop 'cmake failed'; }
  cmake --build "$folder" -j "$jobs" --target "${targets[@]}" || stop "the build for $name failed"
  # Debian's gRPC is not instrumented, and its atomics are its own.
  ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
    TSAN_OPTIONS='report_atomic_races=0 ignore_noninstrumented_modules=1' run_label "$folder" 'unit|contract' "$name"
}

say 'packages'
deploy/install-dependencies.sh build tests
mkdir -p build

say 'configure'
cmake --preset test -B "$build" >"$build.log" 2>&1 || { tail -n 20 "$build.log" >&2; stop 'cmake failed'; }

if chosen layout; then
  say layout
  run_label "$build" layout layout
fi
if chosen format; then
  say format
  check_format
fi
if chosen page; then
  say page
  check_page
fi
built=no
for label in $labels; do
  if [ "$label" = layout ] || ! chosen "$label"; then continue; fi
  if [ "$built" = no ]; then
    say build
    cmake --build "$build" -j "$jobs" || stop 'the build failed'
    built=yes
  fi
  say "$label"
  run_label "$build" "$label" "$label"
done
if chosen sanitizers; then
  say sanitizers
  run_sanitized sanitizers asan "$sanitized_rooms"
fi
if chosen threads; then
  say threads
  run_sanitized threads tsan "$threaded_rooms"
fi

echo
if [ ${#failures[@]} -gt 0 ]; then
  (IFS=';'; echo "test: FAILED after ${SECONDS}s: ${failures[*]}") >&2
  exit 1
fi
echo "$passed tests passed, $skipped skipped"
