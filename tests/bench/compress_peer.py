"""PyTorch's and NumPy's side of the suite `compress`: the same tensor, each operation by the library's own way.

    python3 compress_peer.py FOLDER THREADS      FOLDER/x.f32: SIDE x SIDE values

prints {"seconds": {operation: least of some runs}, "differs": {operation: elements}}. `differs`: what lies in FOLDER of the
other side (bf16.u16, fp16.u16, int8_rows.i8, int8_columns.i8, magnitude.f32, fours.f32) and is not what the library gives.
"""
import json
import os
import sys
import time

folder, threads = sys.argv[1], int(sys.argv[2])
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)

import numpy as np  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(threads)
torch.set_grad_enabled(False)
SECONDS = 0.05

flat = np.fromfile(os.path.join(folder, "x.f32"), np.float32)
side = round(len(flat) ** 0.5)
x = torch.from_numpy(flat.reshape(side, side))
rows = torch.from_numpy(flat[: 256 * side].reshape(256, side))


def quantized(axis):
    scales = x.abs().amax(1 - axis) / 127
    return torch.quantize_per_channel(x, scales, torch.zeros(side, dtype=torch.long), axis, torch.qint8)


def magnitude():
    """As torch.nn.utils.prune.l1_unstructured does it."""
    mask = torch.ones_like(x)
    mask.view(-1)[torch.topk(x.abs().view(-1), x.numel() // 2, largest=False).indices] = 0
    return x * mask


def fours():
    """The two largest of each four by topk, as a mask."""
    four = x.view(-1, 4)
    mask = torch.zeros_like(four).scatter_(1, torch.topk(four.abs(), 2, dim=1).indices, 1)
    return (four * mask).view(side, side)


operations = {
    "bf16": lambda: x.to(torch.bfloat16),
    "fp16": lambda: x.to(torch.float16),
    "fp16 numpy": lambda: flat.astype(np.float16),
    "int8_rows": lambda: quantized(0),
    "int8_columns": lambda: quantized(1),
    "magnitude": magnitude,
    "fours": fours,
}
layer = torch.nn.Sequential(torch.nn.Linear(side, side, bias=False))
layer[0].weight.copy_(x)
torch.backends.quantized.engine = "qnnpack"
dynamic = torch.ao.quantization.quantize_dynamic(layer, {torch.nn.Linear}, dtype=torch.qint8)
operations["linear"] = lambda: dynamic(rows)

# One thread: of the processor's time, so that what else runs on the machine counts less.
clock = time.process_time if threads == 1 else time.perf_counter
seconds = {}
for name, run in operations.items():
    slow = name in ("magnitude", "fours", "linear")
    if not slow:
        run()
    least, spent = float("inf"), 0.0
    while spent < SECONDS:
        begin = clock()
        run()
        took = clock() - begin
        least, spent = min(least, took), spent + took
    seconds[name] = least

differs = {}
bits = {
    "bf16": ("u16", np.uint16, lambda: x.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)),
    "fp16": ("u16", np.uint16, lambda: flat.astype(np.float16).view(np.uint16)),
    "int8_rows": ("i8", np.int8, lambda: quantized(0).int_repr().numpy()),
    "int8_columns": ("i8", np.int8, lambda: quantized(1).int_repr().numpy()),
    "magnitude": ("f32", np.float32, lambda: magnitude().numpy()),
    "fours": ("f32", np.float32, lambda: fours().numpy()),
}
for name, (end, dtype, run) in bits.items():
    path = os.path.join(folder, f"{name}.{end}")
    if os.path.exists(path):
        differs[name] = int(np.count_nonzero(np.fromfile(path, dtype) != run().reshape(-1)))
        os.remove(path)
print(json.dumps({"seconds": seconds, "differs": differs}))
