"""A port that takes nobody any more (TRUST §4): the coordinator ends itself with an exit code of its own, whoever supervises it
starts it again, and nothing that was acknowledged is lost. The port is made deaf by a firewall's rule for new connections,
in a network namespace of the test's own. And what deploy/ has does start it again."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from harness import BIN, SOURCE, Cluster, main, text_of, wait_until

CLONE_NEWNET = 0x40000000
EXIT_PORTS_DEAD = 70


def why_no_namespace():
    """Moves this process into a network of its own; says why that is not possible."""
    if not shutil.which("iptables"):
        return "there is no iptables here"
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return "no namespace: " + os.strerror(ctypes.get_errno())
    up = subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    if up.returncode != 0:
        return up.stderr.strip()
    rule = subprocess.run(["iptables", "-L"], capture_output=True, text=True, check=False)
    return rule.stderr.strip() if rule.returncode != 0 else None


class Deploy(unittest.TestCase):
    def test_what_runs_it_starts_it_again(self):
        unit = text_of(os.path.join(SOURCE, "deploy/systemd/overwinter-coordinator.service"))
        self.assertIn("\nRestart=always\n", unit)
        self.assertIn("\nRestartSec=2\n", unit)
        self.assertNotIn("RestartPreventExitStatus", unit)
        compose = text_of(os.path.join(SOURCE, "deploy/docker-compose.yml"))
        coordinator = re.search(r"(?ms)^services:\n.*?^  coordinator:\n(.*?)^  \S", compose)[1]
        self.assertIn("\n    restart: unless-stopped\n", coordinator)


class DeadPort(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        why = why_no_namespace()
        if why:
            raise unittest.SkipTest(why)

    @staticmethod
    def rule(command, port):
        """New connections alone: who is connected is served, as when gRPC's listener has died."""
        subprocess.run(["iptables", command, "INPUT", "-p", "tcp", "--dport", str(port), "--syn", "-j", "REJECT", "--reject-with",
                        "tcp-reset"], check=True)

    def serve(self, cluster, place):
        """Starts the coordinator as a supervisor does: its child."""
        process = cluster.start_program(
            [BIN + "/overwinter-coordinator-test", "--data-dir", os.path.join(cluster.dir, "coordinator"), "--listen-people",
             place["people"], "--listen-workers", place["workers"], "--listen-dashboard", place["dashboard"],
             "--test-probe-every-ms", "200"], cluster.path("supervised.log"))
        wait_until("the worker is back", lambda: "worker-1" in self.ready(cluster), 60, 0.2)
        return process

    @staticmethod
    def ready(cluster):
        done = cluster.call("workers", "list", "--format", "json")
        workers = json.loads(done.stdout)["workers"] if done.returncode == 0 else []
        return [w["name"].split("/")[-1] for w in workers if w["state"] == "READY"]

    def test_each_port(self):
        with Cluster(workers=1) as cluster:
            place = json.loads(text_of(os.path.join(cluster.dir, "coordinator", "run", "endpoints.json")))
            cluster.kill("coordinator", signal.SIGTERM)
            supervised = self.serve(cluster, place)
            for name in ("people", "workers", "dashboard"):
                port = place[name].rsplit(":", 1)[1]
                project = cluster.run("projects", "create", "before-" + name).stdout
                self.rule("-A", port)
                try:
                    self.assertEqual(supervised.wait(30), EXIT_PORTS_DEAD, text_of(cluster.path("supervised.log")))
                finally:
                    self.rule("-D", port)
                log = text_of(cluster.path("supervised.log"))
                self.assertIn(f"ends itself, to be started again: nobody answers at 127.0.0.1:{port}", log)
                supervised = self.serve(cluster, place)
                self.assertIn("before-" + name, cluster.run("projects", "list").stdout, project)
            # A port that is deaf for a moment alone is no reason.
            noticed = lambda: text_of(cluster.path("supervised.log")).count("own port:")
            before = noticed()
            self.rule("-A", port)
            wait_until("it has noticed", lambda: noticed() > before, 10)
            self.rule("-D", port)
            self.assertIsNone(supervised.poll())
            supervised.send_signal(signal.SIGTERM)
            self.assertEqual(supervised.wait(30), 0)


if __name__ == "__main__":
    main()
