"""A second and a third machine, as README says: each in a network namespace of its own, joined by veth pairs."""

import json
import os
import re
import subprocess
import unittest

import numpy as np

from harness import BIN, SLOW, main, relative_error, wait_until
from machines import Machines, why_no_machines

RNG = np.random.default_rng(29)
WHY_NOT = why_no_machines()


@unittest.skipIf(WHY_NOT, WHY_NOT)
class SecondMachine(unittest.TestCase):
    def setUp(self):
        self.machines = Machines(self, 2, "10.79.0")
        self.cluster = self.machines.cluster
        self.cluster.env.update(SLOW)
        self.command = self.machines.command
        self.ready = self.machines.ready

    def units_done(self, name):
        return int(json.loads(self.command("jobs", "get", name, "--format", "json"))["progress"]["unitsDone"])

    def test_two_machines_join_and_one_is_cut_off(self):
        c = self.cluster
        self.machines.serve()
        self.machines.join("--device", "cpu:memory=16MiB,threads=1")
        self.assertEqual(len({w["hostId"] for w in self.ready()}), 2)
        self.assertEqual([w["workersOnHost"] for w in self.ready()], [1, 1])
        book = c.path("prices.yaml")
        with open(book, "w", encoding="ascii") as f:
            f.write("currency: USD\nprices:\n  - { from: 2026-01-01, device: cpu, per_hour: 3.6 }\n")
        self.command("prices", "set", book)
        a = RNG.standard_normal((2800, 2400))
        b = RNG.standard_normal((2400, 2600))
        c.save("A.npy", a)
        c.save("B.npy", b)
        job = c.start_program([*self.machines.within("c"), os.path.join(BIN, "overwinter"), "matmul", c.path("A.npy"),
                               c.path("B.npy"), "-o", c.path("C.npy")])

        def running():
            jobs = json.loads(self.command("jobs", "list", "--format", "json"))["jobs"]
            return jobs and int(jobs[0]["progress"]["unitsDone"]) > 0 and len(jobs[0]["seats"]) == 2 and jobs[0]

        name = wait_until("both compute", running)["name"]
        self.machines.link("w2", "down")  # the cable is pulled; nobody is told
        done = self.units_done(name)

        def more():
            self.assertIsNone(job.poll(), "the job ended before the fault; make it longer")
            return self.units_done(name) > done + 2

        wait_until("the other goes on", more)
        self.machines.link("w2", "up")
        out, err = job.communicate(timeout=120)
        self.assertEqual(job.returncode, 0, out + err + self.machines.logs())
        self.assertLessEqual(relative_error(np.load(c.path("C.npy")), a, b), 1e-13)
        wait_until("both are READY again", lambda: len(self.ready()) == 2, 30)
        ended = json.loads(self.command("jobs", "get", name, "--format", "json"))
        self.assertEqual(ended["state"], "SUCCEEDED")
        self.assertEqual(ended["progress"]["unitsDone"], ended["progress"]["unitsTotal"])

    def test_from_another_machine_by_login_and_never_to_a_stranger(self):
        c = self.cluster
        self.machines.serve()
        line = self.command("tokens", "create", "--role", "submitter", "--for", "ann").strip()
        env = {k: v for k, v in c.env.items() if not k.startswith("OVERWINTER_")}
        env["XDG_CONFIG_HOME"] = c.path("other")

        def there(*arguments, stdin=None):
            return subprocess.run([*self.machines.within("w1"), os.path.join(BIN, "overwinter"), *arguments], env=env,
                                  input=stdin, capture_output=True, text=True, cwd=c.home, timeout=60)

        logged_in = there("login", "--name", "far", stdin=line + "\n")
        self.assertEqual(logged_in.returncode, 0, logged_in.stderr)
        seen = there("status", "--format", "json")
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertEqual(json.loads(seen.stdout)["workersReady"], 0)
        self.machines.link("w1", "down")
        gone = there("status", "--timeout", "2s")
        self.assertIn(gone.returncode, (3, 124), gone.stderr)
        self.assertEqual(len(re.findall("^error: ", gone.stderr, re.M)), 1, gone.stderr)


if __name__ == "__main__":
    main()
