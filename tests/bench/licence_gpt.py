"""PyTorch on what deploy/examples/licence-gpt.yaml trains: the same model, text, optimiser and steps, other random numbers.

    python3 tests/bench/licence_gpt.py [SEED] [--weights MODEL.safetensors]

Prints PyTorch's validation loss after the last step; with --weights also the loss of a model that
`overwinter checkpoints get` wrote, on the same windows. Needs Debian's python3-torch and python3-numpy.
"""
import argparse
import json
import math
import os
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

FOLDER = "/usr/share/common-licenses"
LAYERS, WIDTH, HEADS, CONTEXT, BATCH, STEPS = 3, 128, 4, 128, 16, 600
RATE, WARMUP = 2e-3, 20


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.fc, self.out = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = (p.view(batch, length, HEADS, -1).transpose(1, 2) for p in self.qkv(self.ln_1(x)).split(WIDTH, 2))
        behind = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = (q @ k.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5).masked_fill(behind, -math.inf).softmax(-1) @ v
        x = x + self.proj(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.out(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(256, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.h, self.ln_f = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                residual = name.endswith(("proj.weight", "out.weight"))
                nn.init.normal_(p, 0, 0.02 / (math.sqrt(2 * LAYERS) if residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe.weight
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.reshape(-1))


def read_text():
    names = sorted(n for n in os.listdir(FOLDER) if not os.path.islink(os.path.join(FOLDER, n)))
    return np.concatenate([np.fromfile(os.path.join(FOLDER, n), dtype=np.uint8) for n in names])


def windows(text, starts):
    rows = np.stack([text[s:s + CONTEXT + 1] for s in starts]).astype(np.int64)
    return torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:])


def validation_loss(model, part):
    starts = np.arange(0, len(part) - CONTEXT, CONTEXT)
    with torch.no_grad():
        losses = [(float(model(*windows(part, group))), len(group)) for group in np.array_split(starts, 16)]
    return sum(loss * n for loss, n in losses) / sum(n for _, n in losses)


def rate(step):
    if step < WARMUP:
        return RATE * (step + 1) / WARMUP
    done = (step - WARMUP) / (STEPS - WARMUP)
    return RATE * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def load(model, path):
    """The reader of three lines, and the names of GPT-2 mapped to this model's."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        body = file.read()
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__":
            begin, end = info["data_offsets"]
            tensors[name] = torch.from_numpy(
                np.frombuffer(body[begin:end], dtype=np.float32).reshape(info["shape"]).copy())
    ours = {"attn.c_attn": "qkv", "attn.c_proj": "proj", "mlp.c_fc": "fc", "mlp.c_proj": "out"}
    state = {}
    for name, tensor in tensors.items():
        for theirs, mine in ours.items():
            if "." + theirs + "." in name:
                name = name.replace(theirs, mine)
                tensor = tensor.t() if tensor.dim() == 2 else tensor
        state[name] = tensor
    model.load_state_dict(state)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    text = read_text()
    cut = len(text) - int(0.1 * len(text))
    train, part = text[:cut], text[cut:]
    if arguments.weights:
        model = Gpt()
        load(model, arguments.weights)
        print(f"validation loss of {arguments.weights}: {validation_loss(model, part):.4f}")
    model = Gpt()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    random = np.random.default_rng(arguments.seed)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad()
        loss = model(*windows(train, random.integers(0, len(train) - CONTEXT, BATCH)))
        loss.backward()
        optimizer.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {float(loss.detach()):.4f}", flush=True)
    print(f"PyTorch's validation loss after {STEPS} steps, seed {arguments.seed}: {validation_loss(model, part):.4f}")


if __name__ == "__main__":
    main()
