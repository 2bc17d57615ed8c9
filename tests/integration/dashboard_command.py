"""A running `overwinter dashboard`, and a cluster to forward."""

import http.client
import json
import os
import signal
import unittest

from harness import Cluster, text_of


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = answer.headers
        self.body = answer.read()
        self.text = self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.text)


class Forwarded:
    """A running `overwinter dashboard`, spoken to as a browser does."""

    def __init__(self, cluster, *options, env=()):
        self.cluster = cluster
        before = dict(cluster.env)
        cluster.env.update(env)
        self.process = cluster.start("dashboard", "-o", "json", *options)
        cluster.env = before
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no address: {self.process.communicate()}")
        self.told = json.loads(line)
        self.address = self.told["address"]
        self.host = self.address.split("/")[2]
        self.port = int(self.host.split(":")[1])
        self.session = {}

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(self, method, path, body=None, **headers):
        connection = self.connection()
        connection.request(method, path, body=body, headers={**self.session, **headers})
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def post(self, path, value, **headers):
        """As the page posts."""
        page = {"Content-Type": "application/json", "Origin": f"http://{self.host}", "Sec-Fetch-Site": "same-origin"}
        return self.call("POST", path, json.dumps(value), **{**page, **headers})

    def code(self):
        page, _, code = self.told["login"].partition("#code=")
        assert page == self.address + "login", self.told
        return code

    def log_in(self, code=None):
        answer = self.post("/api/v1/session:open", {"code": code or self.code()})
        assert answer.status == 200, answer.text
        self.cookie = answer.headers["Set-Cookie"]
        self.session = {"Cookie": self.cookie.split(";")[0], "Overwinter-Session": answer.json()["secret"]}
        return answer

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        self.process.wait(30)
        return self.process.returncode, self.process.stderr.read()


def command_lines():
    lines = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            lines.append(text_of(f"/proc/{pid}/cmdline"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return "\n".join(lines)


class DashboardCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.env.pop("DISPLAY", None)
        cls.cluster.env.pop("WAYLAND_DISPLAY", None)

    def forwarded(self, *options, **more):
        page = Forwarded(self.cluster, *options, **more)
        self.addCleanup(lambda: page.process.poll() is None and page.end())
        return page

    def submit(self, name, script, **more):
        folder = self.cluster.path("jobs")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, name + ".json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"name": name, "workload": {"exec": {"command": script, "launcher": "none"}},
                       "workers": {"min": 1, "max": 1}, "retries": 0, **more}, f)
        return self.cluster.json("submit", path)["name"]

    def tokens(self):
        return self.cluster.json("tokens", "list")["tokens"]

    def own_tokens(self):
        return [t for t in self.tokens() if t["name"].startswith("page of ")]
