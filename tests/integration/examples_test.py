"""Every job file of deploy/examples, submitted as its comment says. The programs among them, an unmodified PyTorch DDP
script, an unmodified mpi4py program and one that checkpoints with plain torch.save, lose a process half-way and end right."""

import glob
import importlib.util
import math
import os
import shutil
import signal
import subprocess
import unittest

import numpy as np

from harness import SOURCE, Cluster, main, wait_until

# Longer than in the file, so that something is left to do when the process is killed.
DDP = "workload.exec.command=[python3, ddp.py, --steps, '4000']"
QUADRATURE = "workload.exec.command=python3 quadrature.py --pieces 400"
NOT_A_JOB = {"prices.yaml"}


def processes_with(word):
    """Pids whose command line has the word, but for shells and keepers."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"python3") and word.encode() in b" ".join(words[1:2]):
            found.append(int(name))
    return found


def why_no(module):
    return "" if importlib.util.find_spec(module) else f"Debian's python3-{module} is not here"


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2, devices=("cpu:memory=2GiB,threads=1",)).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.no_exec = next(iter(cls.cluster.machines().values()))["noExec"]
        cls.folder = cls.cluster.path("examples")
        shutil.copytree(os.path.join(SOURCE, "deploy/examples"), cls.folder)
        subprocess.run(["/usr/bin/python3", os.path.join(cls.folder, "make_data.py")], check=True)
        random = np.random.RandomState(1)
        cls.a, cls.b = random.rand(300, 200).astype("f4"), random.rand(200, 250).astype("f4")
        np.save(os.path.join(cls.folder, "A.npy"), cls.a)
        np.save(os.path.join(cls.folder, "B.npy"), cls.b)

    def submit(self, file, *settings):
        more = [word for setting in settings for word in ("--set", setting)]
        return self.cluster.json("submit", os.path.join(self.folder, file), *more)["name"]

    def end_of(self, job):
        found = wait_until(f"{job} ends", lambda: (lambda j: j if j["state"] in (
            "SUCCEEDED", "FAILED", "CANCELLED", "PAUSED") else None)(self.cluster.job(job)), 200, 0.1)
        self.assertEqual(found["state"], "SUCCEEDED", found["stateReason"] + self.cluster.logs())
        return found

    def points(self, job, metric):
        return self.cluster.job(job)["metrics"].get(metric)

    def killed_half_way(self, word, job):
        """Ends one process of the job once a checkpoint of it is kept; returns what it left in `outputs`."""
        wait_until("a checkpoint is kept", lambda: self.cluster.json("checkpoints", "list", job)["checkpoints"], 100, 0.1)
        victims = processes_with(word)
        self.assertTrue(victims, "nothing of it runs")
        os.kill(max(victims), signal.SIGKILL)
        found = self.end_of(job)
        self.assertEqual(found["attempt"], 2, found)
        self.assertEqual(found["attempts"][0]["signal"], 9, found["attempts"])
        into = self.cluster.path(job.rsplit("/", 1)[1])
        self.cluster.run("jobs", "download", job, "-o", into)
        return into

    def needs_programs(self, module):
        if self.no_exec:
            self.skipTest("this machine runs no programs of users: " + self.no_exec)
        if why_no(module):
            self.skipTest(why_no(module))

    def test_every_file_has_its_test(self):
        files = {os.path.basename(path) for path in glob.glob(os.path.join(self.folder, "*.yaml"))} - NOT_A_JOB
        self.assertEqual(files, {"matmul.yaml", "licence-gpt.yaml", "mlp.yaml", "csv-logistic.yaml", "exec-ddp.yaml",
                                 "mpi4py.yaml", "torch-save.yaml"})

    def test_matmul(self):
        self.end_of(self.submit("matmul.yaml"))
        self.cluster.run("jobs", "download", "@last", "-o", self.cluster.path("C.npy"))
        np.testing.assert_allclose(np.load(self.cluster.path("C.npy")), self.a @ self.b, rtol=1e-5)

    def test_licence_gpt(self):
        job = self.submit("licence-gpt.yaml", "workload.train.steps=20", "workers.min=2")
        found = self.end_of(job)
        self.assertLess(found["progress"]["loss"], math.log(256))
        self.cluster.run("checkpoints", "get", job, "-o", self.cluster.path("gpt.safetensors"))
        self.assertGreater(os.path.getsize(self.cluster.path("gpt.safetensors")), 2_000_000)

    def test_mlp(self):
        found = self.end_of(self.submit("mlp.yaml"))
        self.assertLess(found["progress"]["loss"], 0.7 * math.log(10))

    def test_csv_logistic(self):
        found = self.end_of(self.submit("csv-logistic.yaml"))
        self.assertLess(found["progress"]["loss"], 0.9 * math.log(3))

    def test_exec_ddp(self):
        self.needs_programs("torch")
        into = self.killed_half_way("ddp.py", self.submit("exec-ddp.yaml", DDP, "workers.min=2"))
        self.assertTrue(os.path.getsize(os.path.join(into, "out/model.pt")))
        logs = self.cluster.run("logs", "@last").stdout
        self.assertRegex(logs, r"2 ranks, from step [1-9]\d*0")

    def test_mpi4py(self):
        self.needs_programs("mpi4py")
        job = self.submit("mpi4py.yaml", QUADRATURE, "workers.min=2")
        into = self.killed_half_way("quadrature.py", job)
        with open(os.path.join(into, "out/pi.txt"), encoding="ascii") as f:
            self.assertAlmostEqual(float(f.read()), math.pi, 9)
        self.assertGreater(int(self.cluster.job(job)["memoryPeakBytes"]), 10 << 20)

    def test_torch_save(self):
        self.needs_programs("torch")
        into = self.killed_half_way("torch_save.py", self.submit("torch-save.yaml"))
        self.assertTrue(os.path.getsize(os.path.join(into, "out/model.pt")))
        self.assertRegex(self.cluster.run("logs", "@last").stdout, r"goes on from ckpt/step-0")


if __name__ == "__main__":
    main()
