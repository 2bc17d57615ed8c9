"""A full disk on either side, for real: file systems of some hundred MiB in a mount namespace of this test."""

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import unittest

import numpy as np

from harness import SLOW, Cluster, alive, main, relative_error, text_of, wait_until

RNG = np.random.default_rng(23)
CLONE_NEWNS = 0x00020000
MIB = 1024 * 1024
# Ends when it is told to, and leaves a file of 100 MiB.
MAKES = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("I am", os.getpid(), flush=True)
signal.sigwait([signal.SIGUSR1])
with open("big", "wb") as f:
    for _ in range(100):
        f.write(os.urandom(1 << 20))
"""


def own_mounts():
    """Gives this process mounts of its own, which end with it and its children; says why where that is not possible."""
    if os.geteuid() != 0:
        return "a small file system can be mounted by root alone"
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    if subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False).returncode != 0:
        return "mounts cannot be made private"
    return ""


WHY_NOT = own_mounts()


def mount(folder, mebibytes):
    if not os.path.isdir(os.path.dirname(folder)):
        os.mkdir(os.path.dirname(folder), 0o700)
    os.mkdir(folder, 0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "tmpfs", folder], check=True)


def free(folder):
    info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize


@contextlib.contextmanager
def filled(folder):
    """Fills the file system to its last blocks; frees it at the end. It takes a fixed number of them: a process that
    takes whatever comes would take the reserve too that the coordinator gives up meanwhile."""
    ballast = os.path.join(folder, "ballast")
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    wanted = free(folder) - 65536
    for _ in range(20):  # a writer beside us may take of the space that was counted, or give its reserve up
        wanted = min(wanted, free(folder) - 65536)
        with contextlib.suppress(OSError):
            os.posix_fallocate(descriptor, 0, wanted)
            break
    with contextlib.suppress(OSError):
        for _ in range(32):
            os.write(descriptor, b"x" * 4096)
    os.close(descriptor)
    try:
        yield
    finally:
        os.unlink(ballast)


@unittest.skipIf(WHY_NOT, WHY_NOT)
class FullDisk(unittest.TestCase):
    def inputs(self, cluster, m=3000, k=2400, n=2800):
        self.a = RNG.standard_normal((m, k))
        self.b = RNG.standard_normal((k, n))
        cluster.save("A.npy", self.a)
        cluster.save("B.npy", self.b)
        self.new = cluster.save("new.npy", RNG.standard_normal((64, 64)).astype(np.float32))

    def begin(self, cluster):
        process = cluster.start("matmul", cluster.path("A.npy"), cluster.path("B.npy"), "-o", cluster.path("C.npy"))

        def landed():
            done = cluster.call("jobs", "get", "@last", "--format", "json")
            self.assertIsNone(process.poll(), "the job ended before the disk was full; make it longer")
            return done.returncode == 0 and int(json.loads(done.stdout)["progress"]["unitsDone"]) > 0

        wait_until("a tile lands", landed)
        return process

    def right(self, cluster, process):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, out + err + cluster.logs())
        self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), self.a, self.b), 1e-13)

    def refused(self, cluster, *arguments, stdin=None):
        done = cluster.run(*arguments, code=4, stdin=stdin)
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(said), 1, done.stderr)
        self.assertIn("disk", said[0])
        self.assertIn("free", said[0])
        return said[0]

    def test_the_coordinators_disk(self):
        data = []

        def small(cluster):
            data.append(os.path.join(cluster.dir, "coordinator"))
            mount(data[0], 512)

        with Cluster(workers=2, devices=("cpu:memory=16MiB,threads=1",), env=SLOW, prepare=small) as cluster:
            # A result that would fill the disk is refused before anything is stored.
            cluster.save("column.npy", np.ones((8000, 1)))
            cluster.save("row.npy", np.ones((1, 8000)))
            said = self.refused(cluster, "matmul", cluster.path("column.npy"), cluster.path("row.npy"),
                                "-o", cluster.path("D.npy"))
            self.assertIn("a result of 488.3 MiB", said)
            self.assertEqual(cluster.json("jobs", "list")["jobs"], [])

            self.inputs(cluster)
            process = self.begin(cluster)
            pid = cluster.pid("coordinator")
            jobs = [j["name"] for j in cluster.json("jobs", "list")["jobs"]]
            with filled(data[0]):
                self.assertLessEqual(free(data[0]), 64 << 20)  # nothing, or the coordinator's reserve, given up
                wait_until("it is noticed", lambda: cluster.json("status")["diskFull"], 5)
                # Uploads and submits are refused, whichever way they come.
                said = self.refused(cluster, "matmul", self.new, self.new, "-o", cluster.path("D.npy"))
                print(said)
                a, b = cluster.path("A.npy"), cluster.path("B.npy")  # there already: nothing to upload
                self.refused(cluster, "submit", "-", stdin=f"workload: {{matmul: {{a: {a}, b: {b}}}}}")
                self.refused_as_raw_grpc(cluster)
                self.assertEqual([j["name"] for j in cluster.json("jobs", "list")["jobs"]], jobs)
                # What runs goes on to its end, and is downloaded.
                self.right(cluster, process)
                self.assertEqual(cluster.job(jobs[0])["state"], "SUCCEEDED")
                self.assertEqual(cluster.pid("coordinator"), pid)
                self.assertTrue(alive(pid))
            uploads = os.path.join(data[0], "artifacts", "uploads")
            self.assertEqual(os.listdir(uploads), [])
            self.assertEqual([n for n in os.listdir(cluster.home) if ".tmp" in n or n == "D.npy"], [])
            wait_until("there is room again", lambda: not cluster.json("status")["diskFull"], 10)
            cluster.run("matmul", self.new, self.new, "-o", cluster.path("D.npy"), "--quiet")
            x = np.load(self.new)
            self.assertLessEqual(relative_error(np.load(cluster.path("D.npy")), x, x), 1e-5)
            self.assertEqual(cluster.pid("coordinator"), pid)

    def refused_as_raw_grpc(self, cluster):
        import raw_grpc
        with raw_grpc.people(cluster) as channel:
            import grpc
            from overwinter.v1 import job_pb2, job_pb2_grpc
            spec = job_pb2.JobSpec(name="raw")
            spec.matmul.a = spec.matmul.b = "artifact://" + "0" * 64
            with self.assertRaises(grpc.RpcError) as caught:
                job_pb2_grpc.JobServiceStub(channel).SubmitJob(job_pb2.SubmitJobRequest(spec=spec), timeout=20)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, caught.exception.details())
            self.assertIn("disk", caught.exception.details())

    def test_a_cancel_and_a_restart_on_a_full_disk(self):
        data = []

        def small(cluster):
            data.append(os.path.join(cluster.dir, "coordinator"))
            mount(data[0], 512)

        with Cluster(workers=1, devices=("cpu:memory=16MiB,threads=1",), env=SLOW, prepare=small) as cluster:
            self.inputs(cluster)
            process = self.begin(cluster)
            with filled(data[0]):
                cluster.kill("coordinator")
                cluster.up_again()
                wait_until("it is noticed", lambda: cluster.json("status")["diskFull"], 5)
                cluster.run("jobs", "cancel", "@last")
                process.wait(timeout=60)
                self.assertEqual(process.returncode, 1)
            self.assertEqual(cluster.job()["state"], "CANCELLED")

    def test_outputs_wait_for_room_and_say_so(self):
        data = []

        def small(cluster):
            data.append(os.path.join(cluster.dir, "coordinator"))
            mount(data[0], 512)

        with Cluster(workers=1, devices=("cpu:memory=256MiB,threads=1",), prepare=small) as cluster:
            folder = cluster.path("program")
            os.mkdir(folder)
            with open(os.path.join(folder, "make.py"), "w", encoding="utf-8") as f:
                f.write(MAKES)
            job = json.loads(cluster.run("run", "-d", "--format", "json", "--workdir", folder, "--output", "big", "--",
                                         "python3", "make.py").stdout)["name"]

            def logs():
                return cluster.run("logs", job).stdout

            program = int(wait_until("it runs", lambda: re.search("^.*I am ([0-9]+)$", logs(), re.M)).group(1))
            with filled(data[0]):
                wait_until("it is noticed", lambda: cluster.json("status")["diskFull"], 5)
                os.kill(program, signal.SIGUSR1)
                wait_until("it waits", lambda: "wait for room at the coordinator" in logs(), 20)
                self.assertEqual(cluster.job(job)["state"], "RUNNING")
            wait_until("it ends", lambda: cluster.job(job)["state"] == "SUCCEEDED", 30)
            self.assertEqual(logs().count("wait for room"), 1)
            into = cluster.path("results")
            cluster.run("jobs", "download", job, "-o", into)
            self.assertEqual(os.path.getsize(os.path.join(into, "big")), 100 * MIB)

    def test_the_workers_disk(self):
        with Cluster(workers=1, devices=("cpu:memory=16MiB,threads=1",), env=SLOW) as cluster:
            self.inputs(cluster, 2000, 1500, 2000)
            cluster.run("workers", "drain", "worker-1")
            folder, log = cluster.path("small"), cluster.path("small.log")
            mount(folder, 8)
            worker = cluster.start_worker("small", "--join", cluster.join_file(), "--name", "small",
                                          device="cpu:memory=16MiB,threads=1", log=log)
            wait_until("it is READY", lambda: "small" in cluster.machines("READY"))
            with filled(folder):
                process = self.begin(cluster)
                cluster.kill("coordinator")
                cluster.up_again()
                self.right(cluster, process)
                self.assertIsNone(worker.poll())
                said = [line for line in text_of(log).splitlines() if "record of them has a gap" in line]
                self.assertEqual(len(said), 1, text_of(log))
                worker.terminate()
                worker.wait(timeout=30)
                self.assertEqual(worker.returncode, 0)
                # It does not start where it cannot remember that it did.
                again = cluster.start_worker("small")
                out, err = again.communicate(timeout=30)
                self.assertEqual(again.returncode, 2, out + err)
                said = [line for line in err.splitlines() if line.startswith("overwinter-worker: ")]
                self.assertEqual(len(said), 1, err)
                self.assertIn("No space left on device", said[0])
            self.assertEqual([n for n in os.listdir(folder) if "tmp" in n or "ballast" in n], [])
            cluster.start_worker("small", log=log)
            wait_until("it is READY again", lambda: "small" in cluster.machines("READY"))
            self.right(cluster, self.begin(cluster))


if __name__ == "__main__":
    main()
