"""`overwinter matmul` against NumPy: shapes, orders, precisions, small memory, one bill."""

import os
import unittest

import numpy as np

from harness import Cluster, main, relative_error

RNG = np.random.default_rng(20261124)


def matrix(rows, columns, dtype=np.float32):
    return RNG.standard_normal((rows, columns)).astype(dtype)


def to_bf16(x):
    """fp32 numbers whose lower 16 bits are zero: to nearest, ties to even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


class Matmul(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)

    def multiply(self, a, b, fortran_a=False, fortran_b=False, *options):
        c = self.cluster
        c.save("A.npy", a, fortran_a)
        c.save("B.npy", b, fortran_b)
        c.run("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--quiet", *options)
        return np.load(c.path("C.npy"))

    def test_shapes_and_orders(self):
        cases = [
            (300, 200, 250, False, False, np.float32, 1e-5),
            (301, 77, 129, True, False, np.float32, 1e-5),
            (64, 500, 33, False, True, np.float64, 1e-13),
            (129, 257, 65, True, True, np.float64, 1e-13),
            (1, 400, 1, False, False, np.float32, 1e-5),
            (400, 1, 300, False, False, np.float32, 1e-5),
            (1, 300, 500, False, False, np.float64, 1e-13),
            (500, 300, 1, True, False, np.float32, 1e-5),
            (5, 0, 7, False, False, np.float32, 0.0),
            (0, 5, 7, False, False, np.float32, 0.0),
            (5, 7, 0, False, False, np.float64, 0.0),
        ]
        for m, k, n, fa, fb, dtype, bound in cases:
            with self.subTest(m=m, k=k, n=n, fortran_a=fa, fortran_b=fb, dtype=dtype.__name__):
                a, b = matrix(m, k, dtype), matrix(k, n, dtype)
                c = self.multiply(a, b, fa, fb)
                self.assertEqual(c.dtype, dtype)
                self.assertEqual(c.shape, (m, n))
                self.assertLessEqual(relative_error(c, a, b), bound)

    def test_the_issue_s_product_and_its_bill(self):
        a, b = matrix(3000, 2000), matrix(2000, 2500)
        c = self.multiply(a, b)
        self.assertLessEqual(relative_error(c, a, b), 1e-5)
        job = self.cluster.job()
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertGreater(int(job["cost"]["charged"]["amountMicros"]), 0)
        # Two workers of one machine, and both known to be.
        machines = self.cluster.json("workers", "list")["workers"]
        self.assertEqual([m["workersOnHost"] for m in machines], [2, 2])
        self.assertEqual(len({m["hostId"] for m in machines}), 1)
        self.assertIn("2 workers", self.cluster.run("workers", "get", machines[0]["name"]).stdout)
        costs = self.cluster.json("cost", "@last")
        self.assertEqual(costs["total"], job["cost"]["charged"])

    def test_strassen_is_used_where_it_is_asked_for_and_the_job_says_so(self):
        a, b = matrix(2300, 2101), matrix(2101, 2205)
        a[::7] *= 1e-4  # rows that a plain product would have more digits of
        c = self.multiply(a, b, False, True, "--algorithm", "strassen")
        exact = a.astype(np.float64) @ b.astype(np.float64)
        self.assertLessEqual(np.max(np.abs(c - exact)) / np.max(np.abs(exact)), 1e-5)
        plan = self.cluster.job()["plan"]
        self.assertEqual(plan["matmul"]["algorithm"], "strassen")
        self.assertGreaterEqual(plan["matmul"]["strassenLevels"], 1)
        self.assertIn("Strassen", plan["why"])
        self.assertEqual(self.cluster.job()["state"], "SUCCEEDED")

    def test_nan_and_infinity_go_through_as_ieee_says(self):
        a, b = matrix(200, 100), matrix(100, 150)
        a[3, 5] = np.nan
        a[50, 7] = np.inf
        b[20, 30] = -np.inf
        c = self.multiply(a, b)
        with np.errstate(invalid="ignore"):
            expected = a.astype(np.float64) @ b.astype(np.float64)
        self.assertTrue(np.array_equal(np.isnan(c), np.isnan(expected)))
        self.assertTrue(np.array_equal(np.isposinf(c), np.isposinf(expected)))
        self.assertTrue(np.array_equal(np.isneginf(c), np.isneginf(expected)))
        finite = np.isfinite(expected)
        self.assertLessEqual(np.max(np.abs(c[finite] - expected[finite])), 1e-3)

    def test_factors_are_rounded_to_the_precision_that_is_asked_for(self):
        a, b = matrix(700, 900), matrix(900, 520)
        for precision, round_to in (("bf16", to_bf16), ("fp16", lambda x: x.astype(np.float16))):
            for fortran in (False, True):
                with self.subTest(precision=precision, fortran=fortran):
                    c = self.multiply(a, b, fortran, not fortran, "--precision", precision)
                    self.assertEqual(c.dtype, np.float32)
                    rounded_a, rounded_b = (round_to(x).astype(np.float64) for x in (a, b))
                    # Sums are of fp32: as near to the product of the rounded factors as fp32 is to its own.
                    self.assertLessEqual(relative_error(c, rounded_a, rounded_b), 1e-5)
                    self.assertGreater(relative_error(c, a, b), 1e-4)
                    self.assertEqual(self.cluster.job()["plan"]["matmul"]["precision"], precision)

    def test_int8_is_exact_in_int32(self):
        a = RNG.integers(-128, 128, (500, 1300), dtype=np.int8)
        b = RNG.integers(-128, 128, (1300, 410), dtype=np.int8)
        a[0], b[:, 0] = -128, -128
        for fortran, options in ((False, ()), (True, ("--precision", "int8"))):
            with self.subTest(fortran=fortran):
                c = self.multiply(a, b, fortran, fortran, *options)
                self.assertEqual(c.dtype, np.int32)
                self.assertTrue(np.array_equal(c, a.astype(np.int64) @ b.astype(np.int64)))

    def test_nothing_is_left_behind(self):
        a, b = matrix(50, 60), matrix(60, 70)
        self.multiply(a, b)
        names = sorted(n for n in os.listdir(self.cluster.home) if n.endswith(".npy") or ".tmp" in n)
        self.assertEqual(names, ["A.npy", "B.npy", "C.npy"])


class SmallMemory(unittest.TestCase):
    def test_workers_of_64_mib(self):
        with Cluster(workers=2, devices=("cpu:memory=64MiB,threads=1",)) as cluster:
            a, b = matrix(3000, 2000), matrix(2000, 2500)
            cluster.save("A.npy", a)
            cluster.save("B.npy", b)
            idle = {w: peak_kib(cluster.pid(w)) for w in ("worker-1", "worker-2")}
            cluster.run("matmul", cluster.path("A.npy"), cluster.path("B.npy"), "-o", cluster.path("C.npy"))
            self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), a, b), 1e-5)
            for name, before in idle.items():
                used = (peak_kib(cluster.pid(name)) - before) / 1024
                print(f"{name}: {used:.1f} MiB above the idle daemon, budget 64 MiB")
                self.assertLessEqual(used, 64)


def peak_kib(pid):
    """Peak anonymous-and-file resident set of a process, less mapped files of others (VmHWM)."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
