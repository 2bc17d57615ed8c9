"""PyTorch's side of the suite `train`: the same GPT by DistributedDataParallel over gloo, two processes of one thread.

    python3 ddp_gpt.py TEXT STEPS      prints {"step_ms": median}
"""
import json
import os
import socket
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as processes  # noqa: E402
import torch.nn as nn  # noqa: E402

from gpt_model import Gpt  # noqa: E402

LAYERS, WIDTH, HEADS, CONTEXT, BATCH, RANKS, WARM_UP = 4, 256, 8, 256, 8, 2, 3


def train(rank, port, path, steps, answer):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    torch.manual_seed(1)
    net = Gpt(LAYERS, WIDTH, HEADS, CONTEXT)
    model = nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True, broadcast_buffers=False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.0)
    tokens = np.fromfile(path, dtype=np.uint8).astype(np.int64)
    times = []
    for step in range(steps):
        size = BATCH * CONTEXT
        at = (step * RANKS + rank) * size % (len(tokens) - size - 1)
        window = torch.from_numpy(tokens[at:at + size + 1])
        begun = time.perf_counter()
        model(window[:-1].view(BATCH, -1), window[1:].view(BATCH, -1)).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        times.append(time.perf_counter() - begun)
    if rank == 0:
        answer.put(float(np.median(times[WARM_UP:])) * 1e3)
    dist.destroy_process_group()


if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    context = processes.get_context("spawn")
    queue = context.SimpleQueue()
    processes.spawn(train, args=(free, sys.argv[1], int(sys.argv[2]), queue), nprocs=RANKS)
    print(json.dumps({"step_ms": queue.get()}))
