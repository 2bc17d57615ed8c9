#!/usr/bin/python3
"""Writes X.npy, Y.npy (for mlp.yaml) and table.csv (for csv-logistic.yaml) into a folder, by default this one.

    make_data.py [FOLDER]
"""
import csv
import os
import sys

import numpy

folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
random = numpy.random.RandomState(7)

# Ten classes: the largest of ten sums of the inputs, with some noise.
x = random.standard_normal((2000, 64)).astype("f4")
sums = x @ random.standard_normal((64, 10)) + 0.1 * random.standard_normal((2000, 10))
numpy.save(os.path.join(folder, "X.npy"), x)
numpy.save(os.path.join(folder, "Y.npy"), sums.argmax(1).astype("i4").reshape(-1, 1))

with open(os.path.join(folder, "table.csv"), "w", newline="", encoding="utf-8") as file:
    rows = csv.writer(file)
    rows.writerow(["length", "width", "height", "kind"])
    for _ in range(600):
        kind = random.randint(3)
        sizes = random.standard_normal(3) + numpy.array([kind, -kind, 2 * kind])
        rows.writerow([f"{size:.4f}" for size in sizes] + [kind])
