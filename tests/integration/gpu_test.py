"""GPUs through the whole house: found by the driver's library (here tests/fake_nvml, which answers from a file), offered by
a worker, asked for by kind and count, told to programs by UUID, their memory watched."""

import os
import tempfile
import unittest

from harness import BIN, Cluster, alive, main, text_of, wait_until

MIB = 1 << 20
GIB = 1 << 30
FAKE = os.path.join(BIN, "fake-nvml")


class Gpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(os.path.join(FAKE, "libnvidia-ml.so.1")):
            raise unittest.SkipTest(f"no {FAKE}: these programs were built without tests")
        folder = tempfile.TemporaryDirectory(prefix="overwinter-gpus-")
        cls.addClassCleanup(folder.cleanup)
        cls.state = os.path.join(folder.name, "nvml")
        cls.uuids = [f"GPU-{os.getpid()}-{i}" for i in range(2)]
        cls.say()
        cls.cluster = Cluster(workers=1, devices=("cpu:memory=512MiB,threads=1", "gpu"), env={
            "LD_LIBRARY_PATH": FAKE, "OVERWINTER_FAKE_NVML": cls.state}).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.worker = next(iter(cls.cluster.machines().values()))
        if cls.worker["noExec"]:
            cls.cluster.close()
            raise unittest.SkipTest("this machine runs no programs of users: " + cls.worker["noExec"])

    @classmethod
    def say(cls, used=0, processes=()):
        """What the driver tells from now on; `used`: of the first GPU."""
        with open(cls.state + ".next", "w", encoding="ascii") as f:
            f.write("init 0\n")
            for i, (uuid, use) in enumerate(zip(cls.uuids, (used, 0))):
                f.write(f"gpu {uuid} {80 * GIB} {use} {GIB} 0 {i} 00000000:0{i + 1}:00.0 NVIDIA H100 80GB HBM3\n")
            for pid, size in processes:
                f.write(f"process {cls.uuids[0]} {pid} {size}\n")
        os.replace(cls.state + ".next", cls.state)

    def call(self, *arguments, code=0):
        folder = self.cluster.path("empty")
        os.makedirs(folder, exist_ok=True)
        done = self.cluster.call("run", "--workdir", folder, *arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr + self.cluster.logs())
        return done

    def test_a_worker_offers_every_gpu_that_is_found(self):
        kinds = [d["kind"] for d in self.worker["devices"]]
        self.assertEqual(kinds, ["cpu", "H100", "H100"])
        for device, uuid in zip(self.worker["devices"][1:], self.uuids):
            self.assertEqual(device["uuid"], uuid)
            self.assertEqual(device["model"], "NVIDIA H100 80GB HBM3")
            self.assertEqual(int(device["memoryBytes"]), 79 * GIB)
            self.assertEqual(int(device["memoryTotalBytes"]), 80 * GIB)
            self.assertGreater(int(device["hostMemoryBytes"]), 0)
        shown = self.cluster.run("workers", "get", "worker-1").stdout
        self.assertIn(self.uuids[1], shown)
        self.assertIn("GPUs by ", shown)

    def test_another_worker_of_the_machine_does_not_offer_them_too(self):
        log = self.cluster.path("second.log")
        join = self.cluster.join_file("second.join")
        second = self.cluster.start_worker("second", "--join", join, device="gpu", log=log)
        self.assertEqual(second.wait(30), 2)
        self.assertIn("another worker of this machine offers", text_of(log))
        # One that is told nothing takes what is there and free: the join file has not been used up.
        third = self.cluster.start_program([os.path.join(BIN, "overwinter-worker"), "--data-dir",
                                            self.cluster.path("third"), "--join", join, "--name", "third"])
        worker = wait_until("the third joins", lambda: self.cluster.machines("READY").get("third"))
        self.assertEqual([d["kind"] for d in worker["devices"]], ["cpu"])
        third.terminate()
        third.wait(30)
        self.cluster.run("workers", "remove", "third")

    def test_a_program_is_told_which_are_its(self):
        script = "echo seen=$CUDA_VISIBLE_DEVICES by $CUDA_DEVICE_ORDER of $LOCAL_WORLD_SIZE"
        for device, seen in (("H100:2", ",".join(self.uuids)), ("80GB", self.uuids[0]), ("gpu", self.uuids[0]),
                             ("cpu", ""), ("any", "")):
            done = self.call("--device", device, "--", "bash", "-c", script)
            count = 2 if device.endswith(":2") else 1
            self.assertIn(f"seen={seen} by PCI_BUS_ID of {count}\n", done.stdout, device)

    def test_what_no_worker_has_waits_and_says_so(self):
        folder = self.cluster.path("empty")
        os.makedirs(folder, exist_ok=True)
        self.cluster.run("run", "-d", "--workdir", folder, "--device", "A100", "--", "true")
        told = self.cluster.run("jobs", "explain", "@last").stdout
        self.assertIn("A100", told)
        self.cluster.run("jobs", "cancel", "@last")

    def test_training_on_one_is_refused_in_one_sentence(self):
        with open(self.cluster.path("text.txt"), "w", encoding="ascii") as f:
            f.write("some words of text " * 500)
        with open(self.cluster.path("job.yaml"), "w", encoding="ascii") as f:
            f.write("workload:\n  train:\n    model: { gpt: { layers: 1, heads: 2, width: 16, context: 16 } }\n"
                    "    data: { text: [text.txt] }\n    batch_size: 2\n    steps: 2\nworkers: { device: gpu }\n")
        done = self.cluster.run("submit", self.cluster.path("job.yaml"), code=2)
        self.assertIn("training on GPUs comes with a later release", done.stderr)

    def test_one_over_its_memory_is_ended_with_the_numbers(self):
        for launcher in ("env", "mpi"):
            with self.subTest(launcher=launcher):
                self.over_its_memory(launcher)

    def over_its_memory(self, launcher):
        path = self.cluster.path("greedy.yaml")
        os.makedirs(self.cluster.path("empty"), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write("workload:\n  exec:\n    command: 'echo seen $CUDA_VISIBLE_DEVICES pid $$; sleep 1000'\n"
                    f"    launcher: {launcher}\n    workdir: empty\n"
                    "workers: { device: 'gpu:2' }\nmemory_per_device: 1GiB\nretries: 0\n")
        self.cluster.run("submit", path)

        def told():
            words = self.cluster.call("logs", "@last").stdout.replace("\n", " ").split()
            pids = [int(words[i + 1]) for i, word in enumerate(words) if word == "pid"]
            return pids if len(pids) == 2 and words.count(",".join(self.uuids)) == 2 else None

        def peaks():
            return text_of(os.path.join(self.cluster.dir, "log", "worker-1.log")).count("peak 2.0 GiB")

        before = peaks()
        pids = wait_until("both ranks run and see both", told, 60, 0.2)
        self.addCleanup(self.say)
        self.say(2 * GIB, [(pids[1], 2 * GIB)])
        job = wait_until("it is ended", lambda: (lambda j: j if j["state"] == "FAILED" else None)(self.cluster.job()), 60)
        self.assertIn(f"ended for its memory on the H100 {self.uuids[0]}: 2.0 GiB of 1.0 GiB allowed",
                      job["stateReason"])
        self.assertFalse(any(map(alive, pids)))
        wait_until("its peak is told", lambda: peaks() > before, 20)
        self.say()


if __name__ == "__main__":
    main()
