"""Being told: webhooks and the release of idle machines, with a receiver of our own on loopback and a real cluster: a job that
fails, one that its cap pauses, a worker that is killed, a coordinator that is killed and started again, idle machines that
are given back. The secret part of the addresses stands nowhere but in the coordinator's own file."""

import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

import numpy as np

from harness import SLOW, Cluster, main, text_of, wait_until

SECRET = "B0SECRETPART"
PRICE = 36.0  # an hour of a device: 0.01 a second


class Receiver:
    """Takes webhooks: /NAME/SECRET. `flaky` answers 500 twice and then 200, `hang` never, all others 200 at once. With
    `certificate` (its and its key's file) by HTTPS."""

    def __init__(self, certificate=None):
        receiver = self
        self.got = []  # (name, message) of every request, whatever it was answered
        self.lock = threading.Lock()
        self.end = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                name = self.path.split("/")[1]
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.got.append((name, json.loads(body)))
                    count = len(receiver.of(name))
                if name == "hang":
                    receiver.end.wait(600)
                self.send_response(500 if name == "flaky" and count <= 2 else 200)
                self.end_headers()
                self.wfile.write(self.path.encode())  # a receiver that repeats the address

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # who hung up before the answer

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, name, event=None):
        return [m for n, m in list(self.got) if n == name and event in (None, m["event"])]

    def close(self):
        self.end.set()
        self.server.shutdown()
        self.server.server_close()


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certificate(folder):
    """A certificate for `localhost` alone, that is its own authority: (its file, its key's)."""
    paths = os.path.join(folder, "hook.pem"), os.path.join(folder, "hook.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", paths[1], "-out", paths[0], "-subj", "/CN=localhost", "-days", "2",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return paths


class Notify(unittest.TestCase):
    def setUp(self):
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        # The authorities that the coordinator trusts as its system's: the receiver's certificate alone.
        trusted = tempfile.mkdtemp(prefix="overwinter-notify-")
        self.addCleanup(shutil.rmtree, trusted)
        certificate = make_certificate(trusted)
        self.secure = Receiver(certificate)
        self.addCleanup(self.secure.close)
        self.cluster = Cluster(workers=3, devices=("cpu:memory=128MiB,threads=1",),
                               env={**SLOW, "SSL_CERT_FILE": certificate[0]})
        self.addCleanup(self.cluster.close)
        self.cluster.__enter__()
        c = self.cluster
        with open(c.path("prices.yaml"), "w", encoding="utf-8") as f:
            f.write(f"currency: USD\nprices:\n  - {{ from: 2026-01-01, device: cpu, per_hour: {PRICE} }}\n")
        c.run("prices", "set", c.path("prices.yaml"))
        self.answers = []  # everything that people were shown

    # ---- settings
    def address(self, name, port=None):
        return f"http://127.0.0.1:{port or self.receiver.port}/{name}/{SECRET}"

    def settings(self, text, mode=0o600):
        path = os.path.join(self.cluster.dir, "coordinator", "notify.yaml")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", mode)
        os.replace(path + ".new", path)
        # It looks by itself within seconds; at once when it is asked to, and does not end of it.
        os.kill(self.cluster.pid("coordinator"), signal.SIGHUP)

    def hooks(self, *hooks, more=""):
        self.settings("hooks:\n" + "".join(f"  - {json.dumps(h)}\n" for h in hooks) + more)

    def try_hooks(self, *names, code=0):
        done = self.cluster.call("notify", "test", *names)
        self.answers.append(done.stdout + done.stderr)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + self.cluster.logs())
        return done

    def wait(self, name, event, count=1, timeout_s=60):
        return wait_until(f"{event} for {name}", lambda: len(self.receiver.of(name, event)) >= count
                          and self.receiver.of(name, event), timeout_s, 0.1)

    def fail_a_job(self):
        c = self.cluster
        os.makedirs(c.path("empty"), exist_ok=True)
        done = c.call("run", "--workdir", c.path("empty"), "--name", "doomed", "--", "sh", "-c", "exit 3")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr + c.logs())
        return c.job()

    # ---- the story
    def test_being_told(self):
        self.bad_settings()
        self.tests_of_hooks()
        failed = self.a_job_that_fails()
        self.a_job_that_its_cap_pauses()
        self.a_coordinator_that_is_killed(failed)
        self.a_worker_that_is_killed()
        self.idle_machines()
        self.nothing_is_given_away()

    def bad_settings(self):
        c = self.cluster
        none = self.try_hooks(code=5)
        self.assertIn("no hook is configured", none.stderr)
        self.settings(f"hooks:\n  - name: ops\n    url: http://hooks.example.com/{SECRET}\n")
        bad = self.try_hooks(code=4)
        self.assertIn("notify.yaml: line 3: hooks[0].url must begin with https://", bad.stderr)
        doctor = c.call("doctor", "--quiet")
        self.answers.append(doctor.stdout + doctor.stderr)
        self.assertRegex(doctor.stdout, r"(?m)^warning +hooks +notify\.yaml: line 3: hooks\[0\]\.url")
        self.settings("hooks: []\n", mode=0o644)
        self.assertIn("others than its owner may read it", self.try_hooks(code=4).stderr)

    def tests_of_hooks(self):
        on = ["failed", "paused", "cap-80", "worker-lost"]
        self.base = [{"name": "ops", "url": self.address("ops"), "on": on},
                     {"name": "flaky", "url": self.address("flaky"), "on": ["failed"]},
                     {"name": "hang", "url": self.address("hang"), "on": on},
                     {"name": "gone", "url": self.address("gone", closed_port()), "on": on},
                     {"name": "other", "url": self.address("other"), "projects": ["other"]}]
        secure = f"https://localhost:{self.secure.port}/secure/{SECRET}"
        self.hooks(*self.base, {"name": "secure", "url": secure},
                   {"name": "misnamed", "url": secure.replace("localhost", "127.0.0.1")})
        done = self.cluster.call("notify", "test", "--format", "json")
        self.answers.append(done.stdout + done.stderr)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        told = {d["hook"]: (d["delivered"], d["message"]) for d in json.loads(done.stdout)["deliveries"]}
        self.assertEqual(told["ops"], (True, "answered 200 OK"))
        self.assertEqual(told["secure"], (True, "answered 200 OK"))
        self.assertEqual(told["flaky"], (False, "answered 500 Internal Server Error"))
        self.assertEqual(told["hang"], (False, "gave no answer within 10.0s"))
        self.assertEqual(told["gone"], (False, "could not be reached: Connection refused"))
        self.assertFalse(told["misnamed"][0])
        self.assertIn("certificate verify failed", told["misnamed"][1])
        self.assertIn("answered 200 OK", self.try_hooks("ops").stdout)
        self.assertIn("no such hook", self.try_hooks("nobody", code=5).stderr)
        line = self.cluster.run("tokens", "create", "--role", "operator", "--for", "ann").stdout
        self.cluster.run("login", "--name", "ann", stdin=line)
        refused = self.cluster.run("notify", "test", "--context", "ann", code=4)
        self.answers.append(refused.stderr)
        self.cluster.run("status", "--context", "local")
        self.assertEqual([m["event"] for m in self.receiver.of("ops")], ["test", "test"])
        self.assertIn("This is a test of the hook ops", self.receiver.of("ops")[0]["text"])
        self.receiver.got.clear()
        self.hooks(*self.base)

    def a_job_that_fails(self):
        """Told at once, whatever the other hooks do; to the one that was broken, when it is mended."""
        job = self.fail_a_job()
        message = self.wait("ops", "failed", timeout_s=15)[0]
        self.assertEqual(message["job"], job["name"])
        self.assertEqual(message["state"], "FAILED")
        self.assertEqual(message["charged"], job["cost"]["charged"])
        self.assertIn(job["stateReason"][:40], message["sentence"])
        self.assertIn(job["name"].split("/")[-1], message["text"])
        self.assertTrue(message["link"].startswith("https://"))
        self.assertTrue(message["link"].endswith("/" + job["name"]))
        self.assertIn(message["link"], message["text"])
        self.wait("flaky", "failed", 3)  # after 5 s and 15 s
        self.assertEqual(self.receiver.of("other"), [])
        return job

    def a_job_that_its_cap_pauses(self):
        c = self.cluster
        rng = np.random.default_rng(3)
        c.save("A.npy", rng.standard_normal((4000, 4000)))
        c.save("B.npy", rng.standard_normal((4000, 4000)))
        done = c.call("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--quiet", "--cap", "0.05")
        self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
        paused = self.wait("ops", "paused")[0]
        self.assertEqual(paused["job"], c.job()["name"])
        self.assertEqual(paused["cap"]["amountMicros"], "50000")
        self.assertIn("its cap of 0.05 USD", paused["sentence"])
        self.assertIn(" of 0.05 USD", paused["text"])
        self.assertEqual(len(self.receiver.of("ops", "cap-80")), 1)

    def a_coordinator_that_is_killed(self, failed):
        """What it told is not told again; what it could not deliver yet is."""
        c = self.cluster

        def written_down():
            with open(os.path.join(c.dir, "coordinator", "notify.told"), encoding="utf-8") as f:
                keys = [k for owner in json.load(f)["told"].values() for k, names in owner.items() if "ops" in names]
            return any(k.startswith("paused/") for k in keys) and any(k.startswith("cap-80/") for k in keys)

        wait_until("what was told is written down", written_down, 20, 0.1)
        stuck = len(self.receiver.of("hang"))
        c.kill("coordinator")
        c.up_again()
        wait_until("the hook that hangs is told again", lambda: len(self.receiver.of("hang")) > stuck, 30)
        for name in ("ops", "flaky"):
            answered = [m for m in self.receiver.of(name, "failed") if m["job"] == failed["name"]]
            self.assertEqual(len(answered), 1 if name == "ops" else 3)
        c.run("jobs", "cancel", "@last")  # by a person: it is no news

    def a_worker_that_is_killed(self):
        c = self.cluster
        c.kill("worker-2")
        lost = self.wait("ops", "worker-lost")[0]
        self.assertEqual(lost["worker"], "workers/worker-2")
        self.assertEqual(lost["state"], "LOST")
        self.assertIn("Worker worker-2 is LOST", lost["text"])
        # Told after all that the new coordinator found: nothing of it was told twice.
        self.assertEqual(len(self.receiver.of("ops", "paused")), 1)
        self.assertEqual(len(self.receiver.of("ops", "cap-80")), 1)
        self.assertEqual(len(self.receiver.of("ops", "failed")), 1)

    def idle_machines(self):
        """Told with what it costs; given back by the command, once, drained before; taken back when the command fails."""
        c = self.cluster
        script, out = c.path("release"), c.path("released")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\necho "$1 $OVERWINTER_WORKER" >> {out}\nenv >> {out}.env\n'
                    '[ "$1" != worker-3 ]\n')
        os.chmod(script, 0o700)
        idle = {"after": "3s", "command": [script, "{worker}"], "workers": ["worker-1", "worker-3"]}
        self.hooks({"name": "ops", "url": self.address("ops"), "on": ["idle"]}, more=f"on_idle: {json.dumps(idle)}\n")
        told = self.wait("ops", "idle", 2)
        self.assertEqual({m["worker"] for m in told}, {"workers/worker-1", "workers/worker-3"})
        for message in told:
            self.assertIn("costs 36.00 an hour", message["sentence"])
            self.assertGreaterEqual(int(message["charged"]["amountMicros"]), 30_000)  # three seconds of it
        wait_until("both commands ran", lambda: os.path.exists(out) and text_of(out).count("\n") == 2)
        self.assertEqual(sorted(text_of(out).splitlines()), ["worker-1 worker-1", "worker-3 worker-3"])
        self.assertNotIn("HOME=", text_of(out + ".env"))
        wait_until("the one that failed is back", lambda: "worker-3" in c.machines("READY"), 20)
        drained = wait_until("the other is drained", lambda: c.machines("DRAINING").get("worker-1"), 20)
        self.assertIn("by the coordinator", drained["stateReason"])
        log = text_of(os.path.join(c.dir, "log", "coordinator.log"))
        self.assertIn("actor=coordinator action=release worker=worker-1 outcome=ok", log)
        self.assertIn("actor=coordinator action=release worker=worker-3 outcome=failed: the release command ended with "
                      "exit code 1", log)
        # Work ends the idle time; the next one is acted on again.
        self.fail_a_job()
        wait_until("it is released again", lambda: text_of(out).count("worker-3 worker-3") == 2)
        self.assertEqual(text_of(out).count("worker-1 worker-1"), 1)

    def nothing_is_given_away(self):
        c = self.cluster
        metrics = self.metrics()
        self.assertRegex(metrics, r'(?m)^overwinter_notifications_total\{hook="ops",outcome="delivered"\} [1-9]')
        self.assertRegex(metrics, r'(?m)^overwinter_notifications_waiting\{hook="ops"\} 0$')
        self.answers.append(metrics)
        # 1: worker-2 is lost.
        self.answers.append(c.run("doctor", "-o", c.path("report.json"), code=1).stdout + text_of(c.path("report.json")))
        for text in self.answers:
            self.assertNotIn(SECRET, text)
        for folder, _, files in os.walk(c.dir):
            for file in files:
                if file == "notify.yaml" or not os.path.isfile(os.path.join(folder, file)):
                    continue
                with open(os.path.join(folder, file), "rb") as f:
                    self.assertNotIn(SECRET.encode(), f.read(), os.path.join(folder, file))

    def metrics(self):
        with open(os.path.join(self.cluster.dir, "coordinator", "run", "endpoints.json"), encoding="utf-8") as f:
            host = json.load(f)["dashboard"]
        token = text_of(self.cluster.place()["token_file"]).strip()
        connection = http.client.HTTPSConnection(host, context=ssl._create_unverified_context(), timeout=30)
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer " + token})
        return connection.getresponse().read().decode()


if __name__ == "__main__":
    main()
