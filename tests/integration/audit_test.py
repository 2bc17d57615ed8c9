"""The audit: decisions by several tokens with before and after, refusals that cannot be flooded, and who sees which."""

import json
import os
import signal
import sqlite3
import ssl
import stat
import unittest
import urllib.error
import urllib.request

import numpy as np
import raw_grpc

from harness import Cluster, main, text_of, wait_until

FLOOD = 2000


class Audit(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(workers=1).__enter__()
        self.addCleanup(self.cluster.close)
        self.ids = {}

    # ---- who asks
    def login(self, name, role, *options):
        c = self.cluster
        line = c.run("tokens", "create", "--role", role, "--for", name, *options, "--context", "local").stdout
        c.run("login", "--name", name, stdin=line)
        tokens = c.json("tokens", "list", "--context", "local")["tokens"]
        self.ids[name] = next(t["id"] for t in tokens if t["name"] == name)

    def entries(self, *options, context="local"):
        return self.cluster.json("audit", "list", "--limit", 1000, *options, "--context", context)["entries"]

    def one(self, action, **wanted):
        """The only entry of that action with these fields."""
        found = [e for e in self.entries() if e["action"] == action and all(e[k] == v for k, v in wanted.items())]
        self.assertEqual(len(found), 1, (action, wanted, found))
        return found[0]

    def http(self, path, token=None):
        place = self.cluster.place()
        tls = ssl.create_default_context(cafile=place["ca"])
        request = urllib.request.Request(place["dashboard"] + path)
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(request, context=tls, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def admin(self):
        return text_of(self.cluster.place()["token_file"]).strip()

    def turns(self):
        path = os.path.join(self.cluster.dir, "coordinator", "store", "log.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as log:
            return log.execute("SELECT count(*) FROM turns").fetchone()[0]

    # ---- what is shown
    def test_decisions_say_what_was_and_what_is(self):
        c = self.cluster
        worker = next(iter(c.machines()))  # a login changes the current context
        c.run("projects", "create", "zeus")
        self.login("bob", "submitter", "--project", "zeus")
        self.login("olga", "operator")
        self.login("aud", "auditor")
        self.login("zeusaud", "auditor", "--project", "zeus")
        c.run("workers", "drain", worker, "--context", "olga")
        c.save("A.npy", np.ones((8, 8), np.float32))
        spec = {"name": "m", "project": "zeus", "budget": {"cap": 0.5},
                "workload": {"matmul": {"a": "A.npy", "b": "A.npy"}}}
        with open(c.path("m.json"), "w", encoding="utf-8") as f:
            json.dump(spec, f)
        job = c.json("submit", c.path("m.json"), "--context", "bob")["name"]
        c.run("jobs", "update", job, "--cap", "0.8", "--context", "bob")
        c.run("jobs", "pause", job, "--context", "bob")
        c.run("jobs", "resume", job, "--context", "olga")
        c.run("jobs", "cancel", job, "--context", "olga")
        c.run("workers", "resume", worker, "--context", "olga")
        c.run("secrets", "set", "HF_TOKEN", "--context", "bob", stdin="canary-7391")
        c.run("secrets", "delete", "HF_TOKEN", "--context", "bob")
        book = c.path("book.yaml")
        with open(book, "w", encoding="utf-8") as f:
            f.write(c.run("prices", "get", "--context", "local").stdout.replace("0.36", "0.72"))
        c.run("prices", "set", book, "--context", "local")
        c.run("tokens", "revoke", self.ids["olga"], "--context", "local")

        bob, olga = (f"tokens/{self.ids[name]} ({name})" for name in ("bob", "olga"))
        submitted = self.one("job.submit", object=job)
        self.assertEqual((submitted["actor"], submitted["role"], submitted["after"]),
                         (bob, "submitter", "cap 0.50, priority normal"))
        updated = self.one("job.update", object=job)
        self.assertEqual((updated["before"], updated["after"], updated["outcome"]), ("cap 0.50", "cap 0.80", "done"))
        paused = self.one("job.pause", object=job)
        self.assertEqual((paused["actor"], paused["before"], paused["after"]), (bob, "QUEUED", "PAUSED"))
        self.assertEqual(self.one("job.resume", object=job)["actor"], olga)
        self.assertEqual(self.one("job.cancel", object=job)["after"], "CANCELLED")
        drained = self.one("worker.drain", object="workers/" + worker)
        self.assertEqual((drained["actor"], drained["before"], drained["after"]), (olga, "READY", "DRAINING"))
        self.assertEqual(self.one("worker.resume", object="workers/" + worker)["after"], "READY")
        self.assertEqual(self.one("worker.join", object="workers/" + worker)["actor"], "workers/" + worker)
        revoked = self.one("token.revoke", object=f"tokens/{self.ids['olga']}")
        self.assertEqual((revoked["before"], revoked["after"]), ("operator, for olga", "revoked"))
        created = self.one("token.create", object=f"tokens/{self.ids['bob']}")
        self.assertEqual(created["after"], "submitter of projects/zeus, for bob")
        secret = "projects/zeus/secrets/HF_TOKEN"
        self.assertEqual(self.one("secret.set", object=secret)["after"], "set")
        gone = self.one("secret.delete", object=secret)
        self.assertTrue(gone["before"].startswith("set at "), gone)
        self.assertEqual(self.one("login.exchange", object=f"tokens/{self.ids['bob']}")["actor"], bob)
        priced = self.entries("--object", "prices")
        self.assertIn("0.72", priced[0]["after"])
        self.assertEqual(priced[0]["before"], priced[1]["after"])
        self.assertNotIn("canary-7391", json.dumps(self.entries()))

        # Filters, and both ways to read it.
        self.assertEqual({e["actor"] for e in self.entries("--actor", olga)}, {olga})
        self.assertEqual(self.entries("--actor", olga), self.entries("--actor", olga.split()[0]))
        below = self.entries("--object", "projects/zeus", context="aud")
        self.assertTrue(all(e["object"] == "projects/zeus" or e["object"].startswith("projects/zeus/") for e in below))
        self.assertEqual(self.entries("--since", "7d"), self.entries())
        self.assertEqual(self.entries("--since", "2099-01-01"), [])
        status, body = self.http(f"/api/v1/audit?object={job}", self.admin())
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(body)["entries"], self.entries("--object", job))

        # A project's auditor: its own lines, counted by themselves.
        own = self.entries(context="zeusaud")
        numbers = [int(e["number"]) for e in own if e["number"] != "0"]
        self.assertEqual(numbers, list(range(len(numbers), 0, -1)))
        self.assertIn(job, {e["object"] for e in own})
        self.assertIn(secret, {e["object"] for e in own})
        for entry in own:
            mine = entry["object"].startswith("projects/zeus") or entry["object"] in (
                f"tokens/{self.ids['bob']}", f"tokens/{self.ids['zeusaud']}")
            self.assertTrue(mine, entry)
        self.assertEqual(self.entries("--object", "projects/default", context="zeusaud"), [])
        c.run("audit", "list", "--refusals", "--context", "zeusaud", code=4)
        c.run("audit", "list", "--context", "bob", code=4)

        # The export is the list, and nobody else's to read.
        file = c.path("audit.jsonl")
        c.run("audit", "export", "-o", file, "--context", "aud")
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        lines = [json.loads(line) for line in text_of(file).splitlines()]
        self.assertEqual(lines, self.entries(context="aud"))
        self.assertFalse(os.path.exists(file + ".part"))
        table = c.run("audit", "list", "--context", "aud").stdout.splitlines()
        self.assertTrue(table[0].startswith("TIME"), table[0])
        self.assertLessEqual(max(map(len, table)), 80)
        c.run("audit", "list", "--since", "yesterday", "--context", "aud", code=2)

    def test_refusals_are_told_and_cannot_be_flooded(self):
        c = self.cluster
        worker = next(iter(c.machines()))
        self.login("vic", "viewer")
        c.run("workers", "drain", worker, "--context", "vic", code=4)
        vic = f"tokens/{self.ids['vic']} (vic)"
        refused = [e for e in self.entries("--refusals") if e["actor"] == vic]
        self.assertEqual([(e["action"], e["outcome"], e["role"], e["number"]) for e in refused],
                         [("AdminService/DrainWorker", "PERMISSION_DENIED", "viewer", "0")])
        self.assertEqual(self.http("/api/v1/audit")[0], 401)

        before = self.turns()
        self.flood()
        for _ in range(50):
            self.assertEqual(self.http("/api/v1/projects/default/jobs/x")[0], 401)
        self.assertEqual(self.turns(), before)  # nobody without a credential causes a commit

        def counted(entries, action):
            lines = [e for e in entries if e["action"] == action]
            return len(lines), sum(1 + e["repeatedCount"] for e in lines)

        entries = self.entries("--refusals")
        lines, _ = counted(entries, "JobService/GetJob")
        self.assertTrue(1 <= lines <= 20, lines)  # ten of any minute
        self.assertLessEqual(len([e for e in entries if e["address"] == "127.0.0.1" and e["actor"] == ""]), 20)
        status, metrics = self.http("/metrics", self.admin())
        self.assertEqual(status, 200)
        total = {line.split(" ")[0]: int(line.split(" ")[1]) for line in metrics.splitlines()
                 if line.startswith("overwinter_refusals_total{")}
        self.assertEqual(total['overwinter_refusals_total{server="people",code="UNAUTHENTICATED"}'], FLOOD)
        self.assertEqual(total['overwinter_refusals_total{server="dashboard",code="UNAUTHENTICATED"}'], 51)
        folder = os.path.join(c.dir, "coordinator", "audit")
        self.assertLess(sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)), 64 * 1024)

        # What was only counted is told of when the coordinator ends, and none is forgotten.
        c.kill("coordinator", signal.SIGTERM)
        c.up_again()
        wait_until("the coordinator answers", lambda: c.call("status").returncode == 0)
        after = self.entries("--refusals")
        self.assertEqual(counted(after, "JobService/GetJob")[1], FLOOD)
        self.assertEqual(sum(1 + e["repeatedCount"] for e in after if e["address"] == "127.0.0.1" and e["actor"] == ""),
                         51)
        self.assertEqual([e for e in after if e["actor"] == vic], refused)

    def flood(self):
        """FLOOD calls that show no token, many at once; a connection is closed that sends too many of them."""
        raw_grpc.generated()
        import grpc
        from overwinter.v1 import job_pb2, job_pb2_grpc
        place = self.cluster.place()
        tls = grpc.ssl_channel_credentials(text_of(place["ca"]).encode())
        for first in range(0, FLOOD, 50):
            with grpc.secure_channel(place["grpc"], tls, (("grpc.use_local_subchannel_pool", 1),)) as channel:
                stub = job_pb2_grpc.JobServiceStub(channel)
                calls = [stub.GetJob.future(job_pb2.GetJobRequest(name=f"projects/default/jobs/x-{i}"))
                         for i in range(first, first + 50)]
                for call in calls:
                    self.assertEqual(call.code(), grpc.StatusCode.UNAUTHENTICATED)


if __name__ == "__main__":
    main()
