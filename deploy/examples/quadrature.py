#!/usr/bin/python3
"""An ordinary mpi4py program: pi by the midpoint rule, the pieces one after the other, each split over the ranks."""
import argparse
import json
import math
import os

import numpy
from mpi4py import MPI

parser = argparse.ArgumentParser()
parser.add_argument("--pieces", type=int, default=200)
parser.add_argument("--points", type=int, default=1_000_000, help="of a piece")
parser.add_argument("--checkpoints", default="ckpt")
parser.add_argument("--out", default="out")
args = parser.parse_args()

world = MPI.COMM_WORLD
state = {"piece": 0, "total": 0.0}
saved = os.path.join(args.checkpoints, "state.json")
if world.rank == 0 and os.path.exists(saved):
    with open(saved, encoding="utf-8") as file:
        state = json.load(file)
state = world.bcast(state)

width = 1.0 / (args.pieces * args.points)
while state["piece"] < args.pieces:
    piece = state["piece"]
    mine = numpy.arange(world.rank, args.points, world.size, dtype=float)
    x = (piece * args.points + mine + 0.5) * width
    state["total"] += world.allreduce(float((4.0 / (1.0 + x * x)).sum()) * width)
    state["piece"] = piece + 1
    if world.rank == 0 and state["piece"] % 20 == 0:
        # Against the exact integral from 0 to here.
        error = abs(state["total"] - 4.0 * math.atan(state["piece"] / args.pieces))
        print(f"piece {state['piece']} error {error:.3e}", flush=True)
        os.makedirs(args.checkpoints, exist_ok=True)
        with open(saved + ".new", "w", encoding="utf-8") as file:
            json.dump(state, file)
        os.replace(saved + ".new", saved)

if world.rank == 0:
    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "pi.txt"), "w", encoding="utf-8") as file:
        file.write(f"{state['total']:.12f}\n")
    print(f"pi {state['total']:.12f}", flush=True)
