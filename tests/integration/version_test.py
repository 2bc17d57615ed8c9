"""A worker two minor versions away: one sentence with both versions on both sides, exit code 4, no second try."""

import os
import re
import unittest

import raw_grpc
from harness import Cluster, alive, main, text_of, wait_until

SENTENCE = r"worker version (\S+) and coordinator version (\S+) are more than one minor version apart"


class Versions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        major, minor, _ = cls.cluster.json("version")["client"].split(".")
        cls.next = f"{major}.{int(minor) + 1}.0"
        cls.too_new = f"{major}.{int(minor) + 2}.0"

    def coordinator_says(self):
        log = text_of(os.path.join(self.cluster.dir, "log", "coordinator.log"))
        return [line for line in log.splitlines() if re.search(SENTENCE, line)]

    def start(self, name, version, *options):
        return self.cluster.start_worker(name, *options, "--test-version", version, program="overwinter-worker-test")

    def refused(self, process):
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 4, out + err)
        said = [line for line in err.splitlines() if re.search(SENTENCE, line)]
        self.assertEqual(len(said), 1, err)
        self.assertIn(self.too_new, said[0])
        self.assertIn("upgrade the older one", said[0])

    def test_each_program_says_its_version(self):
        said = [self.cluster.run(*words).stdout for words in (["--version"], ["version"])]
        self.assertEqual(said[0], said[1])
        self.assertRegex(said[0], r"^overwinter \d+\.\d+\.\d+\n$")

    def test_one_version_apart_works_two_apart_does_not(self):
        c = self.cluster
        near = self.start("near", self.next, "--join", c.join_file("near.join"), "--name", "near")
        wait_until("the next version is READY", lambda: "near" in c.machines("READY"))
        self.assertEqual(c.json("workers", "get", "near")["version"], self.next)
        near.terminate()
        near.wait(timeout=30)
        # The same machine after an upgrade that was too far.
        before = len(self.coordinator_says())
        self.refused(self.start("near", self.too_new))
        said = self.coordinator_says()[before:]
        self.assertEqual(len(said), 1, said)  # it did not try again
        self.assertIn(self.too_new, said[0])

    def test_joining_is_refused_and_uses_nothing_up(self):
        c = self.cluster
        file = c.join_file("far.join")
        self.refused(self.start("far", self.too_new, "--join", file, "--name", "far"))
        self.assertNotIn("far", c.machines())
        good = self.start("far", self.next, "--join", file, "--name", "far")
        wait_until("the file still lets one in", lambda: "far" in c.machines("READY"))
        self.assertTrue(alive(good.pid))

    def test_raw_grpc_gets_the_same_sentence(self):
        import grpc
        c = self.cluster
        folder = os.path.join(c.dir, "worker-1")
        with raw_grpc.as_worker(c, folder) as channel:
            from overwinter.v1 import worker_pb2, worker_pb2_grpc
            hello = worker_pb2.WorkerMessage(hello=worker_pb2.Hello(incarnation=1, version=self.too_new, host_id="x"))
            stub = worker_pb2_grpc.WorkerServiceStub(channel)
            for messages, code in (([hello], grpc.StatusCode.FAILED_PRECONDITION),
                                   ([], grpc.StatusCode.OK),
                                   ([worker_pb2.WorkerMessage(heartbeat=worker_pb2.Heartbeat())],
                                    grpc.StatusCode.INVALID_ARGUMENT)):
                call = stub.Connect(iter([worker_pb2.ConnectRequest(messages=messages)]), timeout=20)
                if code == grpc.StatusCode.OK:
                    self.assertEqual(list(call), [])
                    continue
                with self.assertRaises(grpc.RpcError) as caught:
                    list(call)
                self.assertEqual(caught.exception.code(), code, caught.exception.details())
                if code == grpc.StatusCode.FAILED_PRECONDITION:
                    self.assertRegex(caught.exception.details(), SENTENCE)
        with raw_grpc.as_joiner(c, c.join_file("raw.join")) as channel:
            from overwinter.v1 import worker_pb2, worker_pb2_grpc
            with self.assertRaises(grpc.RpcError) as caught:
                worker_pb2_grpc.WorkerServiceStub(channel).Join(worker_pb2.JoinRequest(version=self.too_new), timeout=20)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
            self.assertRegex(caught.exception.details(), SENTENCE)
        self.assertEqual(list(c.machines("READY")).count("worker-1"), 1)  # nothing of it touched the real one


if __name__ == "__main__":
    main()
