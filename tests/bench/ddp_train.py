"""PyTorch's side of the suites `train` and `gang`: a model by DistributedDataParallel over gloo, two processes of one thread.

    python3 ddp_train.py prepare MODEL FOLDER           writes data and the weights to begin with, which both sides read
    python3 ddp_train.py run MODEL FOLDER STEPS DTYPE   prints {"step_ms": median, "peak_mib": of both processes, "losses": of steps}

MODEL: small, gpt2 (124 M parameters; 50,257 tokens), mlp. DTYPE: fp32, bf16 (autocast). FOLDER/text: what small learns from.
"""
import contextlib
import json
import os
import resource
import socket
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as processes  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from gpt_model import Gpt  # noqa: E402

RANKS, CONTEXT, WARM_UP = 2, 256, 2
GPTS = {"small": (4, 256, 8, CONTEXT, 256), "gpt2": (12, 768, 12, CONTEXT, 50257)}
BATCH = {"small": 8, "gpt2": 2, "mlp": 256}  # of a rank
WIDTHS, MLP_BATCHES = (784, 512, 512, 10), 16


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(WIDTHS, WIDTHS[1:]))

    def forward(self, x, y):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return F.cross_entropy(self.layers[-1](x).float(), y)


def make(name):
    torch.manual_seed(1337)
    return Mlp() if name == "mlp" else Gpt(*GPTS[name])


def tensors(net):
    """By our names (those of Hugging Face's GPT-2), linear weights of a GPT as inputs x outputs."""
    where = {"qkv": "attn.c_attn", "proj": "attn.c_proj", "fc": "mlp.c_fc", "out": "mlp.c_proj"}
    for name, p in net.named_parameters():
        array, parts = p.detach().numpy(), name.split(".")
        if parts[0] == "h" and parts[2] in where:
            name = ".".join(parts[:2] + [where[parts[2]], parts[3]])
            array = array.T if array.ndim == 2 else array
        yield name, array


def prepare(name, folder):
    random = np.random.RandomState(7)
    if name == "mlp":
        x = random.rand(MLP_BATCHES * BATCH[name], WIDTHS[0]).astype("<f4")
        np.save(os.path.join(folder, "x.npy"), x)
        np.save(os.path.join(folder, "y.npy"), x[:, :WIDTHS[-1]].argmax(1).astype("<i8").reshape(-1, 1))
    elif name == "gpt2":
        (random.zipf(1.2, size=400_000) % GPTS[name][4]).astype("<i4").tofile(os.path.join(folder, "tokens.i32"))
    else:
        np.fromfile(os.path.join(folder, "text"), "u1").astype("<i4").tofile(os.path.join(folder, "tokens.i32"))
    for tensor, array in tensors(make(name)):
        np.ascontiguousarray(array, "<f4").tofile(os.path.join(folder, tensor + ".f32"))


def batches(name, folder, rank):
    size = BATCH[name]
    if name == "mlp":
        x = torch.from_numpy(np.load(os.path.join(folder, "x.npy")))
        y = torch.from_numpy(np.load(os.path.join(folder, "y.npy"))).flatten()

        def rows(step):
            at = (step * RANKS + rank) % MLP_BATCHES * size
            return x[at:at + size], y[at:at + size]
        return rows
    tokens = torch.from_numpy(np.fromfile(os.path.join(folder, "tokens.i32"), "<i4").astype("i8"))

    def windows(step):
        at = (step * RANKS + rank) * size * CONTEXT % (len(tokens) - size * CONTEXT - 1)
        part = tokens[at:at + size * CONTEXT + 1]
        return part[:-1].view(size, -1), part[1:].view(size, -1)
    return windows


def train(rank, port, name, folder, steps, dtype, answer):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    net, batch = make(name), batches(name, folder, rank)
    model = nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True, broadcast_buffers=False)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3 if name == "mlp" else 1e-4, weight_decay=0.0)
    times, losses = [], []
    for step in range(steps):
        x, y = batch(step)
        begun = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16) if dtype == "bf16" else contextlib.nullcontext():
            loss = model(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        times.append(time.perf_counter() - begun)
        losses.append(loss.item())
    both = torch.tensor([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024] + losses, dtype=torch.float64)
    dist.all_reduce(both)
    if rank == 0:
        answer.put((float(np.median(times[WARM_UP:])) * 1e3, both[0].item(), (both[1:] / RANKS).tolist()))
    dist.destroy_process_group()


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(*sys.argv[2:4])
        sys.exit()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    queue = processes.get_context("spawn").SimpleQueue()
    processes.spawn(train, args=(free, *sys.argv[2:4], int(sys.argv[4]), sys.argv[5], queue), nprocs=RANKS)
    print(json.dumps(dict(zip(("step_ms", "peak_mib", "losses"), queue.get()))))
