#!/usr/bin/python3
"""A script that checkpoints with plain torch.save and goes on from its newest file."""
import glob
import os
import time

import torch
import torch.nn as nn

STEPS = 600
EVERY = 200

torch.manual_seed(1)
net = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
os.makedirs("ckpt", exist_ok=True)
start = 0
for path in sorted(glob.glob("ckpt/step-*.pt"))[-1:]:
    state = torch.load(path)
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    start = state["step"]
    print(f"goes on from {path}", flush=True)

for step in range(start, STEPS):
    x = torch.randn(128, 16, generator=torch.Generator().manual_seed(step))
    loss = nn.functional.mse_loss(net(x), x.sin().sum(1, keepdim=True))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    time.sleep(0.04)  # the step of a larger model
    if (step + 1) % 20 == 0:
        print(f"step={step + 1} loss={loss.item():.5f}", flush=True)
    if (step + 1) % EVERY == 0:
        torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1},
                   f"ckpt/step-{step + 1:05d}.pt")

os.makedirs("out", exist_ok=True)
torch.save(net.state_dict(), "out/model.pt")
print("done", flush=True)
