"""Gangs over Open MPI without a coordinator: real daemons' gang side (gang-host), real ranks, unprivileged.
First on one host, then on three, each in network and mount namespaces of its own."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BIN, main, wait_until

CLUSTER = "gangtest"
HERE = f"og{os.getpid() % 100000}"
NET = "10.83.0"
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


@unittest.skipIf(WHY_NOT, WHY_NOT)
class OneHost(Gangs):
    network = "127.0.0.0/8"

    def setUp(self):
        super().setUp()
        self.host = Host(self.base, 1)
        self.hosts.append(self.host)

    def address(self, _):
        return "127.0.0.1"

    def peer(self, _):
        return "127.0.0.1:7610"

    def test_runs_to_its_end_unprivileged_in_a_directory_of_its_own(self):
        self.order([self.host], [2], steps=20, elements=600000)
        self.figure("2 ranks on one host: order to ready", self.ready([self.host], [2]))
        for pid in self.pids.values():
            self.assertIn(pid, processes_of(self.uid))
        folder = os.path.join(self.host.jobs, "1-1")
        self.assertEqual((os.stat(folder).st_uid, os.stat(folder).st_mode & 0o777), (self.uid, 0o700))
        ended = self.host.wait("ended")
        self.assertEqual((ended["fault"]["kind"], ended["clean"]), ("none", True), self.host.story())
        for rank in (0, 1):
            steps = [e["step"] for e in self.host.seen("progress", rank=rank)]
            self.assertEqual(steps, list(range(1, 21)))
        self.nothing_left(self.host)

    def test_checkpoints_in_passing_and_stops_behind_one(self):
        self.order([self.host], [2], steps=100000, step_ms=5)
        self.ready([self.host], [2])
        self.host.tell(ask=CHECKPOINT, job=1, attempt=1)
        first = [self.host.wait("checkpoint", rank=rank) for rank in (0, 1)]
        self.assertEqual(first[0]["step"], first[1]["step"])
        self.host.tell(ask=STOP_AFTER_CHECKPOINT, job=1, attempt=1)
        ended = self.host.wait("ended")
        self.assertEqual((ended["fault"]["kind"], ended["clean"]), ("none", True), self.host.story())
        last = [self.host.seen("checkpoint", rank=rank)[-1]["step"] for rank in (0, 1)]
        self.assertEqual(last[0], last[1])
        self.assertEqual(last[0], self.host.seen("progress", rank=0)[-1]["step"])
        self.assertGreater(last[0], first[0]["step"])
        self.nothing_left(self.host)

    def test_two_gangs_at_once_and_one_is_ended(self):
        other = free_uid() + 1
        self.order([self.host], [2], steps=100000, step_ms=5)
        self.order([self.host], [2], job=2, uid=other, port=1, steps=30, step_ms=5)
        self.assertEqual(self.host.wait("ended", job=2)["fault"]["kind"], "none", self.host.story())
        self.ready([self.host], [2], job=1)
        self.assertEqual(self.host.seen("ended", job=1), [])
        self.nothing_left(uid=other)
        asked = time.monotonic()
        self.host.tell(end_ms=3000, job=1, attempt=1)
        ended = self.host.wait("ended", job=1)
        self.figure("asked to end, and gone", ended["at"] - asked)
        self.assertEqual((ended["fault"]["kind"], ended["clean"]), ("none", False))
        self.nothing_left(self.host)

    def test_a_rank_that_is_killed_is_named_with_its_signal(self):
        self.order([self.host], [3], steps=100000, step_ms=5)
        self.ready([self.host], [3])
        os.kill(self.pids[2], signal.SIGKILL)
        at = time.monotonic()
        ended = self.host.wait("ended")
        self.figure("rank killed, gang gone", ended["at"] - at)
        fault = ended["fault"]
        self.assertEqual((fault["kind"], fault.get("rank"), fault.get("signal")), ("rank_killed", 2, 9), self.host.story())
        self.assertIn("signal 9 (Killed)", fault["message"])
        self.nothing_left(self.host)

    def test_mpirun_that_is_killed_takes_everything_with_it(self):
        self.order([self.host], [2], steps=100000, step_ms=5)
        self.ready([self.host], [2])
        os.kill(next(pid for pid, name in processes_of(self.uid).items() if name == "mpirun"), signal.SIGKILL)
        ended = self.host.wait("ended", 5)
        self.assertEqual(ended["fault"]["kind"], "launcher_killed", self.host.story())
        self.nothing_left(self.host)

    def test_a_keeper_that_is_killed_is_named_and_leaves_nothing(self):
        self.order([self.host], [2], steps=100000, step_ms=5)
        self.ready([self.host], [2])
        mpirun = next(pid for pid, name in processes_of(self.uid).items() if name == "mpirun")
        with open(f"/proc/{mpirun}/stat", encoding="ascii") as f:
            keeper = int(f.read().rsplit(")", 1)[1].split()[1])
        os.kill(keeper, signal.SIGKILL)
        ended = self.host.wait("ended", 5)
        self.assertEqual(ended["fault"]["kind"], "launcher_killed", self.host.story())
        self.assertIn("keeps a gang's processes", ended["fault"]["message"])
        self.nothing_left(self.host)

    def test_a_daemon_that_is_killed_leaves_no_process_and_the_next_one_no_folder(self):
        self.order([self.host], [2], steps=100000, step_ms=5)
        self.ready([self.host], [2])
        os.kill(self.pids[1], signal.SIGSTOP)  # would not notice by itself
        self.host.kill()
        wait_until("its ranks are gone", lambda: not processes_of(self.uid), 5)
        self.assertNotEqual(self.host.left(), [])
        self.host.start()
        self.nothing_left(self.host)

    def test_a_rank_program_that_is_not_there(self):
        os.remove(os.path.join(self.base, "bin", "overwinter-rank"))
        self.order([self.host], [2])
        ended = self.host.wait("ended")
        self.assertEqual(ended["fault"]["kind"], "launcher_failed", self.host.story())
        self.nothing_left(self.host)

    def test_what_no_gang_can_be_is_refused(self):
        hosts = [{"mpi": "127.0.0.1", "peer": "x", "worker": 1, "slots": 1}]
        good = {"job": 1, "attempt": 1, "hosts": hosts, "self": 0, "network": self.network, "oob_port": self.port,
                "uid": self.uid}
        for wrong, why in (({"network": "10.0.0.0/40"}, "no IPv4 network"), ({"attempt": 0}, "needs a job"),
                           ({"hosts": hosts * 2}, "have the address"),
                           ({"hosts": [{**hosts[0], "mpi": "localhost"}]}, "no IPv4 address"),
                           ({"hosts": [{**hosts[0], "slots": 5000}]}, "ranks")):
            self.host.events.clear()
            self.host.tell(start={**good, **wrong})
            answer = self.host.wait("start")
            self.assertFalse(answer["ok"], wrong)
            self.assertIn(why, answer["message"])


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
