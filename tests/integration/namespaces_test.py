"""A second and a third machine, as README says: each in a network namespace of its own, joined by veth pairs."""

import json
import os
import re
import shutil
import subprocess
import unittest

import numpy as np

from harness import BIN, SLOW, Cluster, main, relative_error, text_of, wait_until

RNG = np.random.default_rng(29)
HERE = f"ow{os.getpid() % 100000}"
HOST = "10.79.0.1"


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)


def why_not():
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2) here"
    if ip("netns", "add", HERE + "probe", check=False).returncode != 0:
        return "no network namespaces here"
    made = ip("link", "add", HERE + "p", "type", "veth", "peer", "name", HERE + "q", check=False)
    ip("link", "del", HERE + "p", check=False)
    ip("netns", "del", HERE + "probe", check=False)
    return "" if made.returncode == 0 else "no veth pairs here"


WHY_NOT = why_not()


class Machines:
    """Namespaces c (the coordinator's, with a bridge) and w1, w2, and what runs in them."""

    def __init__(self, case):
        self.names = {name: HERE + name for name in ("c", "w1", "w2")}
        case.addCleanup(self.remove)
        for number, name in enumerate(self.names.values()):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            # `ip netns exec` shows these files as those of /etc: to its programs, another machine.
            os.makedirs(f"/etc/netns/{name}")
            with open(f"/etc/netns/{name}/machine-id", "w", encoding="ascii") as f:
                f.write(f"{number + 1:032x}\n")
        hub = self.names["c"]
        ip("-n", hub, "link", "add", "hub", "type", "bridge")
        ip("-n", hub, "addr", "add", HOST + "/24", "dev", "hub")
        ip("-n", hub, "link", "set", "hub", "up")
        for number, name in enumerate(("w1", "w2")):
            ip("-n", hub, "link", "add", "to" + name, "type", "veth", "peer", "name", "eth0", "netns", self.names[name])
            ip("-n", hub, "link", "set", "to" + name, "master", "hub", "up")
            ip("-n", self.names[name], "addr", "add", f"10.79.0.{number + 2}/24", "dev", "eth0")
            ip("-n", self.names[name], "link", "set", "eth0", "up")

    def remove(self):
        for name in self.names.values():
            ip("netns", "del", name, check=False)
            shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)

    def within(self, name):
        return ["ip", "netns", "exec", self.names[name]]

    def link(self, name, state):
        ip("-n", self.names["c"], "link", "set", "to" + name, state)


@unittest.skipIf(WHY_NOT, WHY_NOT)
class SecondMachine(unittest.TestCase):
    def setUp(self):
        self.machines = Machines(self)
        # Only for its folder, environment and clean-up: nothing is brought up here.
        self.cluster = Cluster(workers=0, env=SLOW)
        self.addCleanup(self.cluster.close)

    def start(self, where, program, *arguments):
        c = self.cluster
        log = c.path(f"{where}.log")
        return c.start_program([*self.machines.within(where), os.path.join(BIN, program), *arguments], log)

    def command(self, *arguments, code=0):
        done = subprocess.run([*self.machines.within("c"), os.path.join(BIN, "overwinter"), *arguments],
                              env=self.cluster.env, capture_output=True, text=True, cwd=self.cluster.home, timeout=90)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + self.logs())
        return done.stdout

    def logs(self):
        return "\n".join(f"--- {n}\n" + text_of(self.cluster.path(f"{n}.log")) for n in ("c", "w1", "w2")
                         if os.path.exists(self.cluster.path(f"{n}.log")))

    def ready(self):
        workers = json.loads(self.command("workers", "list", "--format", "json"))["workers"]
        return [w for w in workers if w["state"] == "READY"]

    def units_done(self, name):
        return int(json.loads(self.command("jobs", "get", name, "--format", "json"))["progress"]["unitsDone"])

    def serve(self):
        """README, "A second machine": the coordinator's side."""
        c = self.cluster
        data = c.path("coordinator")
        self.start("c", "overwinter-coordinator", "--data-dir", data, "--name", HOST, "--listen-people", HOST + ":7600",
                   "--listen-workers", HOST + ":7602")
        token = os.path.join(data, "admin.token")
        wait_until("the coordinator serves", lambda: os.path.exists(os.path.join(data, "run", "endpoints.json")), 30)
        c.env.update(OVERWINTER_ADDRESS=HOST + ":7600", OVERWINTER_TOKEN=text_of(token).strip(),
                     OVERWINTER_CA=os.path.join(data, "ca", "root.pem"))
        return data

    def test_two_machines_join_and_one_is_cut_off(self):
        c = self.cluster
        self.serve()
        self.command("tokens", "create", "--role", "worker", "--uses", "2", "-o", c.path("join.file"))
        for name in ("w1", "w2"):
            self.start(name, "overwinter-worker", "--join", c.path("join.file"), "--data-dir", c.path(name), "--name", name,
                       "--device", "cpu:memory=16MiB,threads=1")
        wait_until("both are READY", lambda: len(self.ready()) == 2, 30)
        # Where this machine has no machine-id, there is nothing that a namespace can show another of: one boot, one host.
        hosts = 2 if os.path.exists("/etc/machine-id") else 1
        self.assertEqual(len({w["hostId"] for w in self.ready()}), hosts)
        self.assertEqual([w["workersOnHost"] for w in self.ready()], [2 // hosts] * 2)
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
        self.assertEqual(job.returncode, 0, out + err + self.logs())
        self.assertLessEqual(relative_error(np.load(c.path("C.npy")), a, b), 1e-13)
        wait_until("both are READY again", lambda: len(self.ready()) == 2, 30)
        ended = json.loads(self.command("jobs", "get", name, "--format", "json"))
        self.assertEqual(ended["state"], "SUCCEEDED")
        self.assertEqual(ended["progress"]["unitsDone"], ended["progress"]["unitsTotal"])

    def test_from_another_machine_by_login_and_never_to_a_stranger(self):
        c = self.cluster
        self.serve()
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
