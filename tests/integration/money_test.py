"""A cap stops a job before it is passed; raising it lets the job go on, to the same bytes."""

import unittest

import numpy as np

from harness import Cluster, main, wait_until

RNG = np.random.default_rng(11)
PRICE = 36.0  # an hour of a device: 0.01 a second


def micros(money):
    return int(money["amountMicros"])


def cpu_ticks(pid):
    """User time of a process, in hundredths of a second."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return int(f.read().rsplit(")", 1)[1].split()[11])


class Caps(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(workers=2, devices=("cpu:memory=64MiB,threads=1",)).__enter__()
        self.addCleanup(self.cluster.close)
        with open(self.cluster.path("prices.yaml"), "w", encoding="utf-8") as f:
            f.write(f"currency: USD\nprices:\n  - {{ from: 2026-01-01, device: cpu, per_hour: {PRICE} }}\n")
        self.cluster.run("prices", "set", self.cluster.path("prices.yaml"))
        # Some ten device-seconds of work.
        self.cluster.save("A.npy", RNG.standard_normal((4500, 5500)))
        self.cluster.save("B.npy", RNG.standard_normal((5500, 4500)))

    def matmul(self, output, *options, code=0):
        c = self.cluster
        c.run("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path(output), "--quiet", *options, code=code)
        return c.job()

    def test_half_the_bill_then_more(self):
        whole = self.matmul("whole.npy")
        bill = micros(whole["cost"]["charged"])
        cap = bill // 2
        paused = self.matmul("C.npy", "--cap", f"{cap / 1e6:.6f}", code=4)
        self.assertEqual(paused["state"], "PAUSED")
        self.assertLessEqual(micros(paused["cost"]["charged"]), cap)
        self.assertIn("jobs update", paused["stateReason"] + str(self.cluster.json("jobs", "explain", "@last")))
        self.cluster.run("jobs", "update", "@last", "--cap", "10")
        self.cluster.run("jobs", "resume", "@last")
        self.cluster.run("jobs", "watch", "@last")
        self.cluster.run("jobs", "download", "@last", "-o", self.cluster.path("C.npy"))
        with open(self.cluster.path("whole.npy"), "rb") as f, open(self.cluster.path("C.npy"), "rb") as g:
            self.assertEqual(f.read(), g.read())

    def test_the_cap_holds_while_the_coordinator_is_down(self):
        cap = 60_000
        process = self.cluster.start("matmul", self.cluster.path("A.npy"), self.cluster.path("B.npy"), "-o",
                                     self.cluster.path("C.npy"), "--cap", f"{cap / 1e6:.6f}")
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)

        def running():
            done = self.cluster.call("jobs", "get", "@last", "--format", "json")
            return done.returncode == 0 and '"RUNNING"' in done.stdout

        wait_until("the job runs", running)
        self.cluster.kill("coordinator")
        # Its funds end: the workers compute no more, though nobody told them to stop.
        ticks = {}

        def idle():
            before = dict(ticks)
            for name in ("worker-1", "worker-2"):
                ticks[name] = cpu_ticks(self.cluster.pid(name))
            return before and all(ticks[n] - before[n] <= 1 for n in ticks)

        wait_until("the workers stop by themselves", idle, 60, pause_s=0.5)
        self.cluster.up_again()
        process.wait(timeout=120)
        job = self.cluster.job()
        self.assertLessEqual(micros(job["cost"]["charged"]), cap)
        self.assertEqual(job["state"], "PAUSED")

    def test_machines_add_up(self):
        self.matmul("C.npy")
        costs = self.cluster.json("cost", "--machines")
        for line in costs["machines"] + [costs["total"]]:
            total = micros(line["jobs"]) + micros(line["idle"]) + micros(line["lost"])
            self.assertEqual(total, micros(line["total"]))
        jobs = self.cluster.json("cost")
        self.assertEqual(micros(jobs["total"]), micros(costs["total"]["jobs"]))


if __name__ == "__main__":
    main()
