"""`overwinter dashboard`: the page through a port of this machine, as a browser and as somebody else would use it."""

import json
import os
import pty
import re
import shutil
import signal
import stat
import subprocess
import threading
import unittest

from dashboard_command import Answer, DashboardCommand, command_lines
from harness import SOURCE, main, text_of, wait_until

WEB = os.path.join(SOURCE, "coordinator/dashboard/web")
NODE = os.environ.get("OVERWINTER_NODE", shutil.which("node"))
CHROMIUM = shutil.which("chromium")
# A stand-in for the desktop's own: notes what it is called with, and keeps the page that it is given.
OPENER = """#!/bin/sh
echo "$1" > {home}/opened.part
cp "$1" {home}/page.html
tr '\\0' '\\n' < /proc/$$/environ > {home}/opened.env
mv {home}/opened.part {home}/opened
exit {code}
"""


class Forwarding(DashboardCommand):
    # ---- what passes
    def test_the_page_is_forwarded_as_it_is(self):
        page = self.forwarded("--no-browser")
        answer = page.call("GET", "/jobs", **{"Accept-Encoding": "identity"})
        self.assertEqual(answer.status, 200)
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertNotIn("Strict-Transport-Security", answer.headers)
        script = answer.text.split('src="')[1].split('"')[0]
        packed = page.call("GET", script, **{"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers["Content-Encoding"], "gzip")
        self.assertEqual(len(packed.body), int(packed.headers["Content-Length"]))
        again = page.call("GET", "/jobs", **{"If-None-Match": answer.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))
        head = page.call("HEAD", "/jobs")
        self.assertEqual((head.status, head.body), (200, b""))
        # One connection, several questions.
        connection = page.connection()
        for path in ("/healthz", "/readyz", "/nothing", "/healthz"):
            connection.request("GET", path)
            answer = Answer(connection.getresponse())
            self.assertEqual(answer.status, 401 if path == "/nothing" else 200, path)
        connection.close()

    def test_other_names_and_origins_are_refused(self):
        page = self.forwarded("--no-browser")
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{page.port}"}, {"Host": "127.0.0.1:1"},
                        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"https://{page.host}"},
                        {"Origin": f"http://localhost:{page.port}"}):
            answer = page.call("GET", "/healthz", **headers)
            self.assertEqual(answer.status, 403, headers)
            self.assertEqual(len(answer.text.splitlines()), 1, answer.text)
            answer = page.post("/api/v1/session:open", {"code": page.code()}, **headers)
            self.assertEqual(answer.status, 403, headers)
            self.assertEqual(answer.json()["code"], "PERMISSION_DENIED")
        self.assertEqual(page.call("GET", "/healthz", Host=f"localhost:{page.port}").status, 200)
        # What is refused here has used nothing up.
        page.log_in()

    def test_a_code_logs_in_once_and_the_session_is_nothing_in_part(self):
        page = self.forwarded("--no-browser")
        page.log_in()
        self.assertTrue(page.cookie.startswith(f"overwinter-{page.port}="), page.cookie)
        self.assertNotIn("secure", page.cookie.lower())
        for attribute in ("HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(attribute, page.cookie)
        again = page.post("/api/v1/session:open", {"code": page.code()})
        self.assertEqual(again.status, 401, again.text)
        who = page.call("GET", "/api/v1/session").json()
        self.assertEqual((who["role"], who["project"]), ("admin", ""))
        self.assertTrue(who["name"].startswith("page of "), who)
        jobs = page.call("GET", "/api/v1/projects/-/jobs")
        self.assertEqual(jobs.status, 200, jobs.text)
        self.assertIn("jobs", jobs.json())
        whole = page.session
        for part in whole:
            page.session = {part: whole[part]}
            self.assertEqual(page.call("GET", "/api/v1/projects/-/jobs").status, 401, part)
        page.session = whole
        # Another program's cookie of the same address is no harm.
        page.session = {**whole, "Cookie": "notebook=1; " + whole["Cookie"] + "; overwinter-1=x"}
        self.assertEqual(page.call("GET", "/api/v1/session").status, 200)
        # A browser that sends no Sec-Fetch-Site to plain HTTP logs out as well.
        closed = page.call("POST", "/api/v1/session:close", "{}",
                           **{"Content-Type": "application/json", "Origin": f"http://{page.host}"})
        self.assertEqual(closed.status, 200, closed.text)
        self.assertIn(f"overwinter-{page.port}=;", closed.headers["Set-Cookie"])
        self.assertIn("Max-Age=0", closed.headers["Set-Cookie"])

    def test_two_forwarders_do_not_log_each_other_out(self):
        one, other = self.forwarded("--no-browser"), self.forwarded("--no-browser")
        one.log_in()
        other.log_in()
        jar = one.session["Cookie"] + "; " + other.session["Cookie"]  # a browser sends both to both
        for page in (one, other):
            page.session["Cookie"] = jar
            self.assertEqual(page.call("GET", "/api/v1/session").status, 200)

    def test_events_come_as_they_happen_and_end_with_their_reader(self):
        page = self.forwarded("--no-browser")
        page.log_in()
        connection = page.connection()
        connection.request("GET", "/api/v1/events?topics=jobs", headers=page.session)
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
        job = self.submit("told", "echo done")
        seen = []
        while "SUCCEEDED" not in seen:
            one = event()
            if one.get("event") == "job" and json.loads(one["data"])["name"] == job:
                seen.append(json.loads(one["data"])["state"])
        connection.close()
        # A token follows from 24 places at most: those that were left count no longer, and at once.
        for _ in range(60):
            connection = page.connection()
            connection.request("GET", "/api/v1/events?topics=jobs", headers=page.session)
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200, "streams that nobody reads are still open")
            self.assertEqual(event()["event"], "hello")
            connection.close()

    def test_long_logs_and_many_at_a_time(self):
        page = self.forwarded("--no-browser")
        page.log_in()
        job = self.submit("talks", "for i in $(seq 1 20000); do echo \"line $i of a long log, $RANDOM\"; done")
        wait_until("it ends", lambda: self.cluster.job(job)["state"] == "SUCCEEDED", 120)
        path = f"/api/v1/{job}/logs?from=1&lines=500"
        first = page.call("GET", path)
        self.assertEqual(first.status, 200, first.text)
        self.assertGreater(len(first.body), 40_000)
        answers = [None] * 24

        def ask(i):
            answers[i] = page.call("GET", path)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(answers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for answer in answers:
            self.assertEqual((answer.status, answer.body), (200, first.body))

    def test_the_page_acts_through_it(self):
        page = self.forwarded("--no-browser")
        page.log_in()
        job = self.submit("waits", "while true; do read -t 1 < <(:) || :; done")
        wait_until("it runs", lambda: self.cluster.job(job)["state"] == "RUNNING", 60)
        refused = page.post(f"/api/v1/{job}:cancel", {}, Origin="http://evil.example")
        self.assertEqual(refused.status, 403)
        self.assertEqual(self.cluster.job(job)["state"], "RUNNING")
        done = page.post(f"/api/v1/{job}:cancel", {})
        self.assertEqual(done.status, 200, done.text)
        wait_until("it is cancelled", lambda: self.cluster.job(job)["state"] == "CANCELLED", 60)

    # ---- how the code comes to the browser
    def opener(self, code=0):
        folder = self.cluster.path("desktop")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder + "/runtime", mode=0o700)
        with open(folder + "/xdg-open", "w", encoding="ascii") as f:
            f.write(OPENER.format(home=folder, code=code))
        os.chmod(folder + "/xdg-open", 0o755)
        return folder, {"PATH": folder + ":" + self.cluster.env["PATH"], "DISPLAY": ":99",
                        "XDG_RUNTIME_DIR": folder + "/runtime", "OVERWINTER_TOKEN": self.admin_token()}

    def admin_token(self):
        return text_of(self.cluster.place()["token_file"]).strip()

    def test_the_browser_is_led_by_a_file_and_no_argument_holds_the_code(self):
        folder, env = self.opener()
        page = self.forwarded(env=env)
        self.assertEqual(page.told["login"], "")
        wait_until("it is opened", lambda: os.path.exists(folder + "/opened"))
        file = text_of(folder + "/opened").strip()
        self.assertTrue(file.startswith(folder + "/runtime/overwinter/"), file)
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(file)).st_mode), 0o700)
        address = re.search(r'content="0; url=([^"]+)"', text_of(folder + "/page.html")).group(1)
        self.assertTrue(address.startswith(page.address + "login#code=ow1_"), address)
        code = address.split("#code=")[1]
        lines = command_lines()
        self.assertIn("dashboard", lines)
        self.assertNotIn(code, lines)
        self.assertNotIn("ow_", text_of(folder + "/opened.env"))
        self.assertNotIn(code, self.cluster.logs(10_000))
        # The browser comes: the file is no longer needed.
        self.assertEqual(page.call("GET", "/login").status, 200)
        wait_until("the file is gone", lambda: not os.path.exists(file))
        page.log_in(code)
        ours = [t for t in self.own_tokens() if not t["revoked"]]
        self.assertEqual(len(ours), 1)
        self.assertEqual(page.end()[0], 0)
        self.assertTrue(next(t for t in self.tokens() if t["id"] == ours[0]["id"])["revoked"])

    def test_the_file_goes_with_the_command_however_that_ends(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            folder, env = self.opener()
            page = self.forwarded(env=env)
            wait_until("it is opened", lambda f=folder: os.path.exists(f + "/opened"))
            file = text_of(folder + "/opened").strip()
            self.assertTrue(os.path.exists(file))
            code, errors = page.end(number)
            self.assertEqual(code, 0, errors)
            self.assertEqual(os.listdir(os.path.dirname(file)), [])
        self.assertEqual([t for t in self.own_tokens() if not t["revoked"]], [])

    def test_a_browser_that_does_not_start_is_said_and_the_address_told(self):
        _, env = self.opener(code=3)
        page = self.forwarded(env=env)
        page.told = json.loads(page.process.stdout.readline())
        page.log_in()
        self.assertIn("no browser could be opened", page.end()[1])

    def test_without_a_display_a_terminal_gets_the_code_and_a_file_does_not(self):
        command = [os.path.join(self.cluster.bin, "overwinter"), "dashboard"]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command, env=self.cluster.env, stdout=theirs, stderr=subprocess.PIPE, text=True)
        os.close(theirs)
        told = b""
        while b"\n" not in told:
            told += os.read(ours, 4096)
        self.assertRegex(told.decode(), r"^http://127\.0\.0\.1:\d+/login#code=ow1_[A-Za-z0-9_-]+\r?\n$")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        os.close(ours)
        self.assertEqual(process.returncode, 0, errors)
        self.assertIn("once, within 15 minutes", errors)
        self.assertNotIn("ow1_", errors)
        before = len(self.tokens())
        process = self.cluster.start("dashboard")
        self.assertRegex(process.stdout.readline(), r"^http://127\.0\.0\.1:\d+/\n$")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        self.assertIn("standard output is no terminal", errors)
        self.assertEqual(len(self.tokens()), before, "a token was made that nobody can use")

    @unittest.skipUnless(NODE and CHROMIUM and os.path.isdir(os.path.join(WEB, "node_modules")),
                         "needs Node 22, `npm ci` in the page's folder, and Chromium")
    def test_a_real_browser_logs_in_by_the_file(self):
        folder, env = self.opener()
        page = self.forwarded(env=env)
        wait_until("it is opened", lambda: os.path.exists(folder + "/opened"))
        done = subprocess.run([NODE, "browser/forwarded.mjs", "--file", folder + "/page.html", "--browser", CHROMIUM],
                              cwd=WEB, capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(page.end()[0], 0)


if __name__ == "__main__":
    main()
