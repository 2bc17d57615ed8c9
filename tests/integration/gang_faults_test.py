"""What can go wrong with trainings and programs, each to its right end: a full disk of a worker, a program that fills it,
ignores its signal or leaves no output, workers that are not to be had, a checkpoint with a flipped bit."""

import contextlib
import json
import os
import shutil
import signal
import unittest

from disk_test import MIB, WHY_NOT, filled, mount
from harness import Cluster, main, wait_until
from train_test import gpt, some_text

JOBS = "/var/lib/overwinter/jobs"

# Tells steps, keeps a checkpoint and ignores its signal.
DEAF = """
import os, signal, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.makedirs("ckpt", exist_ok=True)
step = int(open("ckpt/state").read()) if os.path.exists("ckpt/state") else 0
print("from", step, flush=True)
while not os.path.exists("/proc/self/nothing"):
    threading.Event().wait(0.05)
    step += 1
    if step % 10 == 0:
        open("ckpt/state.tmp", "w").write(str(step))
        os.replace("ckpt/state.tmp", "ckpt/state")
        print(f"overwinter: step={step}", flush=True)
"""


def small_disk(folder, mebibytes):
    """A file system of that size at `folder`, in this test's own mounts."""
    if os.path.isdir(folder):
        os.rmdir(folder)
    mount(folder, mebibytes)
    os.chmod(folder, 0o711)


@unittest.skipIf(WHY_NOT, WHY_NOT)
class GangFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        os.chmod(cls.cluster.home, 0o711)  # users of programs pass through to the job folders in it
        cls.no_exec = next(iter(cls.cluster.machines().values()))["noExec"]
        with open(cls.cluster.path("words.txt"), "wb") as f:
            f.write(some_text(40_000))

    def needs_programs(self):
        if self.no_exec:
            self.skipTest("this machine runs no programs of users: " + self.no_exec)

    def submit(self, spec):
        path = self.cluster.path("job.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(spec, f)
        return self.cluster.json("submit", path)["name"]

    def run_program(self, *arguments):
        folder = self.cluster.path("program")
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        with open(os.path.join(folder, "deaf.py"), "w", encoding="utf-8") as f:
            f.write(DEAF)
        done = self.cluster.run("run", "-d", "--format", "json", "--workdir", folder, *arguments)
        return json.loads(done.stdout)["name"]

    def until(self, job, *states):
        return wait_until(f"{job} is one of {states}", lambda: (lambda j: j if j["state"] in states else None)(
            self.cluster.job(job)), 100, 0.1)

    def end_of(self, job, state="SUCCEEDED"):
        found = self.until(job, "SUCCEEDED", "FAILED", "CANCELLED")
        self.assertEqual(found["state"], state, found["stateReason"] + self.cluster.logs())
        return found

    @contextlib.contextmanager
    def third_worker(self, mebibytes):
        """A worker more, whose jobs lie on a small file system; yields its name and that folder."""
        test = self.id().rsplit(".", 1)[1]
        folder = self.cluster.path("small-" + test)
        small_disk(folder, mebibytes)
        before = set(self.cluster.machines("READY"))
        process = self.cluster.start_worker("worker-" + test, "--join", self.cluster.join_file(), "--job-dir", folder,
                                            device="cpu:memory=1GiB,threads=1", log=self.cluster.path("small.log"))
        name, = wait_until("it has joined", lambda: set(self.cluster.machines("READY")) - before)
        try:
            yield name, folder
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            self.cluster.call("workers", "remove", name, "--yes")

    def test_a_program_that_fills_the_disk(self):
        self.needs_programs()
        with self.third_worker(64):
            # Of all workers it alone has that much memory.
            job = self.run_program("--memory", "800MiB", "--", "dd", "if=/dev/zero", "of=big", "bs=1M", "count=1000")
            found = self.end_of(job, "FAILED")
            self.assertIn("exit code 1", found["stateReason"])
            self.assertIn("No space left on device", self.cluster.run("logs", job).stdout)

    def test_a_program_that_ignores_its_signal_is_paused_all_the_same(self):
        self.needs_programs()
        job = self.run_program("--checkpoint-dir", "ckpt", "--set", "stop.grace=4s", "--", "python3", "deaf.py")
        wait_until("it runs", lambda: int(self.cluster.job(job)["progress"]["step"]) >= 10, 60)
        self.cluster.run("jobs", "pause", job)
        paused = self.until(job, "PAUSED")
        self.assertGreaterEqual(int(paused["progress"]["checkpointStep"]), 10)
        self.cluster.run("jobs", "resume", job)
        wait_until("it goes on", lambda: "from 0" in (logs := self.cluster.run("logs", job).stdout) and
                   logs.count("from ") == 2, 60, 0.2)
        self.cluster.run("jobs", "cancel", job)
        self.until(job, "CANCELLED")

    def test_a_program_that_ends_well_without_its_output(self):
        self.needs_programs()
        job = self.run_program("--output", "model.pt", "--", "true")
        self.end_of(job)
        self.assertIn("no output model.pt was made", self.cluster.run("logs", job).stdout)

    def test_workers_that_are_not_to_be_had(self):
        job = self.submit(gpt(100, 50, workers={"min": 5, "max": 5}))
        wait_until("it waits", lambda: self.cluster.job(job)["state"] == "QUEUED")
        told = self.cluster.run("jobs", "explain", job).stdout
        self.assertRegex(told, r"\b5\b")
        self.assertRegex(told, r"workers")
        self.cluster.run("jobs", "cancel", job)

    def test_a_full_disk_of_one_worker(self):
        """The gang forms without it."""
        with self.third_worker(64) as (_, folder), filled(folder):
            job = self.submit(gpt(3000, 500, workers={"min": 2, "max": 3}))
            wait_until("it trains on the other two", lambda: (lambda j: j["state"] == "RUNNING" and j["workerCount"] == 2)(
                self.cluster.job(job)))
            self.end_of(job)

    def test_a_flipped_bit_in_the_last_checkpoint(self):
        job = self.submit(gpt(3000, 100))
        wait_until("two checkpoints are kept", lambda: int(self.cluster.job(job)["progress"]["checkpointStep"]) >= 300, 60)
        self.cluster.run("jobs", "pause", job)
        step = int(self.until(job, "PAUSED")["progress"]["checkpointStep"])
        number, = {name for root, names, _ in os.walk(self.cluster.dir) if root.endswith("/checkpoints") for name in names
                   if any(f.endswith(f"-{step}") for f in os.listdir(os.path.join(root, name)))}
        shard = max((os.path.join(root, file) for root, _, files in os.walk(self.cluster.dir) for file in files
                     if f"/checkpoints/{number}/" in root and root.endswith(f"-{step}")), key=os.path.getsize)
        with open(shard, "r+b") as f:
            f.seek(MIB // 8)
            byte = f.read(1)[0]
            f.seek(MIB // 8)
            f.write(bytes([byte ^ 4]))
        self.cluster.run("jobs", "resume", job)
        found = self.end_of(job)
        self.assertEqual(int(found["progress"]["step"]), 3000)
        logs = self.cluster.run("logs", job).stdout
        self.assertRegex(logs, rf"a checkpoint is not whole: .*step {step}.* goes on from that of step {(step - 1) // 100 * 100}")


if __name__ == "__main__":
    main()
