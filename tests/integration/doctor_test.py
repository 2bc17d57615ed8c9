"""`overwinter doctor`: on a cluster of one machine, without a coordinator, with too small a token; and over four machines
(namespaces) with ports blocked between two of them, which it names, and no others."""

import contextlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import unittest

from harness import BIN, Cluster, main, text_of, wait_until
from machines import Machines, why_no_machines

WHY_NOT = why_no_machines()


def wrong(report):
    """What is not OK: (severity, check, subject, message)."""
    return [(f["severity"], f["check"], f["subject"], f["message"]) for f in report["findings"] if f["severity"] != "OK"]


class OneMachine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)

    def test_a_local_cluster_is_well(self):
        c = self.cluster
        done = c.call("doctor", "--pairs", "-o", c.path("report.json"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertTrue(all(line.startswith(("ok ", "warning ", " ")) for line in lines), done.stdout)
        self.assertRegex(done.stdout, r"(?m)^ok +coordinator +local at 127\.0\.0\.1:\d+ answers")
        self.assertRegex(done.stdout, r"(?m)^ok +workers +2 of 2 ready")
        self.assertRegex(done.stdout, r"(?m)^ok +token +admin of all projects")
        self.assertRegex(done.stdout, r"(?m)^ok +store +the newest \d+ of \d+ turns are as they were written")
        self.assertRegex(done.stdout, r"(?m)^(ok|warning) +descriptors +the coordinator ")
        self.assertRegex(done.stdout, r"(?m)^ok +ports +workers can join by port \d+ from here")
        self.assertRegex(done.stdout, r"(?m)^ok +pairs +no two machines")
        report = json.loads(text_of(c.path("report.json")))
        self.assertEqual(len(report["probes"]["hosts"]), 2)
        for host in report["probes"]["hosts"]:
            self.assertGreater(int(host["facts"]["jobDiskTotalBytes"]), 0, host)
            shared = os.statvfs("/dev/shm")
            self.assertEqual(int(host["facts"]["sharedMemoryTotalBytes"]), shared.f_blocks * shared.f_frsize)
        self.assertEqual(report["probes"]["pairs"], [])
        self.assertLess(abs(float(report["clockOffset"].rstrip("s"))), 2)
        token = text_of(c.place()["token_file"]).strip()
        self.assertNotIn(token, text_of(c.path("report.json")))
        self.assertEqual(c.json("doctor")["findings"][0]["severity"], "OK")

    def test_the_file_for_others_gives_nothing_away(self):
        c = self.cluster
        settings = os.path.join(c.dir, "coordinator/notify.yaml")
        self.addCleanup(lambda: os.remove(settings))
        with open(settings, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write("hooks:\n  - name: ops\n    url: http://hooks.example.com/services/B0CANARYHOOK\n")
        c.run("secrets", "set", "CANARY", stdin="C4NARY-OF-A-SECRET\n")
        named = "ow_" + "C4NARY" * 8  # somebody pasted a token where a name belongs
        code = c.run("tokens", "create", "--role", "viewer", "--for", named).stdout.strip()
        with open(c.join_file("canary.join"), encoding="ascii") as f:
            join = f.read()
        canaries = ["B0CANARYHOOK", "C4NARY-OF-A-SECRET", named, code, text_of(c.place()["token_file"]).strip(), join,
                    *(line for line in join.splitlines() if len(line) > 40)]
        done = c.call("doctor", "-o", c.path("for-others.json"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^warning +hooks +notify\.yaml: line 3")
        self.assertEqual(os.stat(c.path("for-others.json")).st_mode & 0o777, 0o600)
        text = text_of(c.path("for-others.json"))
        for canary in canaries:
            self.assertNotIn(canary, text)
        bundle = json.loads(text)["bundle"]
        self.assertIn("Linux", bundle["command"]["system"])
        entries = bundle["audit"]["entries"]
        self.assertIn("token.create", [e["action"] for e in entries])
        self.assertIn("[redacted]", json.dumps(entries))  # the name: it was there
        self.assertNotIn("[redacted]", json.dumps(json.loads(text)["workers"]))

    def test_descriptors_that_run_out(self):
        c = self.cluster
        for name, low, check in (("coordinator", 600, ("WARNING", "descriptors", "")),
                                 ("worker-1", 500, ("WARNING", "descriptors", "workers/worker-1"))):
            before = resource.prlimit(c.pid(name), resource.RLIMIT_NOFILE)
            resource.prlimit(c.pid(name), resource.RLIMIT_NOFILE, (low, before[1]))
            try:
                found = [f for f in wrong(c.json("doctor")) if f[1] == "descriptors" and f[2] == check[2]]
            finally:
                resource.prlimit(c.pid(name), resource.RLIMIT_NOFILE, before)
            self.assertEqual([f[:3] for f in found], [check], found)
            self.assertIn(str(low), found[0][3])

    def test_a_lost_worker_fails_it(self):
        c = self.cluster
        os.kill(c.pid("worker-2"), signal.SIGSTOP)
        try:
            wait_until("it is lost", lambda: "worker-2" in c.machines("LOST"), 60, 0.2)
            found = wrong(c.json("doctor", code=1))
            self.assertIn(("FAILURE", "workers", "workers/worker-2"), [f[:3] for f in found], found)
        finally:
            os.kill(c.pid("worker-2"), signal.SIGCONT)
        wait_until("it is back", lambda: "worker-2" in c.machines("READY"), 60, 0.2)

    def test_a_viewer_sees_less_and_may_not_probe(self):
        c = self.cluster
        line = c.run("tokens", "create", "--role", "viewer", "--for", "vera").stdout.strip()
        env = {**c.env, "XDG_CONFIG_HOME": c.path("viewer")}
        own, c.env = c.env, env
        try:
            c.run("login", stdin=line + "\n")
            def asked(*options, code):
                return [f[:2] for f in wrong(c.json("doctor", *options, code=code)) if f[1] in ("machines", "pairs", "token")]

            self.assertEqual(asked(code=0), [("WARNING", "machines")])
            self.assertEqual(asked("--pairs", code=4), [("FAILURE", "pairs")])
        finally:
            c.env = own

    def test_two_at_once_are_one_after_the_other(self):
        c = self.cluster
        codes = []
        askers = [threading.Thread(target=lambda: codes.append(c.call("doctor", "--pairs").returncode)) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        # A refused one says so by its exit code; none of them fails otherwise.
        self.assertLessEqual(set(codes), {0, 4})
        self.assertIn(0, codes)


class DamagedStore(unittest.TestCase):
    def test_it_is_found_while_the_coordinator_runs_and_by_verify(self):
        with Cluster(workers=1) as c:
            data = os.path.join(c.dir, "coordinator")
            c.run("status")  # reads what the history has not taken from that turn yet
            with contextlib.closing(sqlite3.connect(os.path.join(data, "store/log.db"), timeout=30)) as log:
                log.execute("UPDATE turns SET turn = x'00' WHERE sequence = 2")
                log.commit()
            found = [f for f in wrong(c.json("doctor", code=1)) if f[0] == "FAILURE"]
            self.assertEqual([f[:2] for f in found], [("FAILURE", "store")], found)
            self.assertIn("turn 2: its content is not what was written", found[0][3])
            self.assertIn("the store: the log is damaged at turn 2", c.logs(200))
            # Serving goes on: what is running is in memory, and the end of the log is whole.
            c.run("tokens", "create", "--role", "viewer", "--for", "vera")
            c.run("down", "--dir", c.dir)
            done = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--verify", "--data-dir", data], capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
            self.assertIn("turn 2", done.stderr)


class NoCoordinator(unittest.TestCase):
    def test_it_says_what_it_cannot_reach(self):
        c = Cluster(workers=0)
        self.addCleanup(c.close)
        found = wrong(c.json("doctor", code=3))
        self.assertEqual([f[:2] for f in found], [("FAILURE", "coordinator")], found)
        with Cluster(workers=1) as cluster:
            cluster.run("down", "--dir", cluster.dir)
            found = wrong(cluster.json("doctor", "--timeout", "2s", code=3))
            self.assertEqual([f[:2] for f in found], [("FAILURE", "coordinator")], found)
            self.assertIn(cluster.place()["grpc"], found[0][3])


@unittest.skipIf(WHY_NOT, WHY_NOT)
@unittest.skipUnless(shutil.which("iptables"), "there is no iptables here")
class FourMachines(unittest.TestCase):
    def setUp(self):
        self.machines = Machines(self, 4, "10.81.0", private=True)
        self.machines.serve()
        self.machines.join("--device", "cpu:memory=64MiB,threads=1")

    def block(self, at, source, ports, how, command="-A"):
        """On `at`: what comes from `source` to these ports."""
        done = subprocess.run([*self.machines.within(at), "iptables", command, "INPUT", "-s", self.machines.address(source),
                               "-p", "tcp", "--dport", ports, "-j", how], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipTest("iptables does not work here: " + done.stderr.strip())

    def report(self, code):
        return json.loads(self.machines.command("doctor", "--pairs", "--format", "json", code=code))

    def test_what_is_blocked_is_named_and_nothing_else(self):
        report = self.report(0)
        self.assertEqual([f for f in wrong(report) if f[0] == "FAILURE" or f[1] in ("pairs", "gangs")], [])
        self.assertEqual(len(report["probes"]["hosts"]), 4)
        ways = {(p["from"], p["to"]): p for p in report["probes"]["pairs"]}
        self.assertEqual(len(ways), 12)
        for way in ways.values():
            self.assertTrue(way["link"]["reachable"], way)
            self.assertGreater(int(way["link"]["bytesPerSecond"]), 1_000_000, way)
            self.assertGreater(float(way["link"]["roundTrip"].rstrip("s")), 0, way)
            self.assertEqual({p["answer"] for p in way["link"]["ports"]}, {"CLOSED"}, way)
        rates = sorted(int(w["link"]["bytesPerSecond"]) for w in ways.values())
        print(f"  12 ways: {rates[0] / 2**20:.0f} to {rates[-1] / 2**20:.0f} MiB/s", flush=True)

        self.block("w3", "w2", "7610:7619", "DROP")
        found = [f for f in wrong(self.report(1)) if f[1] == "pairs"]
        self.assertEqual([f[:3] for f in found], [("FAILURE", "pairs", "workers/w3")], found)
        self.assertIn("from w2 to w3: no answer from 10.81.0.4:7610", found[0][3])

        self.block("w3", "w2", "7610:7619", "DROP", "-D")
        self.block("w4", "w1", "7620:7799", "DROP")
        self.block("w2", "w1", "7800:7819", "REJECT")
        found = sorted((f for f in wrong(self.report(1)) if f[1] == "pairs"), key=lambda f: f[2])
        self.assertEqual([f[:3] for f in found], [("FAILURE", "pairs", "workers/w2"), ("FAILURE", "pairs", "workers/w4")])
        self.assertRegex(found[0][3], "from w1 to w2: mpirun, 7800 to 7819: refused .* on port 7819")
        self.assertRegex(found[1][3], "from w1 to w4: ranks of Open MPI, 7620 to 7799: no answer on port 7799")

    def test_a_machine_that_is_cut_off_holds_nobody_up(self):
        self.machines.link("w2", "down")
        text = self.machines.call("doctor", "--pairs", "--timeout", "60s")
        self.assertEqual(text.returncode, 1, text.stdout + text.stderr)
        self.assertIn("w2", text.stdout)
        self.assertRegex(text.stdout, r"(?m)^w1 +w3 +open")
        self.assertRegex(text.stdout, r"(?m)^w4 +w3 +open")


if __name__ == "__main__":
    main()
