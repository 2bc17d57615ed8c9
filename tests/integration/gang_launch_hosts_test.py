"""Gangs over Open MPI without a coordinator: real daemons' gang side on three hosts, each in network and mount namespaces of
its own. A rank killed, a daemon killed, a host cut off, ports blocked."""

import os
import signal
import subprocess
import time
import unittest

from gang_daemons import HERE, WHY_NO_NAMESPACES, Gangs, Host, ip, processes_of
from harness import main

NET = "10.83.0"


@unittest.skipIf(WHY_NO_NAMESPACES, WHY_NO_NAMESPACES)
class ThreeHosts(Gangs):
    network = NET + ".0/24"
    slots = [1, 1, 1]

    def setUp(self):
        super().setUp()
        hub = HERE + "hub"
        self.addCleanup(lambda: [ip("netns", "del", HERE + n, check=False) for n in ("hub", "1", "2", "3")])
        ip("netns", "add", hub)
        ip("-n", hub, "link", "add", "hub", "type", "bridge")
        ip("-n", hub, "link", "set", "hub", "up")
        for folder in ("jobs", "run"):
            os.mkdir(os.path.join(self.base, folder), 0o711)
        for n in (1, 2, 3):
            name = f"{HERE}{n}"
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", hub, "link", "add", f"to{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", hub, "link", "set", f"to{n}", "master", "hub", "up")
            ip("-n", name, "addr", "add", f"{NET}.{n}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            for folder in ("jobs", "run"):
                os.mkdir(os.path.join(self.base, f"{folder}-{n}"), 0o711)
            # The same path on every host, as real machines have it.
            setup = "; ".join(f"mount --bind {self.base}/{f}-{n} {self.base}/{f}" for f in ("jobs", "run"))
            self.hosts.append(Host(self.base, n, ("ip", "netns", "exec", name), setup))

    def address(self, host):
        return f"{NET}.{host.worker}"

    def peer(self, host):
        return f"{NET}.{host.worker}:7610"

    def cut(self, n):
        ip("-n", HERE + "hub", "link", "set", f"to{n}", "down")

    def drop(self, n, ports):
        subprocess.run(["ip", "netns", "exec", f"{HERE}{n}", "iptables", "-A", "INPUT", "-p", "tcp", "--dport", ports,
                        "-i", "eth0", "-j", "DROP"], check=True)

    def begin(self, **more):
        self.order(self.hosts, self.slots, **{"steps": 1000000, "step_ms": 5, **more})
        return self.ready(self.hosts, self.slots)

    def all_ended(self, since, within, hosts=None):
        ends = [host.wait("ended", within) for host in hosts or self.hosts]
        self.took = max(e["at"] for e in ends) - since
        self.assertLessEqual(self.took, within)
        return [e["fault"] for e in ends]

    def test_starts_and_ends(self):
        self.figure("3 hosts: order to ready", self.begin(steps=50, elements=300000))
        faults = self.all_ended(time.monotonic(), 30)
        self.assertEqual([f["kind"] for f in faults], ["none"] * 3, faults)
        for host in self.hosts:
            self.assertTrue(host.seen("ended")[0]["clean"], host.story())
        self.nothing_left(*self.hosts)

    def test_rank_killed(self):
        self.begin()
        os.kill(self.pids[1], signal.SIGKILL)
        faults = self.all_ended(time.monotonic(), 8)
        self.figure("rank killed: all three hosts clear", self.took)
        self.assertEqual((faults[0]["kind"], faults[0]["rank"], faults[0]["signal"]), ("rank_killed", 1, 9), faults)
        self.assertEqual((faults[1]["kind"], faults[1]["rank"]), ("rank_lost", 1), faults)
        self.nothing_left(*self.hosts)

    def test_another_hosts_daemon_killed(self):
        self.begin()
        self.hosts[1].kill()
        faults = self.all_ended(time.monotonic(), 6, [self.hosts[0], self.hosts[2]])
        self.figure("second host's daemon killed: the others clear", self.took)
        self.assertEqual((faults[0]["kind"], faults[0]["host"]), ("host_lost", 1), faults)
        self.nothing_left(self.hosts[0], self.hosts[2])
        self.hosts[1].start()
        self.nothing_left(*self.hosts)

    def test_first_hosts_daemon_killed(self):
        self.begin()
        self.hosts[0].kill()
        faults = self.all_ended(time.monotonic(), 6, self.hosts[1:])
        self.figure("first host's daemon killed: the others clear", self.took)
        self.assertEqual([(f["kind"], f.get("host")) for f in faults], [("host_lost", 0)] * 2, faults)
        self.nothing_left(*self.hosts[1:])
        self.hosts[0].start()
        self.nothing_left(*self.hosts)

    def test_host_cut_off(self):
        self.begin()
        self.cut(3)
        faults = self.all_ended(time.monotonic(), 10)
        self.figure("host cut off: all clear, the cut one fenced", self.took)
        self.assertEqual((faults[0]["kind"], faults[0]["host"]), ("host_lost", 2), faults)
        self.assertEqual((faults[2]["kind"], faults[2]["host"]), ("host_lost", 0), faults)
        self.nothing_left(*self.hosts)

    def test_rank_frozen(self):
        self.begin(life_ms=3000)
        os.kill(self.pids[2], signal.SIGSTOP)
        faults = self.all_ended(time.monotonic(), 8)
        self.figure("rank frozen (3 s of patience): all clear", self.took)
        self.assertEqual((faults[2]["kind"], faults[2]["rank"]), ("rank_frozen", 2), faults)
        self.assertIn("no sign of life", faults[2]["message"])
        self.nothing_left(*self.hosts)

    def test_peer_port_blocked(self):
        self.drop(3, "7610:7619")
        self.hosts[0].tell(probe=self.peer(self.hosts[2]), worker=3, within_ms=2000)
        self.assertFalse(self.hosts[0].wait("probe")["ok"])
        self.order(self.hosts, self.slots, steps=1000)
        ended = self.hosts[0].wait("ended", 20)
        self.figure("peer port blocked: named", ended["at"] - self.begun)
        self.assertEqual((ended["fault"]["kind"], ended["fault"]["host"]), ("unreachable", 2), self.hosts[0].story())
        self.assertIn(self.peer(self.hosts[2]), ended["fault"]["message"])
        self.hosts[2].tell(end_ms=0, job=1, attempt=1)
        for host in self.hosts:
            host.wait("ended")
        self.nothing_left(*self.hosts)

    def test_ports_of_the_ranks_blocked(self):
        self.drop(2, "7620:7799")
        self.drop(3, "7620:7799")
        self.order(self.hosts, self.slots, steps=1000, start_ms=6000)
        faults = self.all_ended(time.monotonic(), 15)
        self.figure("rank ports blocked (6 s to start): named", self.took)
        named = [f for f in faults if f["kind"] == "not_ready"]
        self.assertTrue(named, faults)
        self.assertTrue(any("waits for rank" in f["message"] for f in named), faults)
        self.nothing_left(*self.hosts)

    def test_only_what_was_announced_is_started_and_only_once(self):
        self.hosts[0].tell(probe=self.peer(self.hosts[1]), worker=2)
        probe = self.hosts[0].wait("probe")
        self.assertTrue(probe["ok"], probe["message"])
        # Worker 3 shows its own certificate where worker 4 is expected.
        self.hosts[0].tell(probe=self.peer(self.hosts[2]), worker=4)
        wrong = self.hosts[0].wait("probe", ok=False)
        self.assertIn("not worker 4", wrong["message"])
        tokens = ["", "right"]
        hosts = [{"mpi": self.address(h), "peer": self.peer(h), "worker": h.worker, "slots": 1, "token": t}
                 for h, t in zip(self.hosts[:2], tokens)]
        self.hosts[1].tell(start={"job": 5, "attempt": 2, "hosts": hosts, "self": 1, "network": self.network,
                                  "oob_port": self.port, "uid": self.uid})
        self.assertTrue(self.hosts[1].wait("start")["ok"])

        def launch(host, why, **changes):
            host.events.clear()
            host.tell(launch={"peer": self.peer(self.hosts[1]), "worker": 2, "job": 5, "attempt": 2, "token": "right",
                              "words": ["orted", "-mca", "ess", "env"], **changes})
            end = host.wait("launch_ended")
            self.assertIn(why, end["message"])
            self.assertEqual(end["began"], why == "")

        launch(self.hosts[0], "not announced", job=6)
        launch(self.hosts[0], "not announced", attempt=3)
        launch(self.hosts[0], "wrong token", token="wrong")
        launch(self.hosts[2], "another worker was announced")
        launch(self.hosts[0], "another program than orted", words=["sh", "-c", "id"])
        launch(self.hosts[0], "more than settings", words=["orted", "--prefix", "/elsewhere"])
        self.assertEqual(processes_of(self.uid), {})
        self.assertEqual(self.hosts[1].seen("ended"), [])
        # Right, but alone: this orted finds no mpirun and ends; its token is used up all the same.
        self.hosts[0].events.clear()
        self.hosts[0].tell(launch={"peer": self.peer(self.hosts[1]), "worker": 2, "job": 5, "attempt": 2, "token": "right",
                                   "words": ["orted", "-mca", "ess", "env"]})
        self.assertTrue(self.hosts[0].wait("launch_ended")["began"])
        launch(self.hosts[0], "its token was used")
        self.hosts[1].wait("ended")
        self.nothing_left(*self.hosts)


if __name__ == "__main__":
    main()
