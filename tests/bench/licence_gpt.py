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

from gpt_model import Gpt

FOLDER = "/usr/share/common-licenses"
LAYERS, WIDTH, HEADS, CONTEXT, BATCH, STEPS = 3, 128, 4, 128, 16, 600
RATE, WARMUP = 2e-3, 20


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
        model = Gpt(LAYERS, WIDTH, HEADS, CONTEXT)
        load(model, arguments.weights)
        print(f"validation loss of {arguments.weights}: {validation_loss(model, part):.4f}")
    model = Gpt(LAYERS, WIDTH, HEADS, CONTEXT)
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
