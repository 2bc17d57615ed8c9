"""A cap stops a job before it is passed; raising it lets the job go on, to the same bytes."""

import json
import unittest

import numpy as np

from harness import SLOW, Cluster, main, wait_until

RNG = np.random.default_rng(11)
PRICE = 36.0  # an hour of a device: 0.01 a second
# What a cap may leave: less than a second that is too short to fund, and of each seat the second that is kept for stopping.
UNSPENT_S = 3


def micros(money):
    return int(money["amountMicros"])


def cpu_ticks(pid):
    """User time of a process, in hundredths of a second."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return int(f.read().rsplit(")", 1)[1].split()[11])


class Caps(unittest.TestCase):
    def setUp(self):
        # Little memory, so small tiles: some are done long before half the bill is spent, on a busy machine too.
        self.cluster = Cluster(workers=2, devices=("cpu:memory=16MiB,threads=1",), env=SLOW).__enter__()
        self.addCleanup(self.cluster.close)
        with open(self.cluster.path("prices.yaml"), "w", encoding="utf-8") as f:
            f.write(f"currency: USD\nprices:\n  - {{ from: 2026-01-01, device: cpu, per_hour: {PRICE} }}\n")
        self.cluster.run("prices", "set", self.cluster.path("prices.yaml"))
        # Some ten device-seconds of work, on a fast machine too.
        self.cluster.save("A.npy", RNG.standard_normal((3000, 3000)))
        self.cluster.save("B.npy", RNG.standard_normal((3000, 3000)))

    def matmul(self, output, *options, code=0):
        c = self.cluster
        c.run("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path(output), "--quiet", *options, code=code)
        return c.job()

    def test_caps(self):
        whole = self.matmul("whole.npy")
        bill = micros(whole["cost"]["charged"])
        with self.subTest("half the bill"):
            bill = self.capped_at_half(bill)
        with self.subTest("the coordinator is down when the cap is reached"):
            self.capped_while_alone(bill // 2)

    def capped_at_half(self, bill):
        """Returns the bill that it took half of: on a machine that was busy a moment ago half may suffice for the whole."""
        c = self.cluster
        for _ in range(3):
            done = c.call("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--quiet",
                          "--cap", f"{bill // 2 / 1e6:.6f}")
            if done.returncode != 0:
                break
            self.assertLessEqual(micros(c.job()["cost"]["charged"]), bill // 2)
            bill = micros(c.job()["cost"]["charged"])
        self.assertEqual(done.returncode, 4, done.stderr)
        self.go_on(c.job(), bill // 2)
        return bill

    def go_on(self, paused, cap):
        """A job that its cap has paused says what to do; done, it ends with the bytes of the one without a cap."""
        c = self.cluster
        self.assertEqual(paused["state"], "PAUSED")
        self.assertIn("cap", paused["stateReason"])
        self.assertLessEqual(micros(paused["cost"]["charged"]), cap)
        self.assertLess(cap - micros(paused["cost"]["charged"]), UNSPENT_S * PRICE / 3600 * 1e6)
        self.assertEqual(micros(paused["cost"]["reserved"]), 0)
        self.assertEqual(paused["seats"], [])
        self.assertIn("jobs update", paused["stateReason"] + str(c.json("jobs", "explain", "@last")))
        kept = int(paused["progress"]["unitsDone"])
        self.assertGreater(kept, 0)
        c.run("jobs", "update", "@last", "--cap", "10")
        c.run("jobs", "resume", "@last")
        c.run("jobs", "watch", "@last")
        ended = c.job()
        self.assertEqual(ended["state"], "SUCCEEDED")
        self.assertGreater(micros(ended["cost"]["charged"]), micros(paused["cost"]["charged"]))
        c.run("jobs", "download", "@last", "-o", c.path("C.npy"))
        with open(c.path("whole.npy"), "rb") as f, open(c.path("C.npy"), "rb") as g:
            self.assertEqual(f.read(), g.read())

    def capped_while_alone(self, cap):
        c = self.cluster
        process = c.start("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--cap", f"{cap / 1e6:.6f}")

        def under_way():
            done = c.call("jobs", "list", "--filter", "state=RUNNING", "--format", "json")
            if done.returncode != 0:
                return False
            return any(int(job["progress"]["unitsDone"]) > 0 for job in json.loads(done.stdout)["jobs"])

        wait_until("the first tile has landed", under_way)
        c.kill("coordinator")
        # Its funds end: the workers compute no more, though nobody told them to stop.
        ticks = {}

        def idle():
            before = dict(ticks)
            for name in ("worker-1", "worker-2"):
                ticks[name] = cpu_ticks(c.pid(name))
            return before and all(ticks[n] - before[n] <= 1 for n in ticks)

        wait_until("the workers stop by themselves", idle, 60, pause_s=0.5)
        c.up_again()
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 4, out + err)
        self.go_on(c.job(), cap)

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
