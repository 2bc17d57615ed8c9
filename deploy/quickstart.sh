#!/usr/bin/env bash
# From a fresh Debian 12 to a verified matrix product, a trained model and their bills: installs what is missing,
# builds, starts a coordinator and two workers on loopback, multiplies two random matrices, compares the product with
# NumPy's, and trains a small GPT on the licence texts that every Debian has.
#
#   deploy/quickstart.sh [--once] [--dir DIR]
#
#   --once      stops the cluster at the end (its results stay)
#   --dir DIR   where the cluster and the matrices go (default: ~/overwinter-quickstart)
#
# It may be run again: what is installed, built or running is used as it is. As root, or with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

once=0 dir=${HOME}/overwinter-quickstart
while [ $# -gt 0 ]; do
  case $1 in
    --once) once=1; shift ;;
    --dir) [ $# -ge 2 ] || { echo 'quickstart: --dir needs a folder' >&2; exit 2; }; dir=$2; shift 2 ;;
    -h | --help) sed -n '2,11p' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "quickstart: unknown option $1; --help tells what there is" >&2; exit 2 ;;
  esac
done

say() { printf '\n== %s\n' "$*"; }

say 'Installing what is missing'
deploy/install-dependencies.sh build numpy

say 'Building (about eight minutes on two cores the first time)'
cmake --preset release >/dev/null
cmake --build --preset release
bin=$PWD/build/release/bin
export PATH=$bin:$PATH

mkdir -p "$dir"
cluster=$dir/cluster

say 'Starting a coordinator and two workers on loopback'
overwinter up --workers 2 --dir "$cluster"

say 'Making two random matrices, 3000x2000 and 2000x2500, single precision'
/usr/bin/python3 - "$dir" <<'PY'
import sys
import numpy as np
rng = np.random.default_rng()
np.save(sys.argv[1] + "/A.npy", rng.standard_normal((3000, 2000), dtype=np.float32))
np.save(sys.argv[1] + "/B.npy", rng.standard_normal((2000, 2500), dtype=np.float32))
PY

say 'Multiplying them on the two workers'
overwinter matmul "$dir/A.npy" "$dir/B.npy" -o "$dir/C.npy"
overwinter jobs get @last

say 'Comparing C with NumPy'
/usr/bin/python3 - "$dir" <<'PY'
import sys
import numpy as np
folder = sys.argv[1]
a, b, c = (np.load(f"{folder}/{name}.npy") for name in "ABC")
expected = a.astype(np.float64) @ b.astype(np.float64)
error = float(np.max(np.abs(c - expected)) / np.max(np.abs(expected)))
print(f"largest difference relative to the largest element: {error:.2e}")
if c.shape != expected.shape or not error <= 1e-5:
    sys.exit("quickstart: C differs from NumPy's product by more than 1e-5")
PY

# What the last job cost.
cost() {
  overwinter cost @last -o json | /usr/bin/python3 -c '
import json, sys
total = json.load(sys.stdin)["total"]
print("%.6f %s" % (int(total["amountMicros"]) / 1e6, total["currencyCode"]))'
}
product_cost=$(cost)

say 'Training a GPT of 3 layers on the licence texts of this machine, on the two workers'
overwinter submit deploy/examples/licence-gpt.yaml --set workload.train.steps=200 --set workers.min=2 --follow
overwinter checkpoints list @last
overwinter checkpoints get @last -o "$dir/licence-gpt.safetensors"
losses=$(overwinter jobs get @last -o json | /usr/bin/python3 -c '
import json, sys
job = json.load(sys.stdin)
progress, train = job["progress"], job["plan"]["train"]
print("%.4f (validation %.4f) after %s steps in %s" % (
    progress["loss"], progress["validationLoss"], progress["step"], train["precision"]))')
training_cost=$(cost)
url=$(/usr/bin/python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["dashboard"])' "$cluster/cluster.json")

if [ "$once" = 1 ]; then
  say 'Stopping the cluster'
  overwinter down --dir "$cluster"
else
  say "The cluster is running; \`overwinter down --dir $cluster\` stops it"
  echo "the commands are in $bin"
fi
echo
echo "result $dir/C.npy"
echo "cost $product_cost"
echo "model $dir/licence-gpt.safetensors"
echo "loss $losses"
echo "cost $training_cost"
echo "dashboard $url"
