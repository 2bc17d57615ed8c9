"""Gangs over Open MPI without a coordinator: real daemons' gang side (gang-host) on one host, real ranks, unprivileged."""

import os
import signal
import time
import unittest

from gang_daemons import (CHECKPOINT, STOP_AFTER_CHECKPOINT, WHY_NOT, Gangs, Host, free_uid, processes_of)
from harness import main, wait_until


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


if __name__ == "__main__":
    main()
