"""A training over four machines (namespaces), through the coordinator: a rank killed, a daemon killed, a machine cut off, a
rank frozen, a port blocked. Each ends right, is named, and leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from harness import BIN, main, wait_until
from machines import Machines, why_no_machines
from train_test import gpt, some_text

WHY_NOT = why_no_machines() or ("" if os.path.exists(os.path.join(BIN, "overwinter-rank")) else "Open MPI is not here")
DEVICE = ("--device", "cpu:memory=512MiB,threads=1")
STEPS = 100_000  # more than there is time for: it is cancelled


@unittest.skipIf(WHY_NOT, WHY_NOT)
class FourHosts(unittest.TestCase):
    def setUp(self):
        self.machines = Machines(self, 4, "10.80.0", private=True)
        self.machines.serve()
        self.daemons = self.machines.join(*DEVICE)
        with open(self.path("words.txt"), "wb") as f:
            f.write(some_text(40_000))

    def path(self, name):
        return self.machines.cluster.path(name)

    def submit(self, **workers):
        spec = gpt(STEPS, 25, workers=workers)
        # So much to compute that four machines are predicted to be faster than fewer.
        spec["workload"]["train"]["model"]["gpt"].update(width=64, context=64)
        spec["workload"]["train"]["batch_size"] = 384
        with open(self.path("job.json"), "w", encoding="utf-8") as f:
            json.dump(spec, f)
        # A machine that is measured to be slower by a quarter is left out, rightly: then it measures again.
        for _ in range(12):
            job = self.machines.json("submit", self.path("job.json"))
            if job["plan"]["workersMax"] == 4:
                return job["name"]
            self.machines.command("jobs", "cancel", job["name"])
            wait_until("it is cancelled", lambda name=job["name"]: self.job(name)["state"] == "CANCELLED", 60)
            self.machines.measure_slowest_again(self.daemons, *DEVICE)
        raise AssertionError(f"never planned for four machines: {job['plan']}")

    def job(self, name):
        return self.machines.json("jobs", "get", name)

    def trains(self, name, attempt, workers):
        """Until that attempt, on so many workers, has made a checkpoint of its own."""
        def there():
            found = self.job(name)
            self.assertNotIn(found["state"], ("FAILED", "CANCELLED", "PAUSED"), found["stateReason"] + self.machines.logs())
            begun = int(found["attempts"][-1]["goesOnFromStep"]) if found["attempts"] else 0
            return (found["attempt"] == attempt and found["workerCount"] == workers and found["state"] == "RUNNING"
                    and int(found["progress"]["checkpointStep"]) > begun and found)
        try:
            return wait_until(f"attempt {attempt} trains on {workers}", there, 120, 0.1)
        except AssertionError as late:
            found = self.job(name)
            story = {key: found[key] for key in ("state", "stateReason", "attempt", "attempts", "workerCount", "progress")}
            raise AssertionError(f"{late}\n{json.dumps(story, indent=1)}\n{self.machines.logs()}") from late

    def steps_again(self, name, attempt, since):
        """Seconds until the attempt has made a step."""
        def there():
            found = self.job(name)
            return found["attempt"] >= attempt and found["state"] == "RUNNING" and int(found["progress"]["step"]) > int(
                found["attempts"][-1]["goesOnFromStep"])
        wait_until(f"attempt {attempt} makes a step", there, 120, 0.05)
        return time.monotonic() - since

    def rank(self, worker):
        return wait_until(f"a rank on {worker}", lambda: self.machines.programs(worker, "overwinter-rank"), 30)[0]

    def reason(self, name, attempt):
        found = next(a for a in self.job(name)["attempts"] if a["number"] == attempt)
        return found["reason"], found

    def nothing_left(self):
        for worker in self.machines.workers:
            wait_until(f"nothing is left on {worker}", lambda worker=worker: not [
                program for program in ("overwinter-rank", "orterun", "mpirun", "orted", "overwinter-launch-agent")
                if self.machines.programs(worker, program)], 15)

    def figure(self, what, seconds):
        print(f"  {what}: trains again after {seconds:.1f} s", flush=True)

    def test_five_faults_in_one_training(self):
        name = self.submit(min=2, max=4)
        self.trains(name, 1, 4)

        os.kill(self.rank("w3"), signal.SIGKILL)
        self.figure("rank killed", self.steps_again(name, 2, time.monotonic()))
        why, attempt = self.reason(name, 1)
        self.assertRegex(why, r"^rank \d .*signal 9")
        self.assertEqual((attempt["worker"], attempt["signal"]), ("w3", 9))
        self.trains(name, 2, 4)

        os.kill(self.rank("w2"), signal.SIGSTOP)
        since = time.monotonic()
        self.figure("rank frozen", self.steps_again(name, 3, since))
        why, attempt = self.reason(name, 2)
        self.assertRegex(why, r"^rank \d .*frozen")
        self.assertEqual(attempt["worker"], "w2")
        self.trains(name, 3, 4)

        self.machines.link("w3", "down")
        self.figure("machine cut off", self.steps_again(name, 4, time.monotonic()))
        self.assertEqual(self.reason(name, 3)[1]["worker"], "w3")
        self.trains(name, 4, 3)
        wait_until("the one that is cut off ends its rank itself", lambda: not self.machines.programs(
            "w3", "overwinter-rank"), 30)

        self.daemons["w4"].kill()
        self.figure("daemon killed", self.steps_again(name, 5, time.monotonic()))
        self.assertEqual(self.reason(name, 4)[1]["worker"], "w4")
        self.trains(name, 5, 2)
        self.assertFalse(self.machines.programs("w4", "overwinter-rank"))
        self.machines.link("w3", "up")

        self.machines.command("jobs", "cancel", name)
        wait_until("it is cancelled", lambda: self.job(name)["state"] == "CANCELLED", 30)
        self.nothing_left()

    @unittest.skipUnless(shutil.which("iptables"), "there is no iptables here")
    def test_a_blocked_peer_port_is_named_before_anything_runs(self):
        for worker in ("w2", "w3", "w4"):
            done = subprocess.run([*self.machines.within(worker), "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "7610",
                                   "-j", "DROP"], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                self.skipTest("iptables does not work here: " + done.stderr.strip())
        name = self.submit(min=4, max=4)
        found = wait_until("an attempt has ended", lambda: (lambda j: j["attempts"] and j)(self.job(name)), 60, 0.2)
        self.assertRegex(found["attempts"][0]["reason"], r"10\.80\.0\.\d+:7610")
        self.assertEqual(found["progress"]["step"], "0")
        self.machines.command("jobs", "cancel", name)
        wait_until("it is cancelled", lambda: self.job(name)["state"] in ("CANCELLED", "FAILED"), 30)
        self.nothing_left()


if __name__ == "__main__":
    main()
