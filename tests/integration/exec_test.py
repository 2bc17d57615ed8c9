"""Programs of the user's own through the whole house: `overwinter run` and job files, what they are told and may do, their
memory, checkpoints, outputs and ends."""

import json
import os
import signal
import unittest

from harness import Cluster, alive, children, main, wait_until

MIB = 1 << 20

SAVES = """
import os, threading
os.makedirs("ckpt", exist_ok=True)
start = 0
if os.path.exists("ckpt/state"):
    start = int(open("ckpt/state").read())
print("from", start, flush=True)
for step in range(start, 60):
    threading.Event().wait(0.05)
    if step % 10 == 9:
        with open("ckpt/state.tmp", "w") as f:
            f.write(str(step + 1))
        os.replace("ckpt/state.tmp", "ckpt/state")
        print(f"overwinter: step={step + 1} loss={1.0 / (step + 1)}", flush=True)
os.makedirs("out", exist_ok=True)
open("out/result.txt", "w").write(f"ended at {step + 1}\\n")
"""


class Exec(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        worker = next(iter(cls.cluster.machines().values()))
        if worker["noExec"]:
            cls.cluster.close()
            raise unittest.SkipTest("this machine runs no programs of users: " + worker["noExec"])

    def folder(self, name, files):
        path = self.cluster.path(name)
        os.makedirs(path, exist_ok=True)
        for file, text in files.items():
            with open(os.path.join(path, file), "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def call(self, *arguments, workdir=None, code=0):
        workdir = workdir or self.folder("empty", {})
        done = self.cluster.call("run", "--workdir", workdir, *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + self.cluster.logs())
        return done

    def job_of(self, *arguments, workdir=None):
        workdir = workdir or self.folder("empty", {})
        done = self.cluster.run("run", "-d", "--format", "json", "--workdir", workdir, *arguments)
        return json.loads(done.stdout)["name"]

    def end_of(self, job):
        return wait_until(f"{job} ends", lambda: (lambda j: j if j["state"] in (
            "SUCCEEDED", "FAILED", "CANCELLED") else None)(self.cluster.job(job)), 100, 0.1)

    def test_one_program_its_output_and_its_end(self):
        done = self.call("--", "python3", "-c", "print('hello from', __import__('os').getcwd())")
        self.assertIn("hello from", done.stdout)
        self.assertIn("cost", done.stderr)
        done = self.call("--", "python3", "-c", "import sys; print('bad news', file=sys.stderr); sys.exit(3)", code=1)
        self.assertIn("bad news", done.stdout)
        job = self.cluster.job()
        self.assertEqual(job["state"], "FAILED")
        self.assertIn("exit code 3", job["stateReason"])
        told = self.cluster.json("jobs", "explain", "@last")
        self.assertEqual(told["failure"]["exitCode"], 3)
        self.assertIn("bad news", told["lastLines"])
        done = self.call("--", "no-such-program", code=1)
        self.assertIn("no-such-program", done.stderr)

    def test_what_ranks_are_told(self):
        text = ("import os, json; print(json.dumps({k: v for k, v in os.environ.items()}), flush=True)")
        done = self.call("--workers", "2", "--env", "LR=3e-4", "--", "python3", "-c", text)
        told = [json.loads(line.split("] ", 1)[1]) for line in done.stdout.splitlines() if "{" in line]
        self.assertEqual(sorted(e["RANK"] for e in told), ["0", "1"])
        for e in told:
            self.assertEqual((e["WORLD_SIZE"], e["LOCAL_WORLD_SIZE"], e["MASTER_ADDR"], e["LR"]), ("2", "1", "127.0.0.1", "3e-4"))
            self.assertFalse([k for k in e if k.startswith("SLURM_")])
            self.assertTrue(e["OVERWINTER_JOB"].startswith("projects/"))
        self.assertEqual(len({e["MASTER_PORT"] for e in told}), 1)

    def test_workdir_setup_and_outputs(self):
        folder = self.folder("work", {"train.py": "import made\nimport os\nos.makedirs('out')\n"
                                      "open('out/answer', 'w').write(made.ANSWER)\n",
                                      ".gitignore": "secret\n", "secret": "not sent"})
        arguments = ["--setup", "echo \"ANSWER = 'forty-two'\" > made.py; test ! -e secret", "--output", "out", "--",
                     "python3", "train.py"]
        self.call(*arguments, workdir=folder)
        self.cluster.run("jobs", "download", "@last", "-o", self.cluster.path("got"))
        with open(self.cluster.path("got/out/answer"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "forty-two")
        done = self.call("--setup", "echo it breaks; exit 7", "--", "true", code=1)
        self.assertIn("setup failed", done.stderr)
        self.assertIn("exit code 7", self.cluster.job()["stateReason"])

    def test_memory_is_limited(self):
        text = "x = bytearray(200 << 20); x[::4096] = b'1' * len(x[::4096]); print('too far')"
        done = self.call("--memory", "64MiB", "--", "python3", "-c", text, code=1)
        self.assertNotIn("too far", done.stdout)
        self.assertRegex(self.cluster.job()["stateReason"], r"memory.*64\.0 MiB")

    def test_the_next_plan_proposes_what_was_measured(self):
        text = "x = bytearray(100 << 20); x[::4096] = b'1' * len(x[::4096]); import threading; threading.Event().wait(0.5)"
        job = {"name": "held", "workload": {"exec": {"command": ["python3", "-c", text]}}}
        with open(self.cluster.path("held.json"), "w", encoding="utf-8") as f:
            json.dump(job, f)
        first = self.cluster.json("submit", self.cluster.path("held.json"))["name"]
        self.assertEqual(self.end_of(first)["plan"]["memoryBytes"], str(512 * MIB))
        peak = int(self.cluster.job(first)["memoryPeakBytes"])
        self.assertTrue(100 * MIB < peak < 160 * MIB, peak)
        def planned():
            plan = self.cluster.json("plan", self.cluster.path("held.json"))["alternatives"][0]
            return plan if plan["exec"]["measured"] else None
        plan = wait_until("the history has that job", planned, 10)
        self.assertTrue(peak + 63 * MIB < int(plan["memoryBytes"]) < peak + 66 * MIB, plan)
        self.assertIn("memory_per_device says otherwise", self.cluster.run("plan", self.cluster.path("held.json")).stdout)
        again = self.cluster.json("submit", self.cluster.path("held.json"))["name"]
        self.assertEqual(self.end_of(again)["state"], "SUCCEEDED")
        self.assertEqual(self.cluster.job(again)["plan"]["memoryBytes"], plan["memoryBytes"])

    def test_what_it_may_not_see(self):
        keys = os.path.join(self.cluster.dir, "worker-1")
        text = (f"import os\ntry:\n    print(os.listdir({keys!r}), 'SEEN')\nexcept OSError as e:\n    print('kept out:', e)\n"
                "try:\n    open('/etc/overwinter-test', 'w'); print('SEEN')\nexcept OSError as e:\n    print('kept out:', e)\n")
        done = self.call("--", "python3", "-c", text)
        self.assertEqual(done.stdout.count("kept out:"), 2, done.stdout)

    def test_everything_it_started_ends_with_it(self):
        text = ("import os, signal\n"
                "for _ in range(3):\n"
                "    if os.fork() == 0:\n"
                "        os.setsid()\n"
                "        if os.fork() == 0: signal.pause()\n"
                "        os._exit(0)\n"
                "print('left', flush=True)\n")
        self.call("--", "python3", "-c", text)
        workers = [self.cluster.pid(f"worker-{i}") for i in (1, 2)]
        wait_until("nothing is left", lambda: not any(children(pid) for pid in workers), 10)

    def test_killed_and_gone_on_from_its_checkpoint(self):
        folder = self.folder("saves", {"saves.py": SAVES})
        job = self.job_of("--checkpoint-dir", "ckpt", "--output", "out", "--", "python3", "saves.py", workdir=folder)
        wait_until("a checkpoint is kept", lambda: int(self.cluster.job(job)["progress"]["checkpointStep"]) >= 20, 60)
        for i in (1, 2):
            for pid in children(self.cluster.pid(f"worker-{i}")):
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        if b"saves.py" in f.read():
                            os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        found = self.end_of(job)
        self.assertEqual(found["state"], "SUCCEEDED", found["stateReason"])
        self.assertEqual(found["attempt"], 2)
        self.assertEqual(found["attempts"][0]["signal"], 9)
        logs = self.cluster.run("logs", job).stdout
        self.assertRegex(logs, r"from [2-5]0")
        self.cluster.run("jobs", "download", job, "-o", self.cluster.path("ended"))
        with open(self.cluster.path("ended/out/result.txt"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "ended at 60\n")

    def test_paused_after_its_next_checkpoint(self):
        folder = self.folder("saves", {"saves.py": SAVES})
        job = self.job_of("--checkpoint-dir", "ckpt", "--set", "stop.grace=20s", "--", "python3", "saves.py", workdir=folder)
        wait_until("it runs", lambda: int(self.cluster.job(job)["progress"]["step"]) >= 10, 60)
        self.cluster.run("jobs", "pause", job)
        paused = wait_until("it is paused", lambda: (lambda j: j if j["state"] == "PAUSED" else None)(self.cluster.job(job)))
        self.assertGreaterEqual(int(paused["progress"]["checkpointStep"]), 20)
        self.cluster.run("jobs", "resume", job)
        found = self.end_of(job)
        self.assertEqual(found["state"], "SUCCEEDED", found["stateReason"])
        self.assertRegex(self.cluster.run("logs", job).stdout, r"from [2-5]0")

    def test_a_gigabyte_of_output_delays_nothing(self):
        text = "import sys\nlines = ('x' * 99 + '\\n') * 10_000\nfor _ in range(1000): sys.stdout.write(lines)"
        self.call("--", "python3", "-c", text)
        self.assertLess(len(self.cluster.run("logs", "@last").stdout), 64 * MIB)


if __name__ == "__main__":
    main()
