#!/usr/bin/python3
"""An ordinary PyTorch DDP script: it knows nothing of Overwinter, and runs under torchrun as well."""
import argparse
import os

import torch
import torch.distributed as dist
import torch.nn as nn

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=400)
parser.add_argument("--every", type=int, default=50, help="steps between two checkpoints")
parser.add_argument("--checkpoints", default="ckpt")
parser.add_argument("--out", default="out")
args = parser.parse_args()

dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
torch.manual_seed(1)
net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 1))
teacher = torch.randn(32, 1)
start = 0
latest = os.path.join(args.checkpoints, "latest.pt")
if os.path.exists(latest):
    state = torch.load(latest)
    net.load_state_dict(state["net"])
    start = state["step"]
model = nn.parallel.DistributedDataParallel(net)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
if start:
    optimizer.load_state_dict(state["optimizer"])
if rank == 0:
    print(f"{world} ranks, from step {start}", flush=True)

for step in range(start, args.steps):
    # Each rank draws its own samples; the step decides which, so that a restart goes on with the same.
    random = torch.Generator().manual_seed(1_000_003 * step + rank)
    x = torch.randn(64, 32, generator=random)
    loss = nn.functional.mse_loss(model(x), torch.tanh(x @ teacher))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if rank == 0 and (step + 1) % 10 == 0:
        print(f"step {step + 1} loss {loss.item():.5f}", flush=True)
    if (step + 1) % args.every == 0:
        if rank == 0:
            os.makedirs(args.checkpoints, exist_ok=True)
            torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1},
                       latest + ".new")
            os.replace(latest + ".new", latest)
        dist.barrier()

if rank == 0:
    os.makedirs(args.out, exist_ok=True)
    torch.save(net.state_dict(), os.path.join(args.out, "model.pt"))
    print("done", flush=True)
dist.destroy_process_group()
