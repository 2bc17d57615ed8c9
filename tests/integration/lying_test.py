"""A worker that delivers wrong tiles, a real process: caught, drained, its work redone by an honest one."""

import unittest

import numpy as np

from harness import SLOW, Cluster, main, records, relative_error, text_of, wait_until

RNG = np.random.default_rng(13)
# How the tiles are wrong (worker/app/lying_artifacts.h). flip:2: the first is right and stays.
KINDS = ("flip:2", "zero", "stale", "swap", "reverse")


class LyingWorkers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1, devices=("cpu:memory=16MiB,threads=1",), env=SLOW).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.a = RNG.standard_normal((3000, 400)).astype(np.float32)
        cls.b = RNG.standard_normal((400, 2800)).astype(np.float32)
        cls.cluster.save("A.npy", cls.a)
        cls.cluster.save("B.npy", cls.b)

    def multiply(self):
        c = self.cluster
        return self.right(c.start("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--quiet"))

    def right(self, process):
        c = self.cluster
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, out + err + c.logs())
        self.assertLessEqual(relative_error(np.load(c.path("C.npy")), self.a, self.b), 1e-5)
        job = c.job()
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["progress"]["unitsDone"], job["progress"]["unitsTotal"])
        return job

    def test_each_kind_of_lie(self):
        for number, kind in enumerate(KINDS):
            with self.subTest(kind=kind):
                self.lie(f"liar-{number}", kind)

    def lie(self, name, kind):
        c = self.cluster
        log = c.path(name + ".log")
        liar = c.start_worker(name, "--join", c.join_file(name + ".join"), "--name", name, "--test-lie", kind,
                              program="overwinter-worker-test", device="cpu:memory=16MiB,threads=1", log=log)
        wait_until("the liar is READY", lambda: name in c.machines("READY"))
        # It begins alone, so that it lies; when it is caught, the honest one comes and does all that it did wrong.
        c.run("workers", "drain", "worker-1")
        process = c.start("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--quiet")
        caught = wait_until("the lie is caught", lambda: c.machines("DRAINING").get(name))
        self.assertIn("lying about unit", text_of(log))
        c.run("workers", "resume", "worker-1")
        job = self.right(process)
        self.assertIn("a result of it failed its check", caught["stateReason"])
        self.assertIn(name, c.run("workers", "list").stdout)
        self.assertIn("failed its check", c.run("workers", "get", name).stdout)
        self.assertEqual(c.json("status")["workersDraining"], 1)
        # It had one seat of this job and gets none of the next.
        self.assertEqual(len(self.seats(c.path(name), job)), 1)
        again = self.multiply()
        self.assertEqual(self.seats(c.path(name), again), set())
        c.run("workers", "remove", name)
        liar.wait(timeout=30)
        self.assertEqual(liar.returncode, 4)

    @staticmethod
    def seats(folder, job):
        return {r["seat"] for r in records(folder) if r["record"] == "began" and r["job"] == job["name"]}


if __name__ == "__main__":
    main()
