"""People and machines come in: login lines, roles, projects, join files; and go out again."""

import os
import stat
import unittest

import numpy as np

from harness import Cluster, main, wait_until


class Tokens(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(workers=1).__enter__()
        self.addCleanup(self.cluster.close)

    def login(self, role, *options):
        line = self.cluster.run("tokens", "create", "--role", role, "--for", "ann", *options).stdout.strip()
        self.assertTrue(line.startswith("ow1_"), line)
        self.cluster.run("login", "--name", role, stdin=line + "\n")
        return line

    def test_a_viewer_reads_and_does_nothing_else(self):
        line = self.login("viewer")
        c = self.cluster
        c.run("jobs", "list", "--context", "viewer")
        path = c.save("A.npy", np.ones((4, 4), np.float32))
        refused = c.run("matmul", path, path, "-o", c.path("C.npy"), "--context", "viewer", code=4)
        self.assertIn("error: ", refused.stderr)
        c.run("tokens", "list", "--context", "viewer", code=4)
        again = c.run("login", "--name", "again", stdin=line + "\n", code=4)
        self.assertIn("error: ", again.stderr)

    def test_another_project_does_not_exist(self):
        c = self.cluster
        c.run("projects", "create", "secret")
        path = c.save("A.npy", np.ones((4, 4), np.float32))
        c.run("matmul", path, path, "-o", c.path("C.npy"), "--project", "secret", "--quiet")
        name = c.job()["name"]
        self.login("submitter", "--project", "default")
        c.run("jobs", "get", name, "--context", "submitter", code=5)
        self.assertEqual(c.json("jobs", "list", "--context", "submitter")["jobs"], [])
        c.run("matmul", path, path, "-o", c.path("D.npy"), "--project", "secret", "--context", "submitter", code=5)

    def test_a_revoked_token_is_out_at_once(self):
        c = self.cluster
        self.login("operator")
        tokens = c.json("tokens", "list", "--context", "local")["tokens"]
        ident = next(t["id"] for t in tokens if t["name"] == "ann")
        c.run("status", "--context", "operator")
        c.run("tokens", "revoke", ident, "--context", "local")
        wait_until("the token is refused", lambda: c.call("status", "--context", "operator").returncode == 4, 2)

    def test_a_join_file_lets_one_machine_in(self):
        c = self.cluster
        c.run("tokens", "create", "--role", "worker", "--for", "box", "-o", c.path("join.file"))
        self.assertEqual(stat.S_IMODE(os.stat(c.path("join.file")).st_mode), 0o600)
        first = c.start_worker("extra", "--join", c.path("join.file"))
        self.addCleanup(first.kill)

        def ready():
            return [w for w in c.json("workers", "list")["workers"] if w["state"] == "READY"]

        wait_until("the new machine is ready", lambda: len(ready()) == 2)
        self.assertEqual(len({w["hostId"] for w in ready()}), 1)
        second = c.start_worker("late", "--join", c.path("join.file"))
        out, err = second.communicate(timeout=30)
        self.assertEqual(second.returncode, 4, out + err)
        name = next(w["name"] for w in ready() if w["name"] != "workers/worker-1")
        c.run("workers", "drain", name)
        c.run("workers", "resume", name)
        c.run("workers", "remove", name)
        wait_until("the removed worker's daemon ends", lambda: first.poll() is not None)


if __name__ == "__main__":
    main()
