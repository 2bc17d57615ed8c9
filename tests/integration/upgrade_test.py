"""Stores of earlier commits (tests/fixtures) under today's coordinator: jobs, money, tokens, prices and logs are what that
commit's own command said; the store verifies; what waited goes on; and it is backed up and restored like any other.

OVERWINTER_EARLIER_BIN: build/release/bin of an earlier commit (tests/fixtures/README.md). Its workers then work for today's
coordinator; without it that test is left out, since it takes a build of its own."""

import glob
import json
import os
import subprocess
import tarfile
import unittest

import numpy as np

from backup_test import Restored, restore
from harness import BIN, SOURCE, Cluster, main, wait_until

FIXTURES = sorted(glob.glob(os.path.join(SOURCE, "tests", "fixtures", "store-*.tar.gz")))
DEVICE = "cpu:memory=64MiB,threads=1"
EARLIER_BIN = os.environ.get("OVERWINTER_EARLIER_BIN")


class Upgrade(unittest.TestCase):
    def coordinator(self, cluster, *arguments):
        done = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), *arguments], env=cluster.env,
                              capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def same(self, then, now, where=""):
        """All that was said then is said now; fields may have come since."""
        if isinstance(then, dict):
            for key, value in then.items():
                self.assertIn(key, now, where)
                self.same(value, now[key], f"{where}.{key}")
        elif isinstance(then, list):
            self.assertEqual(len(then), len(now), where)
            for i, (old, new) in enumerate(zip(then, now)):
                self.same(old, new, f"{where}[{i}]")
        else:
            self.assertEqual(then, now, where)

    def check(self, there, expected):
        self.same(expected["jobs"], there.json("jobs", "list")["jobs"], "jobs")
        self.same(expected["cost"], there.json("cost"), "cost")
        self.same(expected["prices"], there.json("prices"), "prices")
        self.same(expected["projects"], there.json("projects", "list")["projects"], "projects")
        tokens = {(t["role"], t["id"]): t for t in there.json("tokens", "list")["tokens"]}
        for token in expected["tokens"]:
            self.same(token, tokens[(token["role"], token["id"])], "token")
        workers = {w["name"]: w for w in there.json("workers", "list")["workers"]}
        for worker in expected["workers"]:
            kept = {k: worker[k] for k in ("id", "hostName", "devices", "joinTime", "pricePerHour") if k in worker}
            self.same(kept, workers[worker["name"]], "worker")
        self.assertEqual(workers["workers/worker-2"]["state"], "REMOVED")
        self.assertIn("some words", there.run("logs", "failed").stdout)

    def go_on(self, cluster, there):
        """What waited runs on a worker of today; results of then are there."""
        there.run("tokens", "create", "--role", "worker", "-o", cluster.path("new.join"))
        worker = cluster.start_worker("new", "--join", cluster.path("new.join"), "--name", "new", device=DEVICE)
        there.run("jobs", "resume", "paused")
        product = np.arange(96 * 64, dtype=np.float64).reshape(96, 64) @ np.ones((64, 80))
        for name in ("queued", "paused", "done"):
            wait_until(f"{name} has ended", lambda name=name: there.json("jobs", "get", name)["state"] == "SUCCEEDED")
            path = cluster.path(name + ".npy")
            there.run("jobs", "download", name, "-o", path)
            np.testing.assert_array_equal(np.load(path), product)
        worker.terminate()
        worker.wait(30)

    def test_todays_coordinator_opens_them(self):
        self.assertTrue(FIXTURES)
        for fixture in FIXTURES:
            with self.subTest(os.path.basename(fixture)), Cluster(workers=1, devices=(DEVICE,)) as cluster:
                with tarfile.open(fixture) as tar:
                    tar.extractall(cluster.home, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(
                        cluster.home)
                with open(cluster.path("expected.json"), encoding="utf-8") as f:
                    expected = json.load(f)
                data = cluster.path("data")
                self.coordinator(cluster, "--verify", "--data-dir", data)
                self.coordinator(cluster, "--new-admin-token", "--data-dir", data)
                there = Restored(cluster, data)
                self.check(there, expected)
                there.run("backup", "-o", cluster.path("old.backup"))
                self.go_on(cluster, there)
                there.stop()
                self.coordinator(cluster, "--verify", "--data-dir", data)
                restored = cluster.path("restored")
                restore(cluster, cluster.path("old.backup"), restored)
                self.coordinator(cluster, "--new-admin-token", "--data-dir", restored)
                again = Restored(cluster, restored)
                self.check(again, expected)
                again.stop()
                self.coordinator(cluster, "--verify", "--data-dir", restored)

    @unittest.skipUnless(EARLIER_BIN, "long: OVERWINTER_EARLIER_BIN names programs of an earlier commit")
    def test_workers_of_an_earlier_commit_work_for_todays_coordinator(self):
        with Cluster(workers=1) as cluster:
            cluster.run("workers", "remove", "worker-1")  # of today
            join = cluster.join_file("old.join", "--uses", "2")
            for name in ("old-1", "old-2"):
                cluster.start_program([os.path.join(EARLIER_BIN, "overwinter-worker"), "--data-dir", cluster.path(name),
                                       "--join", join, "--name", name, "--device", "cpu:memory=512MiB,threads=1"],
                                      log=cluster.path(name + ".log"))
            wait_until("both are ready", lambda: len(cluster.machines("READY")) == 2)
            a, b = np.random.default_rng(3).standard_normal((2, 300, 300))
            cluster.run("matmul", cluster.save("A.npy", a), cluster.save("B.npy", b), "-o", cluster.path("C.npy"))
            np.testing.assert_allclose(np.load(cluster.path("C.npy")), a @ b, rtol=1e-9, atol=1e-9)
            for spec in (self.training(cluster), self.program()):
                with open(cluster.path("job.json"), "w", encoding="utf-8") as f:
                    json.dump(spec, f)
                job = cluster.json("submit", cluster.path("job.json"))["name"]
                wait_until(f"{job} has ended", lambda job=job: cluster.job(job)["state"] in ("SUCCEEDED", "FAILED"), 120)
                self.assertEqual(cluster.job(job)["state"], "SUCCEEDED", cluster.job(job)["stateReason"])
            self.assertIn("ranks 2", cluster.run("logs", "program").stdout)
            costs = cluster.json("cost", "--machines")
            self.assertLessEqual({"old-1", "old-2"}, {m["worker"].split("/")[-1] for m in costs["machines"]})

    @staticmethod
    def training(cluster):
        with open(cluster.path("words.txt"), "w", encoding="ascii") as f:
            f.write("over the winter the snow melts and birds sing; " * 400)
        return {"name": "training", "workload": {"train": {
            "model": {"gpt": {"layers": 1, "heads": 2, "width": 32, "context": 32, "vocabulary": "bytes"}},
            "data": {"text": ["words.txt"]}, "optimizer": {"adamw": {"learning_rate": 3e-3}}, "batch_size": 8,
            "steps": 60, "seed": 5}},
            "workers": {"min": 2, "max": 2}, "transport": "gang", "checkpoint": {"every": "20 steps"}}

    @staticmethod
    def program():
        return {"name": "program", "workload": {"exec": {"command": 'echo "ranks $WORLD_SIZE"', "launcher": "env"}},
                "workers": {"min": 2, "max": 2}}


if __name__ == "__main__":
    main()
