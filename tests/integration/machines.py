"""Machines of a test: network namespaces with a machine-id of their own, joined by veth pairs to a bridge in the first
one, where a coordinator serves as README says."""

import json
import os
import shutil
import subprocess

from harness import BIN, Cluster, text_of, wait_until


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)


def why_no_machines():
    """Why this machine can have none; empty: it can."""
    name = f"ow{os.getpid() % 100000}"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2) here"
    if ip("netns", "add", name + "probe", check=False).returncode != 0:
        return "no network namespaces here"
    made = ip("link", "add", name + "p", "type", "veth", "peer", "name", name + "q", check=False)
    ip("link", "del", name + "p", check=False)
    ip("netns", "del", name + "probe", check=False)
    return "" if made.returncode == 0 else "no veth pairs here"


class Machines:
    """c (the coordinator's, with the bridge, at HOST) and w1, w2, … (at NET.2, NET.3, …), and what runs in them.

    private: a worker's machine has processes, /run/overwinter and /var/lib/overwinter of its own, too.
    """

    def __init__(self, case, workers, net, private=False):
        here = f"ow{os.getpid() % 100000}"
        self.case = case
        self.net = net
        self.host = net + ".1"
        self.private = private
        self.workers = [f"w{i + 1}" for i in range(workers)]
        self.names = {name: here + name for name in ("c", *self.workers)}
        case.addCleanup(self.remove)
        for number, name in enumerate(self.names.values()):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            # `ip netns exec` shows these files as those of /etc: to its programs, another machine.
            os.makedirs(f"/etc/netns/{name}")
            with open(f"/etc/netns/{name}/machine-id", "w", encoding="ascii") as f:
                f.write(f"{number + 1:032x}\n")
        hub = self.names["c"]
        ip("-n", hub, "link", "add", "hub", "type", "bridge")
        ip("-n", hub, "addr", "add", self.host + "/24", "dev", "hub")
        ip("-n", hub, "link", "set", "hub", "up")
        for number, name in enumerate(self.workers):
            ip("-n", hub, "link", "add", "to" + name, "type", "veth", "peer", "name", "eth0", "netns", self.names[name])
            ip("-n", hub, "link", "set", "to" + name, "master", "hub", "up")
            ip("-n", self.names[name], "addr", "add", f"{net}.{number + 2}/24", "dev", "eth0")
            ip("-n", self.names[name], "link", "set", "eth0", "up")
        # Only for its folder, environment and clean-up: nothing is brought up here.
        self.cluster = Cluster(workers=0)
        case.addCleanup(self.cluster.close)

    def remove(self):
        for name in self.names.values():
            ip("netns", "del", name, check=False)
            shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)

    def address(self, name):
        return f"{self.net}.{self.workers.index(name) + 2}"

    def within(self, name):
        return ["ip", "netns", "exec", self.names[name]]

    def link(self, name, state):
        ip("-n", self.names["c"], "link", "set", "to" + name, state)

    def pids(self, name):
        """All processes of that machine, by their numbers here."""
        return [int(pid) for pid in ip("netns", "pids", self.names[name]).stdout.split()]

    def programs(self, name, program):
        """Those of them that run `program`."""
        found = []
        for pid in self.pids(name):
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == program:
                    found.append(pid)
            except OSError:
                continue
        return found

    def start(self, where, program, *arguments):
        command = [os.path.join(BIN, program), *arguments]
        if self.private and where != "c":
            shell = ("mkdir -p /run/overwinter /var/lib/overwinter && mount -t tmpfs none /run/overwinter && "
                     "mount -t tmpfs none /var/lib/overwinter && exec \"$@\"")
            command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", shell, "sh",
                       *command]
        return self.cluster.start_program([*self.within(where), *command], self.cluster.path(f"{where}.log"))

    def call(self, *arguments):
        return subprocess.run([*self.within("c"), os.path.join(BIN, "overwinter"), *arguments], env=self.cluster.env,
                              capture_output=True, text=True, cwd=self.cluster.home, timeout=90)

    def command(self, *arguments, code=0):
        done = self.call(*arguments)
        self.case.assertEqual(done.returncode, code, done.stdout + done.stderr + self.logs())
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.command(*arguments, "--format", "json"))

    def logs(self):
        return "\n".join(f"--- {n}\n" + text_of(self.cluster.path(f"{n}.log"))[-6000:] for n in self.names
                         if os.path.exists(self.cluster.path(f"{n}.log")))

    def ready(self):
        return [w for w in self.json("workers", "list")["workers"] if w["state"] == "READY"]

    def serve(self, *options):
        """README, "A second machine": the coordinator's side."""
        c = self.cluster
        data = c.path("coordinator")
        self.start("c", "overwinter-coordinator", "--data-dir", data, "--name", self.host, "--listen-people",
                   self.host + ":7600", "--listen-workers", self.host + ":7602", *options)
        token = os.path.join(data, "admin.token")
        wait_until("the coordinator serves", lambda: os.path.exists(os.path.join(data, "run", "endpoints.json")), 30)
        c.env.update(OVERWINTER_ADDRESS=self.host + ":7600", OVERWINTER_TOKEN=text_of(token).strip(),
                     OVERWINTER_CA=os.path.join(data, "ca", "root.pem"))

    def join(self, *options):
        """Every worker's machine joins, one after the other: each measures its speed, and plans follow from it."""
        c = self.cluster
        self.command("tokens", "create", "--role", "worker", "--uses", str(len(self.workers)), "-o", c.path("join.file"))
        daemons = {}
        for name in self.workers:
            daemons[name] = self.start_worker(name, "--join", c.path("join.file"), "--name", name, *options)
            wait_until(f"{name} is READY", lambda: len(self.ready()) == len(daemons), 30)
        return daemons

    def measure_slowest_again(self, daemons, *options):
        """The daemon of the machine that measured the least speed begins anew: it may have been busy with something else then."""
        speeds = {w["name"].rsplit("/")[-1]: w["devices"][0]["gflopsFp32"] for w in self.ready()}
        slowest = min(speeds, key=speeds.get)
        daemons[slowest].kill()
        daemons[slowest].wait()
        wait_until(f"{slowest} is gone", lambda: len(self.ready()) == len(daemons) - 1, 30)
        daemons[slowest] = self.start_worker(slowest, *options)
        wait_until(f"{slowest} is READY again", lambda: len(self.ready()) == len(daemons), 30)

    def start_worker(self, name, *options):
        return self.start(name, "overwinter-worker", "--data-dir", self.cluster.path(name), *options)
