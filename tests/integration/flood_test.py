"""Floods (TRUST §5, "stands under floods"): a coordinator with a worker, a job and people's calls, and beside them clients
that nobody wants (attackers.py). Measured all the while: its memory, the workers' streams, the job's output, real calls.

`python3 tests/integration/flood_test.py --long`: more of them, for longer, and the times of real calls are bounds too."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import unittest

import raw_http2
import raw_grpc

from harness import Cluster, main, text_of, wait_until

LONG = "--long" in sys.argv
if LONG:
    sys.argv.remove("--long")
SECONDS = 20 if LONG else 2  # of each flood
DESCRIPTORS = 4096 if LONG else 512  # that the coordinator may have
SILENT = 5000 if LONG else 700  # connections, to each port
ADDRESSES = 64 if LONG else 16  # of each attacker: fewer than half of the places that a port has for them
GROWTH_MAX_MIB = 200
WORKERS_QUOTA_MIB = 512  # coordinator/rpc/servers.cpp
P99_MAX_MS = 200  # of a real call; when long
CALL_S = 30
NEW_S = 10
MIB = 1 << 20
TICKS = "i=0; while true; do i=$((i+1)); echo tick $i; read -t 0.2 < <(:) || sleep 0.2; done"


class Attack:
    """attackers.py in a process; told() ends it and says what became of it."""

    def __init__(self, kind, **arguments):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "attackers.py")
        # They would be on other machines: here they must not take the processors from who is attacked.
        self.process = subprocess.Popen(["nice", "-n", "10", sys.executable, program,
                                         json.dumps({"kind": kind, **arguments})],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "begun\n":
            raise AssertionError(f"{kind} did not begin")

    def told(self):
        out, _ = self.process.communicate("", timeout=60)
        return json.loads(out)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Watch:
    """Looks at the coordinator while something happens; a thread for each kind of look."""

    def __init__(self, test):
        self.test, self.ended = test, threading.Event()
        self.call_ms, self.new_ms, self.kept_out, self.failed, self.states = [], [], [], [], set()
        self.rss_mib = 0
        self.threads = [threading.Thread(target=self.until_ended, args=look)
                        for look in ((self.call, 0.01), (self.memory, 0.02), (self.new_client, 0.25), (self.workers, 0.2))]
        for thread in self.threads:
            thread.start()

    def until_ended(self, look, pause_s):
        while not self.ended.wait(pause_s):
            look()

    def timed(self, times, call):
        began = time.monotonic()
        try:
            call()
        except Exception as failed:  # pylint: disable=broad-except
            self.failed.append(f"{type(failed).__name__}: {failed}"[:300])
            return
        times.append((time.monotonic() - began) * 1000)

    def call(self):
        self.timed(self.call_ms, self.test.get_job)

    def memory(self):
        self.rss_mib = max(self.rss_mib, self.test.rss_mib())

    def new_client(self):
        """Somebody new at each port."""
        for port, comes in (("people", self.test.new_person), ("dashboard", self.test.new_viewer),
                            ("workers", self.test.new_worker)):
            began = time.monotonic()
            try:
                comes()
                self.new_ms.append((time.monotonic() - began) * 1000)
            except Exception as failed:  # pylint: disable=broad-except
                self.kept_out.append(f"{port}: {failed}"[:300])

    def workers(self):
        try:
            self.states.update(worker.state for worker in self.test.list_workers(self.test.channel, CALL_S).workers)
        except Exception as failed:  # pylint: disable=broad-except
            self.failed.append(f"workers: {failed}"[:300])

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def p99(times):
    return sorted(times)[len(times) * 99 // 100] if times else float("nan")


class Floods(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2, coordinator_descriptors=DESCRIPTORS).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.pid = cls.cluster.pid("coordinator")
        place = cls.cluster.place()
        cls.people, cls.dashboard = place["grpc"], place["dashboard"].split("//")[1]
        cls.workers_port = raw_grpc.workers_address(cls.cluster)
        cls.token = text_of(place["token_file"]).strip()
        cls.channel = raw_grpc.people(cls.cluster)
        cls.addClassCleanup(cls.channel.close)
        cls.figures = []
        cls.began = time.monotonic()
        cls.begin_job()
        cls.rss_before = cls.rss_mib()

    @classmethod
    def tearDownClass(cls):
        print(f"descriptors {DESCRIPTORS}, memory before {cls.rss_before:.0f} MiB; p99 of real calls in ms, of who came "
              f"new in the middle of it, memory's growth in MiB")
        for name, watch, told in cls.figures:
            print(f"  {name}: calls {len(watch.call_ms)} p99 {p99(watch.call_ms):.0f} most {max(watch.call_ms):.0f}; "
                  f"new {len(watch.new_ms)} of {len(watch.new_ms) + len(watch.kept_out)} p99 {p99(watch.new_ms):.0f} "
                  f"most {max(watch.new_ms, default=0):.0f}; memory {watch.rss_mib - cls.rss_before:+.0f}; "
                  f"{told}")

    @classmethod
    def begin_job(cls):
        os.mkdir(cls.cluster.path("job"))
        path = cls.cluster.path("job/ticks.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"name": "ticks", "workload": {"exec": {"command": TICKS, "launcher": "none"}},
                       "workers": {"min": 1, "max": 1}}, f)
        cls.job = cls.cluster.json("submit", path)["name"]
        wait_until("it ticks", lambda: cls.ticks() > 2)

    # ---- real calls
    @classmethod
    def get_job(cls):
        from overwinter.v1 import job_pb2, job_pb2_grpc
        return job_pb2_grpc.JobServiceStub(cls.channel).GetJob(job_pb2.GetJobRequest(name=cls.job), timeout=CALL_S)

    @staticmethod
    def list_workers(channel, timeout):
        from overwinter.v1 import admin_pb2, admin_pb2_grpc
        return admin_pb2_grpc.AdminServiceStub(channel).ListWorkers(admin_pb2.ListWorkersRequest(), timeout=timeout)

    @classmethod
    def ticks(cls):
        """The number of the last line that the job has printed, as the coordinator knows it."""
        from overwinter.v1 import log_pb2, log_pb2_grpc
        asked = log_pb2.ReadLogsRequest(name=cls.job, tail=1)
        lines = [line.text for answer in log_pb2_grpc.LogServiceStub(cls.channel).ReadLogs(asked, timeout=CALL_S)
                 for line in answer.lines if line.text.startswith("tick ")]
        return int(lines[-1].split()[1]) if lines else 0

    @classmethod
    def rss_mib(cls):
        fields = text_of(f"/proc/{cls.pid}/statm").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / MIB

    def https(self, path, timeout=10, token=None):
        connection = http.client.HTTPSConnection(self.dashboard, context=ssl._create_unverified_context(),
                                                 timeout=timeout)
        try:
            connection.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def metrics(self):
        """Name with labels → value. Asked until somebody answers: a flood may just have ended."""
        def ask():
            try:
                status, text = self.https("/metrics", token=self.token)
                return text if status == 200 else None
            except OSError:
                return None
        text = wait_until("/metrics answers", ask, 60, 0.2)
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                if line and not line.startswith("#")}

    # ---- a flood
    def flood(self, name, *attacks, growth_max_mib=GROWTH_MAX_MIB):
        from overwinter.v1 import admin_pb2
        before, ticks, streams = self.metrics(), self.ticks(), self.streams_begun()
        begun = []
        watch = Watch(self)
        try:
            for kind, arguments in attacks:
                begun.append(Attack(kind, **arguments))
            watch.ended.wait(SECONDS)
            told = [attack.told() for attack in begun]
        finally:
            watch.end()
            for attack in begun:
                attack.kill()
        self.figures.append((name, watch, told))
        self.assertEqual(self.cluster.pid("coordinator"), self.pid, self.cluster.logs())
        self.assertEqual(watch.failed, [], name)
        self.assertLessEqual(watch.rss_mib - self.rss_before, growth_max_mib, name)
        self.assertEqual(watch.kept_out, [], name)
        self.assertEqual(watch.states, {admin_pb2.Worker.READY}, name)
        self.assertGreater(self.ticks(), ticks, "the job goes on")
        self.assertEqual(self.streams_begun(), streams, "no worker had to come back")
        after = self.metrics()
        self.assertEqual(after["overwinter_workers_connected"], 2)
        # The job's own seat is funded anew now and then; attackers bring nothing into the log.
        self.assertLessEqual(after["overwinter_commits_total"] - before["overwinter_commits_total"], 2 + SECONDS, name)
        if LONG:
            self.assertLessEqual(p99(watch.call_ms), P99_MAX_MS, name)
        self.new_person()
        self.new_viewer()
        self.new_worker()
        return before, after, told

    def streams_begun(self):
        logs = [text_of(os.path.join(self.cluster.dir, "log", f"worker-{i}.log")) for i in (1, 2)]
        return sum(log.count("connected to") for log in logs)

    # ---- somebody new, who has to get in at the first try
    def new_person(self):
        with raw_grpc.people(self.cluster) as channel:
            self.list_workers(channel, NEW_S)

    def new_viewer(self):
        status, text = self.https("/metrics", NEW_S, self.token)
        self.assertEqual(status, 200, text)

    def new_worker(self):
        """A renewal without what is to be renewed."""
        from overwinter.v1 import worker_pb2, worker_pb2_grpc
        import grpc
        with raw_grpc.as_worker(self.cluster, os.path.join(self.cluster.dir, "worker-1")) as channel:
            with self.assertRaises(grpc.RpcError) as refused:
                worker_pb2_grpc.WorkerServiceStub(channel).Renew(worker_pb2.RenewRequest(), timeout=NEW_S)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, refused.exception)

    def all_ports(self, behaviour, count):
        return [("Crowd", {"address": address, "behaviour": behaviour, "count": count, "addresses": ADDRESSES})
                for address in (self.people, self.dashboard, self.workers_port)]

    def refused(self, before, after, server, *reasons):
        """How many connections of a port were ended for these reasons."""
        names = [f'overwinter_connections_refused_total{{server="{server}",why="{why}"}}' for why in reasons]
        return sum(after[name] - before[name] for name in names)

    def test_more_silent_connections_than_descriptors(self):
        before, after, told = self.flood("silent, each port", *self.all_ports("Silent", SILENT))
        self.assertGreater(sum(t["most_open"] for t in told), DESCRIPTORS)
        for server in ("people", "workers", "dashboard"):
            self.assertGreater(self.refused(before, after, server, "full", "displaced"), 0, server)

    def test_handshakes_that_never_end(self):
        before, after, told = self.flood("half a handshake, each port", *self.all_ports("Hello", SILENT // 3),
                                         *self.all_ports("HalfHello", SILENT // 3))
        self.assertGreater(sum(t["opened"] for t in told), DESCRIPTORS)
        for server in ("people", "workers", "dashboard"):
            self.assertGreater(self.refused(before, after, server, "full", "displaced", "late"), 0, server)

    def test_slow_clients_of_the_page(self):
        page = {"address": self.dashboard, "count": 500 // 3 + 1, "rate": 400, "addresses": ADDRESSES}
        before, after, told = self.flood("500 slow HTTP clients", *(
            ("Crowd", {"behaviour": b, **page}) for b in ("SlowHeader", "SlowBody", "SlowReader")))
        self.assertGreaterEqual(sum(t["opened"] for t in told), 500)
        self.assertGreater(self.refused(before, after, "dashboard", "full", "displaced", "late", "address"), 0)

    def giants(self, name, size, **how):
        attacks = [("Giant", {"address": self.people, "size": size, **how}),
                   ("Giant", {"address": self.people, "size": size, "token": self.token, **how})]
        told = self.flood(name, *attacks)[2]
        self.assertGreater(min(t["calls"] for t in told), 0, told)
        # Without a token they are cut off soon after they have sent what a first message may have.
        nobody = told[0]
        self.assertLess(nobody["bytes"] / max(1, nobody["connections"]), 16 * MIB, told)

    def test_messages_of_a_gibibyte(self):
        self.giants("1 GiB plain", 1024 * MIB)

    def test_gzip_that_becomes_half_a_gibibyte(self):
        self.giants("512 MiB gzip", 512 * MIB, gzip=True)

    def test_a_workers_certificate_sends_a_gibibyte(self):
        """Not in TRUST's row: a worker is let send more, as many send tiles at once. Bounded all the same, by its quota."""
        current = os.path.join(self.cluster.dir, "worker-1", "identity", "current")
        certificate = [os.path.join(current, "cert.pem"), os.path.join(current, "key.pem")]
        told = self.flood("1 GiB with a worker's certificate", ("Giant", {
            "address": self.workers_port, "size": 1024 * MIB, "certificate": certificate,
            "path": "/overwinter.v1.WorkerService/Renew"}), growth_max_mib=WORKERS_QUOTA_MIB * 1.2)[2]
        self.assertGreater(told[0]["calls"], 0)

    def test_headers_without_end(self):
        # By the library's own bound or by the guard's, whichever sees it first; unit_coordinator_rpc holds the guard to its own.
        told = self.flood("endless headers", ("EndlessHeaders", {"address": self.people}),
                          ("EndlessHttp1Headers", {"address": self.dashboard}))[2]
        for t in told:
            self.assertGreater(t["ended_by_the_other_side"], 0, told)
            self.assertLess(t["bytes"] / t["connections"], 16 * MIB, told)

    def test_a_long_first_message_of_somebody_known_is_let_in(self):
        """The guard knows who it is only when the first message is there: over a slow line too."""
        talk = raw_http2.Http2("127.0.0.1", self.people, None)
        self.addCleanup(talk.close)
        size = 640 * 1024
        talk.begin(1, raw_http2.call_headers("/overwinter.v1.JobService/GetJob", self.token, False))
        talk.socket.sendall(raw_http2.frame(raw_http2.DATA, 0, 1, b"\0" + size.to_bytes(4, "big")))
        left = size
        while left:  # a megabyte a second
            self.assertTrue(talk.take(0.015), "cut off")
            part = min(left, raw_http2.FRAME_MAX, talk.window, talk.streams[1])
            talk.socket.sendall(raw_http2.frame(raw_http2.DATA, int(part == left), 1, bytes(part)))
            talk.window, talk.streams[1], left = talk.window - part, talk.streams[1] - part, left - part
        wait_until("it is answered", lambda: not talk.take(0.1) or 1 not in talk.streams, 20)
        self.assertFalse(talk.over)

    def test_calls_of_nobody(self):
        """Refusals are counted, become few lines of the audit, and no commit."""
        before, after, told = self.flood("calls without a token", ("Giant", {
            "address": self.people, "size": 64, "count": 8}))
        name = 'overwinter_refusals_total{server="people",code="UNAUTHENTICATED"}'
        self.assertGreater(after[name] - before.get(name, 0), 100)
        lines = self.cluster.json("audit", "list", "--refusals", "--limit", 1000)["entries"]
        self.assertLessEqual(len([e for e in lines if e["action"] == "JobService/GetJob"]),
                             10 * (1 + (time.monotonic() - self.began) // 60), lines)


if __name__ == "__main__":
    main()
