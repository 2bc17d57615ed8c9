"""Partings: the coordinator goes and comes back, a worker is frozen and comes back, both are told to stop politely."""

import json
import os
import signal
import time
import unittest

import numpy as np

from harness import SLOW, Cluster, cpu_s, main, relative_error, wait_until

RNG = np.random.default_rng(19)
DEVICE = "cpu:memory=16MiB,threads=1"


class Partings(unittest.TestCase):
    def begin(self, cluster, m=3400, k=3400, n=3000):
        """Starts a product and waits until both workers compute and a tile has landed."""
        self.a = RNG.standard_normal((m, k))
        self.b = RNG.standard_normal((k, n))
        cluster.save("A.npy", self.a)
        cluster.save("B.npy", self.b)
        process = cluster.start("matmul", cluster.path("A.npy"), cluster.path("B.npy"), "-o", cluster.path("C.npy"))
        wait_until("a tile lands", lambda: self.units_done(cluster, process) > 0)
        return process

    def units_done(self, cluster, process):
        done = cluster.call("jobs", "get", "@last", "--format", "json")
        self.assertIsNone(process.poll(), "the job ended before the fault; make it longer")
        if done.returncode != 0:
            return 0
        job = json.loads(done.stdout)
        return int(job["progress"]["unitsDone"]) if len(job["seats"]) == 2 else 0

    def finish(self, cluster, process):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, out + err + cluster.logs())
        self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), self.a, self.b), 1e-13)
        job = cluster.job()
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["progress"]["unitsDone"], job["progress"]["unitsTotal"])
        return job

    @staticmethod
    def began(cluster):
        return {name: [r["seat"] for r in lines if r["record"] == "began"]
                for name, lines in cluster.worker_records().items()}

    def test_sigterm_of_the_coordinator_loses_nothing(self):
        with Cluster(workers=2, devices=("cpu:memory=64MiB,threads=1",), env=SLOW) as cluster:
            process = self.begin(cluster)
            # Behind it in the queue: acknowledged, so they must be there afterwards.
            small = cluster.save("small.npy", np.ones((8, 8), np.float32))
            text = f"workload: {{matmul: {{a: {small}, b: {small}}}}}\nname: queued"
            queued = {cluster.run("submit", "-", stdin=text).stdout.strip() for _ in range(5)}
            before = self.began(cluster)
            landed = self.units_done(cluster, process)
            pid = cluster.pid("coordinator")
            used = sum(cpu_s(cluster.pid(f"worker-{i}")) for i in (1, 2))
            began = time.monotonic()
            cluster.kill("coordinator", signal.SIGTERM)
            took = time.monotonic() - began
            print(f"the coordinator stopped {took:.2f} s after SIGTERM, with two seats running")
            self.assertLess(took, 5)
            # The workers go on computing the tiles that they hold: funded work is kept.
            workers = [cluster.pid(f"worker-{i}") for i in (1, 2)]
            wait_until("they compute on alone", lambda: sum(map(cpu_s, workers)) > used + 0.1, 5)
            cluster.up_again()
            self.assertNotEqual(cluster.pid("coordinator"), pid)
            self.assertEqual([cluster.pid(f"worker-{i}") for i in (1, 2)], workers)
            names = {j["name"] for j in cluster.json("jobs", "list")["jobs"]}
            self.assertLessEqual(queued, names)
            self.assertGreaterEqual(int(cluster.job(self.product(cluster))["progress"]["unitsDone"]), landed)
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, out + err + cluster.logs())
            self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), self.a, self.b), 1e-13)
            job = cluster.job(self.product(cluster))
            self.assertEqual(job["attempt"], 1)
            # The same seats went on: none was begun again for the product.
            after = {name: [s for s in seats if s in before[name]] for name, seats in self.began(cluster).items()}
            self.assertEqual(after, before)
            number = before["worker-1"][0].split("/")[0]
            for name, seats in self.began(cluster).items():
                self.assertEqual([s for s in seats if s.split("/")[0] == number], before[name])
            for name in queued:
                cluster.run("jobs", "watch", name)

    @staticmethod
    def product(cluster):
        return next(j["name"] for j in cluster.json("jobs", "list")["jobs"] if j["displayName"] != "queued")

    def test_sigterm_of_a_worker_hands_its_work_back(self):
        with Cluster(workers=2, devices=(DEVICE,), env=SLOW) as cluster:
            process = self.begin(cluster)
            began = time.monotonic()
            cluster.kill("worker-2", signal.SIGTERM)
            took = time.monotonic() - began
            print(f"the worker stopped {took:.2f} s after SIGTERM, with a seat running")
            self.assertLess(took, 6)
            records = cluster.worker_records()["worker-2"]
            seats = [r["seat"] for r in records if r["record"] == "began"]
            ends = [(r["seat"], r["end"]) for r in records if r["record"] == "ended" and r["seat"] in seats]
            self.assertEqual(ends, [(seat, "LEAVING") for seat in seats])
            # It comes back and is as welcome to the job as before: alone, it does the rest.
            cluster.run("workers", "drain", "worker-1")
            cluster.up_again()
            self.assertEqual(list(cluster.machines("READY")), ["worker-2"])
            self.finish(cluster, process)

    def test_a_worker_that_was_declared_lost_comes_back(self):
        with Cluster(workers=2, devices=(DEVICE,), env=SLOW, coordinator_switches=("--test-lost-after-ms", "2500")) as cluster:
            process = self.begin(cluster)
            pid = cluster.pid("worker-2")
            os.kill(pid, signal.SIGSTOP)
            lost = wait_until("it is LOST", lambda: cluster.machines("LOST").get("worker-2"), 20)
            self.assertTrue(lost["stateReason"])
            job = self.finish(cluster, process)
            # Its seat is gone and its bill closed; then it wakes up with tiles of a job that has ended.
            os.kill(pid, signal.SIGCONT)
            wait_until("it is READY again", lambda: "worker-2" in cluster.machines("READY"), 30)
            after = cluster.job()
            for field in ("state", "cost", "endTime", "attempt", "progress"):
                self.assertEqual(after[field], job[field], field)
            cluster.run("jobs", "download", "@last", "-o", cluster.path("again.npy"))
            with open(cluster.path("C.npy"), "rb") as f, open(cluster.path("again.npy"), "rb") as g:
                self.assertEqual(f.read(), g.read())
            # It is as good as any: alone, it does the next product.
            cluster.run("workers", "drain", "worker-1")
            a = np.ones((30, 40), np.float32)
            path = cluster.save("ones.npy", a)
            other = cluster.save("others.npy", a.T)
            cluster.run("matmul", path, other, "-o", cluster.path("D.npy"), "--quiet")
            self.assertLessEqual(relative_error(np.load(cluster.path("D.npy")), a, a.T), 1e-6)
            self.assertEqual(cluster.pid("worker-2"), pid)


if __name__ == "__main__":
    main()
