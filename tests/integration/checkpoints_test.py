"""`overwinter checkpoints` on a store that was written by hand from the page of its format: what it lists, gets and
verifies; half-written ones, orphans and damage at a start. NumPy and json read what `get` wrote."""

import hashlib
import json
import os
import signal
import struct
import unittest

import numpy as np

from harness import Cluster, main, text_of

MIB = 1 << 20


def digest(content):
    chunks = (content[i:i + MIB] for i in range(0, len(content), MIB))
    return hashlib.sha256(b"".join(hashlib.sha256(chunk).digest() for chunk in chunks)).hexdigest()


def safetensors(tensors):
    head, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        raw = np.ascontiguousarray(array, "<f4").tobytes()
        head[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + body


def load(path):
    """safetensors by its description alone."""
    with open(path, "rb") as f:
        data = f.read()
    length, = struct.unpack("<Q", data[:8])
    head, body = json.loads(data[8:8 + length]), data[8 + length:]
    assert head.pop("__metadata__") == {"format": "pt"}
    assert sum(t["data_offsets"][1] - t["data_offsets"][0] for t in head.values()) == len(body)
    return {name: np.frombuffer(body[slice(*t["data_offsets"])], "<f4").reshape(t["shape"])
            for name, t in head.items()}


class Store:
    """The folder of checkpoints, as coordinator/artifacts/README.md and common/formats say."""

    def __init__(self, cluster):
        found = [folder for folder, names, _ in os.walk(cluster.dir) if "blobs" in names and "results" in names]
        self.root = os.path.join(found[0], "checkpoints")

    def folder(self, job, attempt, step):
        return os.path.join(self.root, str(job), f"{attempt}-{step}")

    def write(self, job, attempt, step, files, loss=None, manifest=True):
        folder = self.folder(job, attempt, step)
        os.makedirs(folder)
        for content, _ in files.values():
            with open(os.path.join(folder, digest(content)), "wb") as f:
                f.write(content)
        body = {"format": "overwinter-checkpoint", "version": 1, "job": job, "attempt": attempt, "step": step,
                "parametersDigest": "00" * 32, "worldSize": 2, "dataPosition": step * 16,
                "stored": "2026-11-29T10:00:00.000Z",
                "files": [{"name": name, "sizeBytes": len(content), "digest": digest(content), "kind": kind}
                          for name, (content, kind) in files.items()]}
        if loss is not None:
            body["loss"] = loss
        text = json.dumps(body)
        if manifest:
            with open(os.path.join(folder, "manifest"), "w", encoding="utf-8") as f:
                f.write(f'{{"sha256":"{hashlib.sha256(text.encode()).hexdigest()}","manifest":{text}}}\n')

    def flip(self, job, attempt, step, content, at):
        path = os.path.join(self.folder(job, attempt, step), digest(content))
        with open(path, "r+b") as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1]))


class Checkpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = c = Cluster(workers=1).__enter__()
        cls.addClassCleanup(c.close)
        path = c.save("A.npy", np.ones((40, 40), np.float32))
        c.run("matmul", path, path, "-o", c.path("C.npy"), "--quiet")
        cls.job = c.job()["name"].split("/")[-1]
        cls.store = Store(c)
        results = os.path.join(os.path.dirname(cls.store.root), "results")
        cls.number = int(max(os.listdir(results), key=int))
        c.kill("coordinator", signal.SIGKILL)
        rng = np.random.default_rng(1)
        cls.tensors = {f"h.{i}.w": rng.standard_normal((300, 1000 + i), np.float32) for i in range(2)}
        cls.shards = [safetensors({name: array}) for name, array in cls.tensors.items()]
        adam = safetensors({"m": np.zeros((3,), np.float32)})
        weights = {f"model-{i}.safetensors": (shard, "weights") for i, shard in enumerate(cls.shards)}
        for step in (50, 100):
            cls.store.write(cls.number, 1, step, {**weights, "rank-0/adam.safetensors": (adam, "optimizer")}, 2.5)
        cls.store.write(cls.number, 1, 150, {"half": (b"written", "user-file")}, manifest=False)
        cls.store.write(cls.number, 2, 7, {"ckpt/model.pt": (b"any bytes", "user-file"), "empty": (b"", "user-file")})
        cls.store.write(99, 1, 1, {"orphan": (b"x", "user-file")})
        c.up_again()

    def test_list(self):
        listed = self.cluster.json("checkpoints", "list", self.job)["checkpoints"]
        self.assertEqual([(one["attempt"], one["step"]) for one in listed], [(2, "7"), (1, "100"), (1, "50")])
        self.assertEqual(listed[1]["loss"], 2.5)
        self.assertEqual(listed[0]["name"].split("/")[-2:], ["checkpoints", "7"])
        table = self.cluster.run("checkpoints", "list", "@last").stdout
        self.assertRegex(table, r"(?m)^100\s+1\s+2\s+2\.5000\s+2\.3 MiB")
        self.assertTrue(all(len(line) <= 80 for line in table.splitlines()), table)

    def test_what_no_checkpoint_is_goes_at_the_start(self):
        self.assertFalse(os.path.exists(self.store.folder(self.number, 1, 150)))
        self.assertFalse(os.path.exists(os.path.join(self.store.root, "99")))
        log = text_of(os.path.join(self.cluster.dir, "log", "coordinator.log"))
        self.assertRegex(log, "the checkpoints of job 99 are removed")

    def expect_model(self, path):
        got = load(path)
        self.assertEqual(set(got), set(self.tensors))
        for name, array in self.tensors.items():
            np.testing.assert_array_equal(got[name], array)

    def test_get_weights(self):
        c = self.cluster
        out = c.path("model.safetensors")
        self.assertEqual(c.run("checkpoints", "get", f"{self.job}@100", "-o", out).stdout, out + "\n")
        self.expect_model(out)
        c.run("checkpoints", "get", "@last@50", "-o", c.path("model") + "/")
        self.expect_model(c.path("model/model.safetensors"))
        with open(c.path("model/config.json"), encoding="utf-8") as f:
            self.assertIn("model_type", json.load(f))
        left = [name for name in os.listdir(c.home) if name.startswith(".overwinter-") or ".part" in name]
        self.assertEqual(left, [])

    def test_get_files(self):
        c = self.cluster
        c.run("checkpoints", "get", "@last", "-o", c.path("files") + "/")
        with open(c.path("files/ckpt/model.pt"), "rb") as f:
            self.assertEqual(f.read(), b"any bytes")
        self.assertEqual(os.path.getsize(c.path("files/empty")), 0)
        refused = c.run("checkpoints", "get", "@last", "-o", c.path("file.safetensors"), code=2)
        self.assertIn("-o DIR/", refused.stderr)
        self.assertFalse(os.path.exists(c.path("file.safetensors")))

    def test_what_is_not_there(self):
        c = self.cluster
        c.run("checkpoints", "get", f"{self.job}@60", "-o", c.path("x"), code=5)
        c.run("checkpoints", "verify", "none-12345", code=5)
        c.run("checkpoints", "get", f"{self.job}@latest", "-o", c.path("x"), code=2)
        c.run("checkpoints", "get", f"{self.job}@", "-o", c.path("x"), code=2)

    def test_verify(self):
        c = self.cluster
        self.assertRegex(c.run("checkpoints", "verify", f"{self.job}@50").stdout, r"^good: 2\.3 MiB")
        self.store.flip(self.number, 1, 100, self.shards[1], 700_000)
        try:
            bad = c.run("checkpoints", "verify", f"{self.job}@100", code=1).stdout
            self.assertRegex(bad, "^damaged: The file model-1.safetensors of the checkpoint at step 100")
            # And nobody is given it as if it were whole.
            refused = c.run("checkpoints", "get", f"{self.job}@100", "-o", c.path("damaged.safetensors"), code=1)
            self.assertIn("model-1.safetensors", refused.stderr)
            self.assertFalse(os.path.exists(c.path("damaged.safetensors")))
        finally:
            self.store.flip(self.number, 1, 100, self.shards[1], 700_000)
        self.assertTrue(c.json("checkpoints", "verify", f"{self.job}@100")["good"])


if __name__ == "__main__":
    main()
