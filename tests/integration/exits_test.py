"""How waiting ends: the exit codes of a time-out, an interruption, a cancelled job, a revoked token, an outage; and how
machines come in: not with a join file that has expired; with a renewed certificate."""

import hashlib
import os
import signal
import time
import unittest

import numpy as np

from harness import SLOW, Cluster, main, relative_error, text_of, wait_until

RNG = np.random.default_rng(31)


class Exits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1, devices=("cpu:memory=16MiB,threads=1",), env=SLOW).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.a = RNG.standard_normal((3000, 2500))
        cls.b = RNG.standard_normal((2500, 2800))
        cls.cluster.save("A.npy", cls.a)
        cls.cluster.save("B.npy", cls.b)
        cls.file = cls.cluster.path("job.yaml")
        with open(cls.file, "w", encoding="ascii") as f:
            f.write("workload: {matmul: {a: A.npy, b: B.npy}}\nname: long\n")

    def errors(self, text):
        return [line for line in text.splitlines() if line.startswith("error: ")]

    def running(self):
        c = self.cluster
        name = c.run("submit", self.file).stdout.strip()
        wait_until("it runs", lambda: c.job(name)["state"] == "RUNNING")
        return name

    def test_a_time_out_and_an_interruption_leave_the_job(self):
        c = self.cluster
        name = self.running()
        short = name.split("/")[-1]
        done = c.run("jobs", "watch", name, "--timeout", "300ms", code=124)
        self.assertIn(f"jobs watch {short}", done.stderr)
        self.assertEqual(c.job(name)["state"], "RUNNING")
        for command in (["jobs", "watch", name], ["matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy")],
                        ["submit", self.file, "--wait"]):
            with self.subTest(command=command[0]):
                before = len(c.json("jobs", "list")["jobs"])
                process = c.start(*command)
                if command[0] == "jobs":
                    self.assertIn(short, process.stderr.readline())  # it has seen the job
                else:
                    wait_until("it is submitted", lambda: len(c.json("jobs", "list")["jobs"]) > before)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=30)
                self.assertEqual(process.returncode, 130, out + err)
                self.assertIn("goes on", err)
                self.assertIn("jobs watch", err)
                self.assertIn(c.job()["state"], ("RUNNING", "QUEUED", "STARTING"))
        self.assertFalse(os.path.exists(c.path("C.npy")))
        for job in c.json("jobs", "list", "--limit", "10")["jobs"]:
            c.call("jobs", "cancel", job["name"])

    def test_who_waits_for_a_cancelled_job_gets_1(self):
        c = self.cluster
        name = self.running()
        process = c.start("jobs", "watch", name)
        c.run("jobs", "cancel", name)
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1, out + err)
        self.assertEqual(c.job(name)["state"], "CANCELLED")

    def test_a_token_that_is_revoked_ends_its_open_streams(self):
        c = self.cluster
        line = c.run("tokens", "create", "--role", "viewer", "--for", "bob").stdout.strip()
        ident = next(t["id"] for t in c.json("tokens", "list")["tokens"] if t["name"] == "bob")
        name = c.run("submit", self.file).stdout.strip()
        ours = c.env["XDG_CONFIG_HOME"]
        c.env["XDG_CONFIG_HOME"] = c.path("bob")
        try:
            c.run("login", "--name", "bob", stdin=line + "\n")
            process = c.start("jobs", "watch", name)
        finally:
            c.env["XDG_CONFIG_HOME"] = ours
        self.assertIn(name.split("/")[-1], process.stderr.readline())  # it has seen the job
        began = time.monotonic()
        c.run("tokens", "revoke", ident)
        out, err = process.communicate(timeout=30)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(process.returncode, 4, out + err)
        self.assertEqual(len(self.errors(err)), 1, err)
        c.run("jobs", "cancel", name)

    def test_nobody_there(self):
        c = self.cluster
        done = c.call("status", "--timeout", "1s", "--context", "none-such")
        self.assertEqual(done.returncode, 3 if "reach" in done.stderr else 5, done.stderr)
        c.env["OVERWINTER_ADDRESS"], c.env["OVERWINTER_CA"] = "127.0.0.1:1", c.place()["ca"]
        c.env["OVERWINTER_TOKEN"] = text_of(c.place()["token_file"]).strip()
        try:
            done = c.run("status", code=3)
        finally:
            for name in ("ADDRESS", "CA", "TOKEN"):
                del c.env["OVERWINTER_" + name]
        self.assertEqual(len(self.errors(done.stderr)), 1, done.stderr)


class JoinFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1, devices=("cpu:memory=16MiB,threads=1",), env=SLOW).__enter__()
        cls.addClassCleanup(cls.cluster.close)

    def refused(self, name, file, code, *says):
        process = self.cluster.start_worker(name, "--join", file, "--name", name)
        out, err = process.communicate(timeout=40)
        self.assertEqual(process.returncode, code, out + err)
        said = [line for line in err.splitlines() if line.startswith("overwinter-worker: ")]
        self.assertEqual(len(said), 1, err)
        for word in says:
            self.assertIn(word, said[0])
        self.assertNotIn(name, self.cluster.machines())

    def test_expired_and_broken(self):
        c = self.cluster
        short = c.join_file("short.join", "--ttl", "1s")
        with open(c.path("broken.join"), "w", encoding="ascii") as f:
            f.write(text_of(short)[:200])
        self.refused("broken", c.path("broken.join"), 2, "broken.join")
        self.refused("none", c.path("none.join"), 2, "none.join")
        end = os.stat(short).st_mtime + 1.5
        wait_until("it has expired", lambda: time.time() > end)
        self.refused("expired", short, 4)

    def test_withdrawn(self):
        c = self.cluster
        file = c.join_file("withdrawn.join")
        newest = max(int(t["id"]) for t in c.json("tokens", "list")["tokens"] if t["role"] == "worker")
        c.run("tokens", "revoke", str(newest), "--join-file")
        self.refused("withdrawn", file, 4, "revoked")

    def test_a_restart_makes_no_more_join_files(self):
        c = self.cluster
        before = c.json("tokens", "list")["tokens"]
        c.kill("worker-1", signal.SIGTERM)
        c.up_again()
        self.assertEqual([t["id"] for t in c.json("tokens", "list")["tokens"]], [t["id"] for t in before])

    def test_a_worker_renews_its_certificate_and_goes_on(self):
        c = self.cluster
        log = c.path("renewing.log")
        c.run("workers", "drain", "worker-1")
        self.addCleanup(c.run, "workers", "resume", "worker-1")
        worker = c.start_worker("renewing", "--join", c.join_file("renewing.join"), "--name", "renewing",
                                "--test-days-ahead", "11", program="overwinter-worker-test", log=log)
        wait_until("it is READY", lambda: "renewing" in c.machines("READY"))

        def certificate():
            return hashlib.sha256(text_of(c.path("renewing/identity/current/cert.pem")).encode()).hexdigest()

        first = certificate()
        incarnation = c.machines()["renewing"]["incarnation"]
        a, b = RNG.standard_normal((2000, 900)), RNG.standard_normal((900, 1800))
        c.save("A.npy", a)
        c.save("B.npy", b)
        job = c.start("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--quiet")
        wait_until("it has another certificate", lambda: certificate() != first, 20)
        out, err = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 0, out + err)
        self.assertLessEqual(relative_error(np.load(c.path("C.npy")), a, b), 1e-13)
        self.assertIn("the certificate was renewed", text_of(log))
        self.assertNotIn("lost the coordinator", text_of(log))  # the stream was not even interrupted
        # The new one is good: with it the daemon comes back to a coordinator that was started anew.
        c.kill("coordinator", signal.SIGTERM)
        c.up_again()
        wait_until("it is READY again", lambda: "renewing" in c.machines("READY"))
        self.assertEqual(c.machines()["renewing"]["incarnation"], incarnation)
        self.assertIsNone(worker.poll())


if __name__ == "__main__":
    main()
