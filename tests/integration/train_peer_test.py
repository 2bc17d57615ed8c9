"""The training engine against PyTorch: the same weights and batches give the same losses.

Needs Debian's python3-torch with an OpenMP OpenBLAS (libopenblas0-openmp); without torch: skipped, with the reason.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PROGRAM = os.path.join(os.environ["OVERWINTER_BIN"], "train_peer")
STEPS = 20
VARIABLES = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
torch.set_num_threads(1)


def some_text(count):
    """Bytes with structure: words of a small vocabulary from a seeded generator."""
    random = np.random.RandomState(3)
    words = ["winter", "over", "the", "snow", "melts", "and", "birds", "sing;", "a", "lake\n", "is", "ice."]
    return " ".join(words[i] for i in random.randint(0, len(words), count)).encode()[:count]


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.c_attn(self.ln_1(x)).split(width, 2)
        q, k, v = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in parts)
        scores = q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5
        behind = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(behind, float("-inf")).softmax(-1) @ v
        x = x + self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, layers, heads, width, context):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(256, width), nn.Embedding(context, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, 0, 0.02)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe.weight[:tokens.shape[1]]
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.reshape(-1))

    def tensors(self):
        """By the names of GPT-2 in Hugging Face, linear weights as inputs x outputs."""
        where = {"c_attn": "attn.c_attn", "c_proj": "attn.c_proj", "c_fc": "mlp.c_fc", "mlp_proj": "mlp.c_proj"}
        for name, p in self.named_parameters():
            array = p.detach().numpy()
            parts = name.split(".")
            if parts[0] == "h" and parts[2] in where:
                name = ".".join(parts[:2] + [where[parts[2]], parts[3]])
                array = array.T if array.ndim == 2 else array
            yield name, array


class Mlp(nn.Module):
    def __init__(self, widths, classes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.classes = classes

    def forward(self, x, y):
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        x = self.layers[-1](x)
        return F.cross_entropy(x, y) if self.classes else F.mse_loss(x, y)

    def tensors(self):
        return ((name, p.detach().numpy()) for name, p in self.named_parameters())


class TrainPeer(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        torch.manual_seed(1)

    def path(self, name):
        return os.path.join(self.folder, name)

    def ours(self, model, spec, *options):
        for name, array in model.tensors():
            np.ascontiguousarray(array, "<f4").tofile(self.path(name + ".f32"))
        with open(self.path("spec.json"), "w", encoding="utf-8") as file:
            json.dump(dict(spec, steps=STEPS, seed=1, data=dict(spec["data"], order="sequential")), file)
        done = subprocess.run([PROGRAM, self.path("spec.json"), "weights=" + self.folder, *options], text=True,
                              env=VARIABLES, capture_output=True, timeout=200, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["losses"]

    def theirs(self, model, optimizer, batch, clip=0.0, narrow=False):
        losses = []
        for i in range(STEPS):
            with torch.autocast("cpu", dtype=torch.bfloat16) if narrow else contextlib.nullcontext():
                loss = model(*batch(i))
            optimizer.zero_grad()
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            losses.append(loss.item())
        return losses

    def assert_close(self, ours, theirs, bound=1e-4):
        self.assertEqual(len(ours), len(theirs))
        for step, (a, b) in enumerate(zip(ours, theirs)):
            self.assertLessEqual(abs(a - b), bound, f"step {step}: {a} and {b}")

    def gpt_batch(self, text, batch, context):
        tokens = torch.from_numpy(np.frombuffer(text, "u1").astype("i8"))

        def get(i):
            at = i * batch * context
            part = tokens[at:at + batch * context + 1]
            return part[:-1].view(batch, context), part[1:].view(batch, context)
        return get

    def test_gpt_with_adamw_on_one_and_two_ranks(self):
        text = some_text(40000)
        with open(self.path("text"), "wb") as file:
            file.write(text)
        model = Gpt(layers=2, heads=4, width=64, context=48)
        spec = {"model": {"gpt": {"layers": 2, "heads": 4, "width": 64, "context": 48}},
                "data": {"text": [self.path("text")]}, "batchSize": 6,
                "optimizer": {"adamw": {"learningRate": 2e-3, "clipNorm": 0.5, "weightDecay": 0.1}}}
        runs = [self.ours(model, spec), self.ours(model, spec, "ranks=2"), self.ours(model, spec, "threads=2")]
        # Decay is for tensors of two dimensions alone.
        groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": 0.1},
                  {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=2e-3)
        theirs = self.theirs(model, optimizer, self.gpt_batch(text, 6, 48), clip=0.5)
        self.assertLess(theirs[-1], theirs[0] - 1)
        for losses in runs:
            self.assert_close(losses, theirs)

    def test_gpt_in_bf16_kept_and_recomputed(self):
        text = some_text(40000)
        with open(self.path("text"), "wb") as file:
            file.write(text)
        model = Gpt(layers=2, heads=4, width=64, context=48)
        spec = {"model": {"gpt": {"layers": 2, "heads": 4, "width": 64, "context": 48}},
                "data": {"text": [self.path("text")]}, "batchSize": 6, "precision": "bf16",
                "optimizer": {"adamw": {"learningRate": 1e-4}}}
        kept = self.ours(model, spec)
        self.assertEqual(self.ours(model, dict(spec, activations="recomputed")), kept)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0)
        theirs = self.theirs(model, optimizer, self.gpt_batch(text, 6, 48), narrow=True)
        self.assert_close(kept, theirs, bound=2e-3)

    def test_mlp_with_momentum(self):
        random = np.random.RandomState(7)
        x = random.rand(20 * 32, 20).astype("f4")
        y = x[:, :5].argmax(1).astype("i8")
        np.save(self.path("x.npy"), x)
        np.save(self.path("y.npy"), y.reshape(-1, 1))
        model = Mlp([20, 32, 5], classes=True)
        spec = {"model": {"mlp": {"layers": [20, 32, 5]}}, "batchSize": 32,
                "data": {"npy": {"x": self.path("x.npy"), "y": self.path("y.npy")}},
                "optimizer": {"sgd": {"learningRate": 0.2, "momentum": 0.9}}}
        ours = self.ours(model, spec)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        theirs = self.theirs(model, optimizer, lambda i: (torch.from_numpy(x[32 * i:32 * i + 32]),
                                                          torch.from_numpy(y[32 * i:32 * i + 32])))
        self.assert_close(ours, theirs)

    def test_linear_on_csv(self):
        random = np.random.RandomState(8)
        x = random.rand(20 * 16, 3).astype("f4")
        y = (x @ np.array([[1.0], [-2.0], [0.5]], "f4") + 0.3).astype("f4")
        np.savetxt(self.path("t.csv"), np.hstack([x, y]), delimiter=",", header="a,b,c,y", comments="", fmt="%.9g")
        model = Mlp([3, 1], classes=False)
        spec = {"model": {"linear": {}}, "batchSize": 16, "data": {"csv": {"path": self.path("t.csv"), "target": "y"}},
                "optimizer": {"adamw": {"learningRate": 0.05}}}
        ours = self.ours(model, spec)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0)
        theirs = self.theirs(model, optimizer, lambda i: (torch.from_numpy(x[16 * i:16 * i + 16]),
                                                          torch.from_numpy(y[16 * i:16 * i + 16])))
        self.assert_close(ours, theirs)


if __name__ == "__main__":
    unittest.main()
