"""PyTorch's side of the suite `gpu`: the same work on the same GPU.

    python3 gpu_peer.py gemm SIDE [DEVICE]                                    bf16 in, fp32 sums: {"rate": TFLOP/s}
    python3 gpu_peer.py gpt LAYERS WIDTH HEADS CONTEXT BATCH [DEVICE]         fp32, products in TF32: {"rate": tokens/s}

DEVICE: cuda, unless named. Exit status 3 where PyTorch has no GPU.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F

from gpt_model import Block, Gpt

WARM_UP, PRODUCTS, STEPS = 3, 20, 5


def wait(device):
    if device != "cpu":
        torch.cuda.synchronize()


def rate_of(work, repeats, amount, device):
    for _ in range(WARM_UP):
        work()
    wait(device)
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    wait(device)
    return amount * repeats / (time.perf_counter() - begun)


def gemm(side, device):
    a, b = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    return rate_of(lambda: a @ b, PRODUCTS, 2 * side ** 3 / 1e12, device)


def flash_forward(self, x):
    """Block.forward with PyTorch's own attention, which makes no matrix of all pairs."""
    batch, length, width = x.shape
    q, k, v = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in self.qkv(self.ln_1(x)).split(width, 2))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + self.proj(mixed.transpose(1, 2).reshape(batch, length, width))
    return x + self.out(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))


def gpt(layers, width, heads, context, batch, device):
    torch.backends.cuda.matmul.allow_tf32 = True
    if hasattr(F, "scaled_dot_product_attention"):
        Block.forward = flash_forward
    net = Gpt(layers, width, heads, context).to(device)
    for block in net.h:
        block.behind = block.behind.to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.0)
    tokens = torch.randint(256, (batch, context + 1), device=device)

    def step():
        net(tokens[:, :-1], tokens[:, 1:]).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    return rate_of(step, STEPS, batch * context, device)


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    used = words.pop() if words[-1].isalpha() else "cuda"
    if used == "cuda" and not torch.cuda.is_available():
        sys.exit(3)
    print(json.dumps({"rate": {"gemm": gemm, "gpt": gpt}[what](*map(int, words), used)}))
