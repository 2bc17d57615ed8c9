"""`overwinter dashboard`: who may what through it, and how it ends."""

import contextlib
import os
import socket

from dashboard_command import DashboardCommand
from harness import main, text_of


class Access(DashboardCommand):
    # ---- who may what
    @contextlib.contextmanager
    def as_somebody(self, role, *options):
        """Commands are those of a new token's owner, at a home of their own."""
        line = self.cluster.run("tokens", "create", "--role", role, "--for", role, *options).stdout.strip()
        before = dict(self.cluster.env)
        self.cluster.env["XDG_CONFIG_HOME"] = self.cluster.path("home-of-" + role)
        try:
            self.cluster.run("login", stdin=line + "\n")
            yield os.path.join(self.cluster.env["XDG_CONFIG_HOME"], "overwinter/default/token")
        finally:
            self.cluster.env = before

    def test_who_may_make_no_codes_gets_the_form(self):
        with self.as_somebody("viewer") as token_file:
            page = self.forwarded("--no-browser")
            self.cluster.run("dashboard", "--invite", "bob", code=4)
        self.assertEqual(page.told["login"], "")
        self.assertEqual(page.call("GET", "/login").status, 200)
        token = text_of(token_file).strip()
        answer = page.post("/api/v1/session:open", {"token": token})
        self.assertEqual(answer.status, 200, answer.text)
        code, errors = page.end()
        self.assertEqual(code, 0)
        self.assertIn("a token of a viewer makes no login codes", errors)
        self.assertIn(token_file, errors)
        self.assertNotIn(token, errors)

    def test_the_page_has_no_more_rights_than_its_caller(self):
        self.cluster.run("projects", "create", "narrow")
        with self.as_somebody("admin", "--project", "narrow", "--ttl", "1h"):
            page = self.forwarded("--no-browser")
        page.log_in()
        who = page.call("GET", "/api/v1/session").json()
        self.assertEqual((who["role"], who["project"]), ("admin", "narrow"))
        callers = next(t for t in self.tokens() if t["name"] == "admin" and t["project"] == "narrow")
        ours = next(t for t in self.own_tokens() if t["project"] == "narrow" and not t["revoked"])
        self.assertLessEqual(ours["expireTime"][:19], callers["expireTime"][:19])

    def test_an_invitation_is_one_line_that_works_once(self):
        done = self.cluster.run("dashboard", "--invite", "carol", "--role", "viewer")
        line = done.stdout.strip()
        self.assertRegex(line, r"^ow1_[A-Za-z0-9_-]+$")
        self.assertIn("overwinter login", done.stderr)
        home = {"XDG_CONFIG_HOME": self.cluster.path("home-of-carol")}
        before, self.cluster.env = self.cluster.env, {**self.cluster.env, **home}
        try:
            self.cluster.run("login", stdin=line + "\n")
            self.cluster.run("login", "--name", "again", stdin=line + "\n", code=4)
        finally:
            self.cluster.env = before
        token = next(t for t in self.tokens() if t["name"] == "carol")
        self.assertEqual((token["role"], token["project"]), ("viewer", "default"))
        told = self.cluster.json("dashboard", "--invite", "dave")
        self.assertEqual((told["token"]["name"], told["link"]), ("dave", ""))
        # The page takes such a line, too.
        page = self.forwarded("--no-browser")
        page.log_in(told["login"])
        self.assertEqual(page.call("GET", "/api/v1/session").json()["name"], "dave")

    # ---- how it ends
    def test_exit_codes(self):
        run = self.cluster.run
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        self.addCleanup(taken.close)
        port = str(taken.getsockname()[1])
        for arguments in (["--port", port], ["--port", "80"], ["--role", "viewer"], ["--project", "p"],
                          ["--invite", "eve", "--no-browser"], ["--invite", "eve", "--port", "7680"],
                          ["--invite", "eve", "--role", "king"], ["--invite", ""]):
            done = run("dashboard", *arguments, code=2)
            self.assertNotEqual(done.stderr.strip(), "", arguments)
        run("dashboard", "--context", "nowhere", code=5)
        self.assertEqual(run("dashboard", "--timeout", "3s", code=124).stdout.count("\n"), 1)
        self.assertIn("overwinter dashboard --invite", run("dashboard", "--help").stdout)
        self.assertIn("dashboard", run("completion", "bash").stdout)
        self.assertIn("--invite", run("completion", "bash").stdout)
        page = self.forwarded("--no-browser", "--port", str(free_port()))
        self.assertEqual(page.end()[0], 0)

    def test_it_stays_while_the_coordinator_is_away(self):
        page = self.forwarded("--no-browser")
        page.log_in()
        self.cluster.kill("coordinator")
        away = page.call("GET", "/api/v1/session")
        self.assertEqual((away.status, away.json()["code"]), (503, "UNAVAILABLE"))
        self.cluster.run("dashboard", code=3)
        self.cluster.up_again()
        self.assertEqual(page.call("GET", "/api/v1/session").status, 200)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
