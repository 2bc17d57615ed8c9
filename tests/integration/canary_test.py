"""Secrets stay secret (TRUST §5): two dozen canaries are planted where secrets live, the cluster is used and misused, and
then none of them stands in a log, the store, metrics, errors, the page's answers, a process list, a backup or a core file. A
word that is no secret travels the same ways and is found in each: the search sees what it looks at."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import tarfile
import unittest

import canary_scan
from canary_scan import Canary, Processes, found_in, found_in_files, of_pem, of_sealing_key, of_text
from harness import BIN, Cluster, main, text_of, wait_until

BEACON = "beacon" + os.urandom(8).hex()  # no secret: it shows that the search sees a place


def random_text(prefix):
    return prefix + os.urandom(12).hex()


class Secrecy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.processes = Processes(lambda program: os.path.basename(program).startswith("overwinter"))
        cls.processes.begin()
        cls.cluster = Cluster(workers=1, prepare=cls.plant_beacon).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.canaries, cls.answers = [], {}

    @classmethod
    def plant_beacon(cls, cluster):
        cluster.env["OVERWINTER_TEST_BEACON"] = BEACON

    # ---- what is planted
    def plant(self, name, needles, *homes):
        self.canaries.append(Canary(name, needles, homes))

    def path(self, *parts):
        return os.path.join(self.cluster.dir, "coordinator", *parts)

    def plant_keys(self):
        leaf = os.path.realpath(self.path("leaf", "current"))
        issuing = os.path.realpath(self.path("ca", "issuing"))
        identity = os.path.realpath(os.path.join(self.cluster.dir, "worker-1", "identity", "current"))
        for name, path in (("the root's key", self.path("ca", "root.key")),
                           ("the issuing key", os.path.join(issuing, "issuing.key")),
                           ("the servers' key", os.path.join(leaf, "key.pem")),
                           ("the worker's key", os.path.join(identity, "key.pem")),
                           ("the capability key", self.path("capability.key"))):
            self.plant(name, of_pem(text_of(path)), path[len(self.cluster.dir):])
        for name in ("secrets.key", "session.key"):
            self.plant(name, of_sealing_key(text_of(self.path(name))), "/coordinator/" + name)

    def plant_tokens(self):
        """The admin's token, logins of three roles, codes that are used, unused and wrong, and a revoked token."""
        c = self.cluster
        token = text_of(c.place()["token_file"]).strip()
        self.plant("the admin's token", of_text(token), "/coordinator/admin.token")
        for role in ("submitter", "viewer", "auditor"):
            line = c.run("tokens", "create", "--role", role, "--for", role + BEACON, "--context", "local").stdout.strip()
            c.run("login", "--name", role, stdin=line + "\n")
            self.plant(f"the code of the {role}", self.code_of(line))
            held = text_of(os.path.join(c.home, "config/overwinter", role, "token")).strip()
            self.plant(f"the token of the {role}", of_text(held), f"/overwinter/{role}/token")
        unused = c.run("tokens", "create", "--role", "viewer", "--for", "nobody", "--context", "local").stdout.strip()
        self.plant("a code that nobody used", self.code_of(unused))
        revoked = next(t["id"] for t in c.json("tokens", "list", "--context", "local")["tokens"] if t["name"] == "viewer" + BEACON)
        c.run("tokens", "revoke", revoked, "--context", "local")
        self.say("a revoked token", c.call("jobs", "list", "--context", "viewer"))
        self.admin = token

    @staticmethod
    def code_of(line):
        """`ow1_…` holds the root's fingerprint, 16 bytes of code, the address."""
        import base64
        packed = line[4:]
        code = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))[32:48]
        return canary_scan.forms(code) | {line.encode(), base64.urlsafe_b64encode(code).rstrip(b"=")}

    def plant_join_files(self):
        for name in ("kept.join", "used.join"):
            file = json.loads(text_of(self.cluster.join_file(name, "--context", "local")))
            self.plant(f"the key of {name}", of_pem(file["keyPem"]), "/" + name)
        worker = self.cluster.start_worker("joined", "--join", self.cluster.path("used.join"), log=self.cluster.path("joined.log"))
        wait_until("it joins", lambda: len(self.ready()) == 2)
        key = os.path.realpath(self.cluster.path("joined/identity/current")) + "/key.pem"
        self.plant("the key of who joined", of_pem(text_of(key)), key[len(self.cluster.home):])
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)

    def ready(self):
        return [w for w in self.cluster.json("workers", "list", "--context", "local")["workers"] if w["state"] == "READY"]

    def plant_secrets_of_jobs(self):
        self.secret = random_text("hf-")
        for name, value in (("HF_TOKEN", self.secret), ("NOT_USED", random_text("nu-"))):
            self.cluster.run("secrets", "set", name, "--context", "local", stdin=value)
            self.plant(f"the secret {name}", of_text(value))
        other = random_text("gone-")
        self.cluster.run("secrets", "set", "GONE", "--context", "local", stdin=other)
        self.cluster.run("secrets", "delete", "GONE", "--context", "local")
        self.plant("a secret that was deleted", of_text(other))

    def plant_hooks(self):
        parts = [random_text("T0HOOK") for _ in range(2)]
        with open(self.path("notify.yaml"), "w", encoding="utf-8") as f:
            f.write("hooks:\n" + "".join(
                f"  - {{name: {name}, url: 'http://127.0.0.1:9/{part}', on: [failed]}}\n"
                for name, part in zip((f"h{BEACON}", "other"), parts)))
        os.chmod(self.path("notify.yaml"), 0o600)
        os.kill(self.cluster.pid("coordinator"), signal.SIGHUP)
        for number, part in enumerate(parts):
            self.plant(f"the address of hook {number}", of_text(part), "/coordinator/notify.yaml")
        self.say("a hook that fails", self.cluster.call("notify", "test", "--context", "local"))

    def plant_session(self):
        page = {"Content-Type": "application/json", "Origin": self.cluster.place()["dashboard"], "Sec-Fetch-Site": "same-origin"}
        answer, text = self.http("POST", "/api/v1/session:open", json.dumps({"token": self.admin}), page)
        self.assertEqual(answer.status, 200, text)
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        self.plant("the session's cookie", of_text(self.cookie.split("=", 1)[1]))
        session = json.loads(text)
        secret = max((v for v in session.values() if isinstance(v, str)), key=len)
        self.plant("the session's secret", of_text(secret))
        self.session = {"Cookie": self.cookie, "Overwinter-Session": secret}

    # ---- what is done
    def say(self, name, done):
        self.answers[name] = (done.stdout + done.stderr).encode()

    def http(self, method, path, body=None, headers=()):
        connection = http.client.HTTPSConnection(self.cluster.place()["dashboard"].split("//")[1],
                                                 context=ssl._create_unverified_context(), timeout=30)
        connection.request(method, path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer, text

    def run_jobs(self):
        """A careless program prints a token and a private key that it was given as secrets; and it fails."""
        c = self.cluster
        os.mkdir(c.path("empty"))
        given = {"KEY": json.loads(text_of(c.path("kept.join")))["keyPem"],
                 "TOKEN": text_of(os.path.join(c.home, "config/overwinter/submitter/token")).strip()}
        for name, value in given.items():
            c.run("secrets", "set", name, "--context", "local", stdin=value)
        careless = (f"test ${{#HF_TOKEN}} = {len(self.secret)} && test ${{#KEY}} -gt 200 && echo {BEACON}; "
                    f"echo \"$KEY\"; echo my token is $TOKEN; exit 3")
        asked = [option for name in ("HF_TOKEN", *given) for option in ("--secret", name)]
        done = c.call("run", "--workdir", c.path("empty"), *asked, "--name", "n" + BEACON, "--context", "local", "--",
                      "bash", "-c", careless, timeout=180)
        self.say("a careless job", done)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr + c.logs())
        self.assertIn(BEACON, done.stdout)
        self.job = c.json("jobs", "list", "--context", "local")["jobs"][0]["name"]

    def ask_everything(self):
        c = self.cluster
        for command in (["status"], ["jobs", "list"], ["jobs", "get", self.job], ["logs", self.job],
                        ["jobs", "explain", self.job], ["workers", "list"], ["tokens", "list", "--format", "json"], ["secrets", "list"],
                        ["cost"], ["audit", "list", "--format", "json"], ["audit", "list", "--refusals"], ["doctor", "-o", c.path("report.json")],
                        ["prices", "get"], ["jobs", "get", "no-such-" + BEACON]):
            done = c.call(*command, "--context", "local")
            self.say("overwinter " + " ".join(command), done)
            # doctor may find something wrong on a busy machine; the last asks for a job that is not there.
            self.assertIn(done.returncode, {"doctor": (0, 1), "jobs": (0, 5)}.get(command[0], (0,)), done.stderr)
        self.say("a wrong code", c.call("login", stdin="ow1_" + BEACON + "\n"))
        job = "/api/v1/" + self.job
        paths = ["/", "/healthz", "/readyz", "/metrics", "/api/v1/session", "/api/v1/summary", "/api/v1/workers", "/api/v1/audit",
                 "/api/v1/projects/default/jobs", job, job + ":explain", job + "/timeline", job + "/logs",
                 f"{job}/logs:search?text={BEACON}", job + "/checkpoints", "/api/v1/no-such-" + BEACON]
        bearers = {"the admin": {"Authorization": "Bearer " + self.admin}, "nobody": {},
                   "a wrong token": {"Authorization": "Bearer " + self.admin[:-4]}, "the session": self.session}
        for path in paths:
            for name, headers in bearers.items():
                answer, text = self.http("GET", path, headers=headers)
                self.answers[f"GET {path} by {name}"] = (str(answer.headers) + text).encode()

    def back_up(self):
        c = self.cluster
        passphrase = random_text("correct horse ")
        self.plant("the passphrase of a backup", of_text(passphrase))
        self.say("a backup", c.call("backup", "--with-keys", "-o", c.path("keys.backup"), "--context", "local", stdin=passphrase + "\n"))
        self.say("a bare backup", c.call("backup", "-o", c.path("bare.backup"), "--context", "local"))
        wrong = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--restore", c.path("keys.backup"), "--data-dir",
                                c.path("restored")], env=c.env, input="wrong " + passphrase + "\n", capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertNotEqual(wrong.returncode, 0)
        self.say("a wrong passphrase", wrong)
        for name in ("keys.backup", "bare.backup"):  # its members may lie in it packed
            with tarfile.open(c.path(name)) as tar:
                for member in tar.getmembers():
                    if member.isfile():
                        self.answers[f"{name}: {member.name}"] = tar.extractfile(member).read()

    def crash(self):
        """SIGSEGV with core files allowed: none is written. The daemons of the cluster read the limits of this process."""
        c = self.cluster
        c.kill("coordinator", signal.SIGTERM)
        place = {k: v for k, v in json.loads(text_of(self.path("run", "endpoints.json"))).items() if k in ("people", "workers", "dashboard")}
        for data in ([BIN + "/overwinter-coordinator", "--data-dir", self.path(), "--listen-people", place["people"],
                      "--listen-workers", place["workers"], "--listen-dashboard", place["dashboard"]],):
            folder = c.path("cores")
            os.mkdir(folder)
            pid = os.posix_spawn("/bin/sh", ["sh", "-c", f"cd {folder}; ulimit -c unlimited; exec \"$@\"", "sh", *data], c.env,
                                 file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                                               (os.POSIX_SPAWN_OPEN, 2, c.path("crash.log"), os.O_WRONLY | os.O_CREAT, 0o600)])
            wait_until("it serves", lambda: self.answers_readyz(), 60)
            limits = text_of(f"/proc/{pid}/limits")
            self.assertRegex(limits, r"Max core file size +0 +0", limits)
            os.kill(pid, signal.SIGSEGV)
            _, status = os.waitpid(pid, 0)
            self.assertTrue(os.WIFSIGNALED(status))
            self.assertFalse(os.WCOREDUMP(status))
            self.assertEqual(os.listdir(folder), [])

    def answers_readyz(self):
        try:
            return self.http("GET", "/readyz")[0].status == 200
        except OSError:
            return False

    # ---- the search
    def check(self):
        self.assertGreaterEqual(len(self.canaries), 20, [c.name for c in self.canaries])
        print(f"{len(self.canaries)} canaries, {len(self.answers)} answers, {len(list(canary_scan.files_below(self.cluster.home)))} "
              f"files, {len(self.lists)} programs' command lines and environments")
        self.assertEqual(found_in_files(self.canaries, self.cluster.home), [])
        self.assertEqual(found_in(self.canaries, self.answers), [])
        self.assertEqual(found_in(self.canaries, self.lists), [])

    def check_the_search(self):
        """It finds what is there: a word that is no secret in every place, and each canary once it is put down somewhere."""
        beacon = Canary("beacon", of_text(BEACON))
        files = {path[len(self.cluster.home):] for _, path in found_in_files([beacon], self.cluster.home)}
        for place in ("/coordinator/store/", "/coordinator/telemetry/", "/coordinator/audit/", "/coordinator/notify.yaml", "/log/"):
            self.assertTrue(any(place in path for path in files), (place, files))
        where = {name for _, name in found_in([beacon], self.answers)}
        for place in ("GET /metrics by the admin", "GET /api/v1/" + self.job + "/logs by the admin", "overwinter audit list --format json", "overwinter logs " + self.job,
                      "overwinter jobs get no-such-" + BEACON, "overwinter tokens list --format json", "bare.backup: store/log.db"):
            self.assertIn(place, where)
        self.assertEqual({what for what, _ in (where for _, where in found_in([beacon], self.lists))},
                         {"command line", "environment"})
        folder = self.cluster.path("planted")
        os.mkdir(folder)
        for canary in self.canaries:
            for needle in canary.needles:
                with open(os.path.join(folder, "x"), "wb") as f:
                    f.write(b"before " + needle + b" after")
                self.assertEqual(found_in_files([canary], folder), [(canary.name, f.name)], canary.name)

    def test_nothing_is_given_away(self):
        self.plant_tokens()
        self.plant_join_files()
        self.plant_secrets_of_jobs()
        self.plant_hooks()
        self.plant_session()
        self.plant_keys()
        self.run_jobs()
        self.ask_everything()
        self.back_up()
        self.crash()
        self.lists = self.processes.end()
        self.check()
        self.check_the_search()


if __name__ == "__main__":
    main()
