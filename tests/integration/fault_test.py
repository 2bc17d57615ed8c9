"""kill -9 of the coordinator and of a worker in the middle of a product: it ends SUCCEEDED, once, with one bill."""

import json
import signal
import unittest

import numpy as np

from harness import Cluster, main, relative_error, wait_until

RNG = np.random.default_rng(7)
M, K, N = 4000, 2500, 3500


class Faults(unittest.TestCase):
    def begin(self, cluster):
        """Starts a product that takes a few seconds and waits until tiles have landed."""
        a = RNG.standard_normal((M, K)).astype(np.float32)
        b = RNG.standard_normal((K, N)).astype(np.float32)
        cluster.save("A.npy", a)
        cluster.save("B.npy", b)
        process = cluster.start("matmul", cluster.path("A.npy"), cluster.path("B.npy"), "-o", cluster.path("C.npy"))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)

        def landed():
            done = cluster.call("jobs", "get", "@last", "--format", "json")
            if done.returncode != 0:
                self.assertIsNone(process.poll(), "the product ended before a tile was seen")
                return None
            return int(json.loads(done.stdout)["progress"]["unitsDone"]) > 0

        wait_until("a tile lands", landed)
        return a, b, process

    def finish(self, cluster, a, b, process):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, out + err + cluster.logs())
        self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), a, b), 1e-5)
        job = cluster.job()
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["progress"]["unitsDone"], job["progress"]["unitsTotal"])
        self.assertEqual(len(cluster.json("jobs", "list")["jobs"]), 1)
        self.check_bill(cluster, job)

    def check_bill(self, cluster, job):
        """The bill, from the workers' own records and the price book alone: 0.36 USD an hour, whole devices."""
        least = most = 0
        for records in cluster.worker_records().values():
            used, ended = {}, set()
            for r in records:
                if r["record"] == "began":
                    used[r["seat"]] = 0
                elif r["record"] in ("evidence", "ended"):
                    used[r["seat"]] = r["used_ms"]
                if r["record"] == "ended":
                    ended.add(r["seat"])
            for seat, ms in used.items():
                least += ms
                # A killed worker's last word may have been on its way; it speaks each second.
                most += ms if seat in ended else ms + 1500
        charged = int(job["cost"]["charged"]["amountMicros"])
        self.assertGreaterEqual(charged, least * 360_000 // 3_600_000)
        self.assertLessEqual(charged, -(-most * 360_000 // 3_600_000))
        if least == most:
            print(f"bill {charged} micro-USD = {least} ms of the workers' records")

    def test_a_worker_is_killed(self):
        with Cluster(workers=2, devices=("cpu:memory=64MiB,threads=1",)) as cluster:
            a, b, process = self.begin(cluster)
            cluster.kill("worker-2", signal.SIGKILL)
            self.finish(cluster, a, b, process)

    def test_the_coordinator_is_killed_and_comes_back(self):
        with Cluster(workers=2, devices=("cpu:memory=64MiB,threads=1",)) as cluster:
            a, b, process = self.begin(cluster)
            cluster.kill("coordinator", signal.SIGKILL)
            cluster.up_again()
            self.finish(cluster, a, b, process)

    def test_pause_keeps_tiles_and_resume_goes_on(self):
        with Cluster(workers=2, devices=("cpu:memory=64MiB,threads=1",)) as cluster:
            a, b, process = self.begin(cluster)
            cluster.run("jobs", "pause", "@last")
            process.wait(timeout=60)
            self.assertEqual(process.returncode, 4)
            paused = cluster.job()
            self.assertEqual(paused["state"], "PAUSED")
            self.assertEqual(paused["seats"], [])
            kept = int(paused["progress"]["unitsDone"])
            self.assertGreater(kept, 0)
            cluster.run("jobs", "resume", "@last")
            cluster.run("jobs", "watch", "@last")
            cluster.run("jobs", "download", "@last", "-o", cluster.path("C.npy"))
            self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), a, b), 1e-5)
            self.assertEqual(cluster.job()["attempt"], paused["attempt"] + 1)


if __name__ == "__main__":
    main()
