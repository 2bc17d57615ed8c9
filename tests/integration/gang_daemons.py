"""Daemons' gang side without a coordinator (gang-host), and what is common to the tests of launching over them."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BIN, wait_until

CLUSTER = "gangtest"
HERE = f"og{os.getpid() % 100000}"
STOP_AFTER_CHECKPOINT, STOP_NOW, CHECKPOINT = 1, 2, 3


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=check)


def why_not():
    if shutil.which("mpirun") is None or not os.path.exists(os.path.join(BIN, "overwinter-rank")):
        return "Open MPI is not here"
    if os.geteuid() != 0:
        return "to become another user needs root"
    return ""


def why_no_namespaces():
    if shutil.which("ip") is None:
        return "there is no `ip` (iproute2) here"
    if ip("netns", "add", HERE + "probe", check=False).returncode != 0:
        return "no network namespaces here"
    made = ip("link", "add", HERE + "p", "type", "veth", "peer", "name", HERE + "q", check=False)
    ip("link", "del", HERE + "p", check=False)
    ip("netns", "del", HERE + "probe", check=False)
    return "" if made.returncode == 0 else "no veth pairs here"


WHY_NOT = why_not()
WHY_NO_NAMESPACES = WHY_NOT or why_no_namespaces()


def free_uid():
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(61400 + os.getpid() % 500, 62400) if uid not in taken and not processes_of(uid))


def processes_of(uid):
    """pid → name of the living processes of a user."""
    out = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/status", encoding="ascii", errors="replace") as f:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
            if int(fields["Uid"].split()[0]) == uid and not fields["State"].startswith("Z"):
                out[int(name)] = fields["Name"]
        except (FileNotFoundError, ProcessLookupError, KeyError):
            continue
    return out


class Host:
    """One gang-host and what it said, with the time of each event."""

    def __init__(self, base, worker, prefix=(), setup="true"):
        self.worker = worker
        self.base = base
        self.prefix = prefix
        self.setup = setup
        self.jobs = os.path.join(base, f"jobs-{worker}" if prefix else "jobs", CLUSTER)
        self.sockets = os.path.join(base, f"run-{worker}" if prefix else "run")
        self.start()

    def start(self):
        settings = {"leaf": os.path.join(self.base, "certificates", str(self.worker)), "worker": self.worker,
                    "cluster": CLUSTER, "jobs": os.path.join(self.base, "jobs"),
                    "sockets": os.path.join(self.base, "run"), "bin": os.path.join(self.base, "bin")}
        self.log = open(os.path.join(self.base, f"host-{self.worker}.log"), "a", encoding="utf-8")
        shell = f'{self.setup}; exec "$@"'
        self.process = subprocess.Popen(
            [*self.prefix, "sh", "-c", shell, "sh", os.path.join(BIN, "gang-host"), json.dumps(settings)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1)
        self.events = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read, args=(self.process,), daemon=True)
        self.reader.start()
        self.wait("serving")

    def read(self, process):
        for line in process.stdout:
            event = json.loads(line)
            event["at"] = time.monotonic()
            with self.news:
                self.events.append(event)
                self.news.notify_all()

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")

    def seen(self, kind, **fields):
        with self.news:
            return [e for e in self.events if e["event"] == kind and all(e.get(k) == v for k, v in fields.items())]

    def wait(self, kind, within=30, **fields):
        until = time.monotonic() + within
        with self.news:
            while True:
                for e in self.events:
                    if e["event"] == kind and all(e.get(k) == v for k, v in fields.items()):
                        return e
                left = until - time.monotonic()
                over = kind != "ended" and any(e["event"] == "ended" and e.get("job") == fields.get("job", e["job"])
                                               for e in self.events)
                if left <= 0 or (over and kind == "ready"):
                    raise AssertionError(f"host {self.worker} did not say {kind} {fields} in {within} s\n" + self.story())
                self.news.wait(left)

    def story(self):
        with self.news:
            tail = [e for e in self.events if e["event"] != "progress"][-20:]
        with open(self.log.name, encoding="utf-8") as f:
            return "\n".join(map(str, tail)) + "\n" + "".join(f.readlines()[-40:])

    def left(self):
        return [name for folder in (self.jobs, self.sockets) if os.path.isdir(folder) for name in os.listdir(folder)]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.shut()

    def shut(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.reader.join()
        self.shut()


class Gangs(unittest.TestCase):
    port = 7750 + os.getpid() % 100

    def setUp(self):
        self.base = tempfile.mkdtemp(prefix="ow-gang-")
        self.addCleanup(shutil.rmtree, self.base, ignore_errors=True)
        os.chmod(self.base, 0o711)
        os.mkdir(os.path.join(self.base, "bin"), 0o755)
        for program in ("overwinter-rank", "overwinter-launch-agent"):
            shutil.copy(os.path.join(BIN, program), os.path.join(self.base, "bin"))
        subprocess.run([os.path.join(BIN, "gang-host"), "--certificates", os.path.join(self.base, "certificates"), CLUSTER,
                        "1", "2", "3", "4"], check=True)
        self.uid = free_uid()
        self.hosts = []
        self.addCleanup(lambda: [host.close() for host in reversed(self.hosts)])

    def order(self, hosts, slots, job=1, attempt=1, uid=None, port=0, **more):
        """Tells every host of a gang; the last ones first, as a launch has to be announced before it is asked for."""
        tokens = ["", *(os.urandom(16).hex() for _ in hosts[1:])]
        for i in reversed(range(len(hosts))):
            layout = [{"mpi": self.address(h), "peer": self.peer(h), "worker": h.worker, "slots": n,
                       "token": tokens[k] if i in (0, k) else ""} for k, (h, n) in enumerate(zip(hosts, slots))]
            hosts[i].tell(start={"job": job, "attempt": attempt, "hosts": layout, "self": i, "network": self.network,
                                 "oob_port": self.port + port, "uid": uid or self.uid, **more})
        self.begun = time.monotonic()
        for host in hosts:
            answer = host.wait("start")
            self.assertTrue(answer["ok"], answer["message"])
        return layout

    def ready(self, hosts, slots, within=40, **which):
        rank = 0
        last = 0
        self.pids = {}
        for host, n in zip(hosts, slots):
            for _ in range(n):
                event = host.wait("ready", within, rank=rank, **which)
                self.pids[rank] = event["pid"]
                last = max(last, event["at"])
                rank += 1
        return last - self.begun

    def nothing_left(self, *hosts, uid=None):
        uid = uid or self.uid
        wait_until("no process is left", lambda: not processes_of(uid), 5)
        for host in hosts:
            self.assertEqual(host.left(), [], f"host {host.worker}")

    def figure(self, what, seconds):
        print(f"  {what}: {seconds:.2f} s", flush=True)
