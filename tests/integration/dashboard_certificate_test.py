"""The operator's own certificate for the page (--dashboard-cert, --dashboard-key), from a CA that openssl makes: what a browser
is shown, what the forwarder is, renewing it while pages are open, and links that let people in."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import unittest

from dashboard_command import Answer, Forwarded
from harness import BIN, Cluster, main, text_of, wait_until
from machines import Machines, why_no_machines

WHY_NOT = why_no_machines()


class Authority:
    """A public CA of the test's own: a root, an intermediate one that signs, and leaves for browsers."""

    def __init__(self, folder):
        os.makedirs(folder)
        self.folder = folder
        self.root = self.path("root.pem")
        with open(self.path("req.cnf"), "w", encoding="ascii") as f:
            f.write("[req]\ndistinguished_name=dn\n[dn]\n")  # no extensions but those below
        self.make("root", "/CN=Test root", "basicConstraints=critical,CA:TRUE")
        self.make("between", "/CN=Test intermediate", "basicConstraints=critical,CA:TRUE,pathlen:0", signer="root")

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self, name, subject, *extensions, signer=None):
        key, certificate = self.path(name + ".key"), self.path(name + ".pem")
        by = ["-CA", self.path(signer + ".pem"), "-CAkey", self.path(signer + ".key")] if signer else []
        added = [part for one in extensions for part in ("-addext", one)]
        done = subprocess.run(["openssl", "req", "-x509", "-config", self.path("req.cnf"), "-newkey", "ec", "-pkeyopt",
                               "ec_paramgen_curve:P-256", "-nodes", "-days", "90", "-subj", subject, *added, *by, "-keyout", key,
                               "-out", certificate], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        os.chmod(key, 0o600)
        return key, certificate

    def issue(self, name, names):
        """NAME.key and NAME-chain.pem, as certbot's privkey.pem and fullchain.pem."""
        key, leaf = self.make(name, "/CN=" + name, "subjectAltName=" + names, "basicConstraints=critical,CA:FALSE",
                              "extendedKeyUsage=serverAuth", signer="between")
        chain = self.path(name + "-chain.pem")
        with open(chain, "w", encoding="ascii") as f:
            f.write(text_of(leaf) + text_of(self.path("between.pem")))
        return key, chain

    def browser(self):
        context = ssl.create_default_context(cafile=self.root)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


def get(host, port, context, path="/healthz"):
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=30)
    connection.request("GET", path)
    return connection, Answer(connection.getresponse())


def shown(port, context):
    """The serial number of what a browser is shown."""
    with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw, server_hostname="localhost") as tls:
        return tls.getpeercert()["serialNumber"]


class OneMachine(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(workers=0)  # its folder and environment alone
        self.addCleanup(self.cluster.close)
        self.authority = Authority(self.cluster.path("authority"))
        self.data = self.cluster.path("data")
        self.log = self.cluster.path("log")

    def command(self, *options):
        anywhere = [part for port in ("people", "workers", "dashboard") for part in (f"--listen-{port}", "127.0.0.1:0")]
        return [os.path.join(BIN, "overwinter-coordinator"), "--data-dir", self.data, *anywhere, *options]

    def serve(self, key, chain):
        process = self.cluster.start_program(self.command("--dashboard-cert", chain, "--dashboard-key", key), self.log)
        place = os.path.join(self.data, "run/endpoints.json")
        wait_until("it serves", lambda: os.path.exists(place) or process.poll() is not None, 60)
        self.assertIsNone(process.poll(), text_of(self.log))
        ports = json.loads(text_of(place))
        self.cluster.env.update(OVERWINTER_ADDRESS=ports["people"], OVERWINTER_CA=os.path.join(self.data, "ca/root.pem"),
                                OVERWINTER_TOKEN=text_of(os.path.join(self.data, "admin.token")).strip())
        return process, int(ports["dashboard"].split(":")[1])

    def said(self):
        return text_of(self.log)

    def test_what_cannot_be_used_is_said_before_anything_is_made(self):
        key, chain = self.authority.issue("page", "DNS:localhost")
        other, _ = self.authority.issue("other", "DNS:localhost")
        strange = self.authority.issue("strange", "DNS:page.example")
        for options, code, says in ((["--dashboard-cert", chain], 2, "--dashboard-key"),
                                    (["--dashboard-key", key], 2, "--dashboard-cert"),
                                    (["--dashboard-cert", chain, "--dashboard-key", other], 4, "error: --dashboard-key /"),
                                    (["--dashboard-cert", "/none.pem", "--dashboard-key", key], 4, "error: --dashboard-cert /none.pem"),
                                    (["--dashboard-cert", strange[1], "--dashboard-key", strange[0]], 4, "it names page.example")):
            done = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(says, done.stderr)
            self.assertFalse(os.path.exists(self.data), options)
        done = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--help"], capture_output=True, text=True, check=False)
        self.assertIn("--dashboard-cert fullchain.pem", done.stdout)

    def test_browsers_the_forwarder_and_probes(self):
        _, port = self.serve(*self.authority.issue("page", "DNS:localhost"))
        connection, answer = get("localhost", port, self.authority.browser())
        connection.close()
        self.assertEqual(answer.status, 200)
        with self.assertRaises(ssl.SSLError):
            get("localhost", port, ssl.create_default_context(cafile=self.cluster.env["OVERWINTER_CA"]))
        self.assertEqual(self.cluster.json("status")["dashboard"], f"https://localhost:{port}")
        done = subprocess.run(self.command("--healthy"), capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        findings = json.loads(self.cluster.call("doctor", "--format", "json").stdout)["findings"]
        self.assertIn("the page (--dashboard-cert)", " ".join(f["message"] for f in findings if f["check"] == "certificates"))
        page = Forwarded(self.cluster, "--no-browser")
        page.log_in()
        self.assertEqual(page.call("GET", "/api/v1/session").json()["role"], "admin")
        self.assertEqual(page.end()[0], 0)

    def test_a_renewed_one_is_shown_and_open_pages_go_on(self):
        key, chain = self.authority.issue("page", "DNS:localhost")
        process, port = self.serve(key, chain)
        browser = self.authority.browser()
        before = shown(port, browser)
        connection, _ = get("localhost", port, browser)
        self.addCleanup(connection.close)
        new_key, new_chain = self.authority.issue("renewed", "DNS:localhost")

        # One file after the other, with a look in between: half of it is not taken.
        os.replace(new_key, key)
        process.send_signal(signal.SIGHUP)
        wait_until("it says so", lambda: "the page goes on with the certificate that it has" in self.said(), 30)
        self.assertIn("--dashboard-key", self.said())
        self.assertEqual(shown(port, browser), before)
        os.replace(new_chain, chain)
        process.send_signal(signal.SIGHUP)
        wait_until("it is shown", lambda: shown(port, browser) != before, 30)
        self.assertIn("the page has a new certificate, until ", self.said())
        connection.request("GET", "/readyz")
        self.assertEqual(Answer(connection.getresponse()).text.strip(), "ready")
        page = Forwarded(self.cluster, "--no-browser")
        self.assertEqual(page.call("GET", "/healthz").status, 200)
        self.assertEqual(page.end()[0], 0)
        # Never the key's text, whatever was wrong with it.
        self.assertNotIn("PRIVATE KEY", self.said())


@unittest.skipIf(WHY_NOT, WHY_NOT)
class OverTheNetwork(unittest.TestCase):
    def test_an_invitation_is_a_link_that_opens_without_a_warning(self):
        machines = Machines(self, 1, "10.83.0")
        authority = Authority(machines.cluster.path("authority"))
        key, chain = authority.issue("page", f"IP:{machines.host}")
        machines.serve("--listen-dashboard", machines.host + ":7601", "--dashboard-cert", chain, "--dashboard-key", key)
        # A machine that does not know the CA: its owner would open a page with a warning.
        self.assertRegex(machines.command("dashboard", "--invite", "ann", "--role", "viewer"), r"^ow1_\S+\n$")
        machines.cluster.env["SSL_CERT_FILE"] = authority.root
        link = machines.command("dashboard", "--invite", "bob", "--role", "viewer").strip()
        found = re.fullmatch(rf"https://{re.escape(machines.host)}:7601/login#code=(ow1_\S+)", link)
        self.assertIsNotNone(found, link)
        script = "\n".join((
            "import http.client, json, ssl, sys",
            "context = ssl.create_default_context(cafile=sys.argv[1])",
            "page = http.client.HTTPSConnection(sys.argv[2], 7601, context=context, timeout=30)",
            "page.request('GET', '/login')",
            "answer = page.getresponse(); answer.read()",
            "origin = {'Content-Type': 'application/json', 'Origin': f'https://{sys.argv[2]}:7601', 'Sec-Fetch-Site': 'same-origin'}",
            "page.request('POST', '/api/v1/session:open', json.dumps({'code': sys.stdin.read()}), origin)",
            "opened = page.getresponse(); opened.read()",
            "print(answer.status, opened.status)"))
        done = subprocess.run([*machines.within("w1"), "python3", "-c", script, authority.root, machines.host], input=found.group(1),
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.stdout.strip(), "200 200", done.stderr + machines.logs())


if __name__ == "__main__":
    main()
