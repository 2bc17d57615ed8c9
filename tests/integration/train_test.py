"""Trainings through the whole house: submitted as a file, planned, trained by a gang of two workers, killed in every part,
paused and resumed to the same bits, billed, their weights read back by a reader of this file."""

import itertools
import json
import math
import os
import re
import signal
import struct
import unittest

import numpy as np

from bill_test import PER_HOUR, micros, used_ms
from harness import SOURCE, Cluster, alive, children, main, wait_until

WORDS = "winter over the snow melts and birds sing; a lake is ice.".split()


def program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def some_text(count, seed=3):
    """Bytes with structure: words of a small vocabulary."""
    random = np.random.RandomState(seed)
    return " ".join(WORDS[i] for i in random.randint(0, len(WORDS), count)).encode()[:count]


def read_safetensors(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        body = f.read()
    head.pop("__metadata__", None)
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], "<f4").reshape(t["shape"]) for name, t in head.items()}


def gpt(steps, every, **more):
    spec = {
        "name": "words",
        "workload": {"train": {
            "model": {"gpt": {"layers": 2, "heads": 2, "width": 32, "context": 32, "vocabulary": "bytes"}},
            "data": {"text": ["words.txt"], "validation_fraction": 0.1},
            "optimizer": {"adamw": {"learning_rate": 3e-3, "warmup_steps": 20, "schedule": "cosine"}},
            "batch_size": 8, "steps": steps, "seed": 5}},
        "workers": {"min": 2, "max": 2}, "transport": "gang", "checkpoint": {"every": f"{every} steps", "keep": 3},
    }
    spec.update(more)
    return spec


class Train(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        with open(cls.cluster.path("words.txt"), "wb") as f:
            f.write(some_text(40_000))
        with open(cls.cluster.path("prices.yaml"), "w", encoding="utf-8") as f:
            f.write(f"currency: USD\nprices:\n  - {{ from: 2026-01-01, device: cpu, per_hour: {PER_HOUR} }}\n")
        cls.cluster.run("prices", "set", cls.cluster.path("prices.yaml"))

    def ranks(self):
        """Pids of the ranks that its workers run now."""
        below = set().union(*(children(self.cluster.pid(f"worker-{i}")) for i in (1, 2)))
        return {pid for pid in below if program(pid) == "overwinter-rank"}

    def write(self, spec, name="job.json"):
        with open(self.cluster.path(name), "w", encoding="utf-8") as f:
            json.dump(spec, f)
        return self.cluster.path(name)

    def submit(self, spec):
        return self.cluster.json("submit", self.write(spec))["name"]

    def step(self, job):
        found = self.cluster.job(job)
        self.assertNotIn(found["state"], ("FAILED", "CANCELLED", "PAUSED"), found["stateReason"])
        return int(found["progress"]["step"])

    def end_of(self, job, state="SUCCEEDED"):
        found = wait_until(f"{job} ends", lambda: (lambda j: j if j["state"] in (
            "SUCCEEDED", "FAILED", "CANCELLED") else None)(self.cluster.job(job)), 120, 0.2)
        self.assertEqual(found["state"], state, found["stateReason"] + self.cluster.logs())
        return found

    def weights(self, checkpoint, name):
        self.cluster.run("checkpoints", "get", checkpoint, "-o", self.cluster.path(name))
        return read_safetensors(self.cluster.path(name))

    def test_killed_in_every_part(self):
        job = self.submit(gpt(2400, 100))
        own = wait_until("it trains", lambda: self.ranks() if self.step(job) > 150 else None, 60)
        os.kill(sorted(own)[-1], signal.SIGKILL)
        wait_until("its second attempt trains", lambda: self.cluster.job(job)["attempt"] == 2 and self.step(job) > 350, 60)
        self.cluster.kill("coordinator")
        self.cluster.up_again()
        wait_until("it went on meanwhile", lambda: self.step(job) > 500, 60)
        self.assertEqual(self.cluster.job(job)["attempt"], 2)
        self.cluster.kill("worker-2")
        self.cluster.up_again()
        found = self.end_of(job)
        self.assertEqual(found["attempt"], 3, found["attempts"])
        first, second = found["attempts"]
        self.assertEqual((first["number"], first["signal"]), (1, 9), first)
        self.assertRegex(first["reason"], r"^rank [01] .*signal 9")
        self.assertEqual(second["number"], 2)
        self.assertLess(found["progress"]["loss"], 2.5)
        self.assertLess(found["progress"]["validationLoss"], 2.5)
        wasted = int(found["cost"]["wasted"]["amountMicros"])
        charged = int(found["cost"]["charged"]["amountMicros"])
        self.assertTrue(0 < wasted < charged, (wasted, charged))
        self.check_bill(found, charged)
        model = self.weights(job.rsplit("/", 1)[1] + "@2400", "model.safetensors")
        self.check_the_lines_of_the_readme(model)
        self.assertEqual(model["wte.weight"].shape, (256, 32))
        self.assertTrue(all(np.isfinite(t).all() for t in model.values()))
        self.assertFalse([pid for pid in own if alive(pid)])
        logs = self.cluster.run("logs", job).stdout
        self.assertRegex(logs, r"step 2400 of 2400, loss \d\.\d{4}, learning rate .*, validation loss \d\.\d{4}, \d+ tokens")
        self.assertIn("checkpoint of step 2400 is stored", logs)

    def check_the_lines_of_the_readme(self, model):
        """They load what `get` wrote: NumPy arrays, and so PyTorch's tensors."""
        with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
            lines, = re.findall(r"```python\n(.*?)```", f.read(), re.S)
        names = {}
        here = os.getcwd()
        os.chdir(self.cluster.home)
        try:
            exec(lines, names)  # pylint: disable=exec-used
        finally:
            os.chdir(here)
        self.assertEqual(sorted(names["weights"]), sorted(model))
        for name, tensor in model.items():
            self.assertTrue(np.array_equal(names["weights"][name], tensor), name)
        try:
            import torch
        except ImportError:
            return
        embedding = torch.from_numpy(names["weights"]["wte.weight"].copy())
        self.assertEqual(tuple(embedding.shape), (256, 32))
        self.assertTrue(bool(torch.isfinite(embedding).all()))

    def check_bill(self, found, charged):
        """The bill is what Python makes of the workers' own records of this job's seats."""
        seats = {}
        for records in self.cluster.worker_records().values():
            own = {r["seat"] for r in records if r["record"] == "began" and r["job"] == found["name"]}
            seats.update({seat: uses for seat, uses in used_ms(records).items() if seat in own})
        self.assertEqual(len(seats), 6, seats)
        possible = {micros(sum(uses)) for uses in itertools.product(*seats.values())}
        self.assertIn(charged, possible, json.dumps({s: sorted(u) for s, u in seats.items()}))

    def test_paused_and_resumed_to_the_same_bits(self):
        whole = self.submit(gpt(1500, 500))
        self.end_of(whole)
        job = self.submit(gpt(1500, 500))
        wait_until("it trains", lambda: self.step(job) > 60, 60)
        self.cluster.run("jobs", "pause", job)
        paused = wait_until("it is paused", lambda: (lambda j: j if j["state"] == "PAUSED" else None)(self.cluster.job(job)))
        self.assertEqual(paused["progress"]["checkpointStep"], paused["progress"]["step"])
        self.assertEqual(int(paused["cost"]["wasted"]["amountMicros"]), 0)
        self.cluster.run("jobs", "resume", job)
        self.end_of(job)
        a, b = (self.weights(name.rsplit("/", 1)[1], "w.safetensors") for name in (whole, job))
        self.assertEqual(sorted(a), sorted(b))
        for name, tensor in a.items():
            self.assertEqual(tensor.tobytes(), b[name].tobytes(), name)

    def test_in_16_bits_as_in_32(self):
        """Planned by the files that are here, trained to the end; an fp16's scale comes back with its checkpoint."""
        losses = {}
        for precision, activations in (("fp32", "kept"), ("bf16", "recomputed"), ("fp16", "kept")):
            spec = gpt(600, 300)
            spec["workload"]["train"].update(precision=precision, activations=activations)
            decided = f"precision {precision}, activations {activations}"
            self.assertIn(decided, self.cluster.run("plan", self.write(spec)).stdout)
            job = self.submit(spec)
            self.assertIn(decided, self.cluster.run("jobs", "get", job).stdout)
            if precision == "fp16":
                wait_until("it trains", lambda job=job: self.step(job) > 60, 60)
                self.cluster.run("jobs", "pause", job)
                wait_until("it is paused", lambda job=job: self.cluster.job(job)["state"] == "PAUSED")
                self.cluster.run("jobs", "resume", job)
            found = self.end_of(job)
            self.assertEqual(found["progress"]["checkpointStep"], "600")
            self.assertEqual({t.dtype for t in self.weights(job.rsplit("/", 1)[1], "w.safetensors").values()}, {np.dtype("f4")})
            losses[precision] = found["progress"]["validationLoss"]
        self.assertAlmostEqual(losses["bf16"], losses["fp32"], delta=0.1)
        self.assertAlmostEqual(losses["fp16"], losses["fp32"], delta=0.1)

    def test_begun_from_another_s_weights(self):
        first = self.submit(gpt(200, 100))
        loss = self.end_of(first)["progress"]["validationLoss"]
        spec = gpt(1, 100)
        spec["workload"]["train"]["init_from"] = first.rsplit("/", 1)[1] + "@200"
        spec["workload"]["train"]["optimizer"] = {"adamw": {"learning_rate": 1e-9}}
        again = self.end_of(self.submit(spec))["progress"]["validationLoss"]
        self.assertAlmostEqual(loss, again, 4)
        spec["workload"]["train"]["model"]["gpt"]["width"] = 64
        failed = self.end_of(self.submit(spec), "FAILED")
        self.assertRegex(failed["stateReason"], r"(wte|wpe|h\.0).*\b32\b.*\b64\b|\b64\b.*\b32\b")

    def test_tables(self):
        random = np.random.default_rng(1)
        x = random.standard_normal((500, 6)).astype("f4")
        y = (x @ random.standard_normal((6, 1)) > 0).astype("i8")
        self.cluster.save("x.npy", x)
        self.cluster.save("y.npy", y)
        with open(self.cluster.path("t.csv"), "w", encoding="ascii") as f:
            f.write("a,b,c,d,e,f,label\n" + "".join(
                ",".join(f"{v:.6f}" for v in row) + f",{int(k[0])}\n" for row, k in zip(x, y)))
        for model, data in (({"mlp": {"layers": [6, 16, 2]}}, {"npy": {"x": "x.npy", "y": "y.npy"}}),
                            ({"logistic": {}}, {"csv": {"path": "t.csv", "target": "label"}})):
            with self.subTest(model=model):
                spec = gpt(150, 100)
                spec["workload"]["train"]["optimizer"] = {"adamw": {"learning_rate": 3e-2}}
                spec["workload"]["train"].update(model=model, data=dict(data, validation_fraction=0.2), batch_size=16)
                found = self.end_of(self.submit(spec))
                self.assertLess(found["progress"]["validationLoss"], 0.5 * math.log(2))

    def test_a_loss_that_is_no_number_fails_at_once(self):
        spec = gpt(5000, 1000)
        spec["workload"]["train"]["optimizer"] = {"sgd": {"learning_rate": 1000}}
        job = self.submit(spec)
        found = self.end_of(job, "FAILED")
        self.assertRegex(found["stateReason"], r"Step \d+: the loss is nan.*wte\.weight")
        self.assertEqual(found["attempt"], 1)
        told = self.cluster.json("jobs", "explain", job)
        self.assertEqual(told["summary"], found["stateReason"])
        self.assertEqual(told["failure"]["number"], found["attempt"])
        self.assertIn("--tail 100", " ".join(told["commands"]))

    def test_data_that_are_no_numbers_fail_at_once_and_keep_the_last_checkpoint(self):
        x = np.random.default_rng(2).standard_normal((20000, 6)).astype("f4")
        x[3210, 4] = np.nan
        self.cluster.save("nan_x.npy", x)
        self.cluster.save("nan_y.npy", x[:, :1] * 0)
        spec = gpt(1500, 50)
        spec["workload"]["train"].update(model={"mlp": {"layers": [6, 512, 512, 1]}}, batch_size=16,
                                         data={"npy": {"x": "nan_x.npy", "y": "nan_y.npy"}})
        job = self.submit(spec)
        found = self.end_of(job, "FAILED")
        said = re.match(r"Step (\d+): Row 3210, column 4 of x .* is no finite number.* would end so again", found["stateReason"])
        self.assertTrue(said, found["stateReason"])
        self.assertEqual(found["attempt"], 1)
        # Of the first pass, in an order that the seed alone decides.
        step, kept = int(said[1]), int(found["progress"]["checkpointStep"])
        self.assertLessEqual(step, 1250)
        self.assertTrue(50 <= kept < step and kept % 50 == 0, (kept, step))
        weights = self.weights(job.rsplit("/", 1)[1], "nan.safetensors")
        self.assertTrue(all(np.isfinite(w).all() for w in weights.values()))

    def test_what_cannot_be(self):
        def refused(change, *said):
            spec = gpt(100, 100)
            change(spec["workload"]["train"])
            done = self.cluster.call("submit", self.write(spec))
            self.assertIn(done.returncode, (2, 4), done.stderr)
            for part in said:
                self.assertIn(part, done.stderr)
        refused(lambda t: t["model"]["gpt"].update(hads=3), "hads", "heads")
        refused(lambda t: t["model"]["gpt"].update(context=100_000), "context")
        refused(lambda t: t.update(batch_size=1), "batch_size")
        refused(lambda t: t["data"].update(text=["missing.txt"]), "missing.txt")


if __name__ == "__main__":
    main()
