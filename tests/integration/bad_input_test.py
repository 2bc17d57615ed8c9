"""Each bad input: one sentence, its exit code, nothing left behind."""

import hashlib
import os
import struct
import unittest

import numpy as np

import raw_grpc
from harness import Cluster, main

MIB = 1024 * 1024


def npy(header, data=b""):
    text = header.encode()
    text += b" " * ((-(len(text) + 11)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def digest(data):
    chunks = (data[i:i + MIB] for i in range(0, len(data), MIB))
    return hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in chunks)).hexdigest()


def bad_matrices():
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }"
    return {
        "truncated.npy": npy(head, b"\0" * 60),
        "overlong.npy": npy(head, b"\0" * 68),
        "empty.npy": b"",
        "text.npy": b"hello, this is no matrix",
        "huge_header.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 0x7FFFFFFF) + b"{",
        "huge_shape.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }"),
        "objects.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (4, 4), }", b"\0" * 128),
        "strings.npy": npy("{'descr': '<U4', 'fortran_order': False, 'shape': (4, 4), }", b"\0" * 256),
        "complex.npy": npy("{'descr': '<c8', 'fortran_order': False, 'shape': (4, 4), }", b"\0" * 128),
        "big_endian.npy": npy("{'descr': '>f4', 'fortran_order': False, 'shape': (4, 4), }", b"\0" * 64),
        "one_dimension.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16,), }", b"\0" * 64),
    }


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.good = cls.cluster.save("good.npy", np.ones((4, 4), np.float32))

    def file(self, name, data):
        path = self.cluster.path(name)
        with open(path, "wb") as f:
            f.write(data)
        return path

    def refused(self, code, *arguments, says=(), stdin=None):
        done = self.cluster.run(*arguments, code=code, stdin=stdin)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        for word in says:
            self.assertIn(word, done.stderr)
        self.assertEqual(self.cluster.json("jobs", "list")["jobs"], [])
        self.assertEqual([n for n in os.listdir(self.cluster.home) if ".tmp" in n or n == "C.npy"], [])

    def test_matrices(self):
        for name, data in bad_matrices().items():
            with self.subTest(name=name):
                self.refused(2, "matmul", self.file(name, data), self.good, "-o", self.cluster.path("C.npy"), says=[name])
        with self.subTest("missing"):
            self.refused(2, "matmul", self.cluster.path("none.npy"), self.good, "-o", self.cluster.path("C.npy"),
                         says=["none.npy"])
        with self.subTest("shapes"):
            wide = self.cluster.save("wide.npy", np.ones((5, 4), np.float32))
            self.refused(2, "matmul", self.good, wide, "-o", self.cluster.path("C.npy"), says=["4 x 4", "5 x 4"])
        with self.subTest("mixed"):
            double = self.cluster.save("double.npy", np.ones((4, 4), np.float64))
            self.refused(2, "matmul", self.good, double, "-o", self.cluster.path("C.npy"))
        with self.subTest("integers"):
            whole = self.cluster.save("whole.npy", np.ones((4, 4), np.int32))
            self.refused(2, "matmul", whole, whole, "-o", self.cluster.path("C.npy"))
        with self.subTest("a precision that the matrices do not fit"):
            self.refused(2, "matmul", self.good, self.good, "-o", self.cluster.path("C.npy"), "--precision", "int8",
                         says=["int8", "fp32"])
            self.refused(2, "matmul", self.good, self.good, "-o", self.cluster.path("C.npy"), "--precision", "fp8",
                         says=["bf16"])

    def test_job_files(self):
        cases = {
            "workload: {matmul: {a: good.npy, b: good.npy}}\nworkerz: {max: 1}": ["workerz", "workers"],
            "workload: {matmul: {a: good.npy, b: good.npy}}\nmemory_per_device: 64": ["memory_per_device"],
            "workload: {matmul: {a: good.npy, b: good.npy}}\nnum_nodes: 2": ["workers"],
            'workload: {matmul: {a: good.npy, b: good.npy}}\nname: "a\\0b"': ["name"],
            "a: &a [1,1]\nb: &b [*a,*a]\nworkload: {matmul: {a: good.npy, b: good.npy}}": [],
            "workload: {train: {model: linear}}": ["train"],
            "{{{": [],
            "": [],
        }
        for text, says in cases.items():
            with self.subTest(text=text):
                self.refused(2, "submit", "-", stdin=text, says=says)
        with self.subTest("missing"):
            self.refused(2, "submit", self.cluster.path("none.yaml"), says=["none.yaml"])

    def test_raw_grpc_gets_the_same_sentences(self):
        import grpc
        with raw_grpc.people(self.cluster) as channel:
            from overwinter.v1 import job_pb2, job_pb2_grpc
            stub = job_pb2_grpc.JobServiceStub(channel)
            square = job_pb2.MatrixShape(rows=4, columns=4, dtype="f4")
            shapes = {"wide": job_pb2.MatrixShape(rows=5, columns=4, dtype="f4"),
                      "double": job_pb2.MatrixShape(rows=4, columns=4, dtype="f8")}
            for b, shape in shapes.items():
                with self.subTest(b=b):
                    path = self.cluster.save(b + ".npy", np.ones((shape.rows, 4), "<" + shape.dtype))
                    spec = job_pb2.JobSpec(name="raw")
                    spec.matmul.a = spec.matmul.b = "artifact://" + "0" * 64
                    with self.assertRaises(grpc.RpcError) as caught:
                        stub.PlanJob(job_pb2.PlanJobRequest(spec=spec, shapes={"a": square, "b": shape}), timeout=20)
                    self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
                    self.refused(2, "matmul", self.good, path, "-o", self.cluster.path("C.npy"),
                                 says=[caught.exception.details()])
            for field, bad in (("labels: {'a b': x}", {"labels": {"a b": "x"}}),
                               ("workers: {min: 5, max: 1}", {"workers": {"min": 5, "max": 1}}),
                               ("name: a/b", {"name": "a/b"})):
                with self.subTest(field=field):
                    spec = job_pb2.JobSpec(**bad)
                    spec.matmul.a = spec.matmul.b = "artifact://" + "0" * 64
                    with self.assertRaises(grpc.RpcError) as caught:
                        stub.SubmitJob(job_pb2.SubmitJobRequest(spec=spec), timeout=20)
                    self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
                    self.refused(2, "submit", "-", stdin=f"workload: {{matmul: {{a: good.npy, b: good.npy}}}}\n{field}",
                                 says=[caught.exception.details()])

    def test_raw_uploads(self):
        import grpc
        good = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }", b"\0" * 64)
        # What is sent, its digest, its size as it is announced.
        cases = {
            "another digest": (good, digest(b"x"), len(good)),
            "no digest": (good, "0" * 63, len(good)),
            "less than announced": (good, digest(good), len(good) + 1),
            "more than announced": (good, digest(good), len(good) - 1),
            "more than any disk": (good, digest(good), 1 << 62),
        }
        with raw_grpc.people(self.cluster) as channel:
            for name, (data, said, size) in cases.items():
                with self.subTest(name=name):
                    with self.assertRaises(grpc.RpcError) as caught:
                        self.upload(channel, data, said, size)
                    self.assertIn(caught.exception.code(), (grpc.StatusCode.INVALID_ARGUMENT,
                                                            grpc.StatusCode.RESOURCE_EXHAUSTED))
                    self.assertRegex(caught.exception.details(), "^[^\n]{10,300}$")
            # Any bytes may be stored; a job takes matrices alone.
            for name, data in bad_matrices().items():
                with self.subTest(name=name):
                    uri = self.upload(channel, data, digest(data), len(data))
                    from overwinter.v1 import job_pb2, job_pb2_grpc
                    spec = job_pb2.JobSpec(name="raw")
                    spec.matmul.a = spec.matmul.b = uri
                    with self.assertRaises(grpc.RpcError) as caught:
                        job_pb2_grpc.JobServiceStub(channel).SubmitJob(job_pb2.SubmitJobRequest(spec=spec), timeout=20)
                    self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
                    self.assertRegex(caught.exception.details(), "^[^\n]{10,300}$")
        self.assertEqual(self.cluster.json("jobs", "list")["jobs"], [])
        self.assertEqual(os.listdir(os.path.join(self.cluster.dir, "coordinator", "artifacts", "uploads")), [])

    @staticmethod
    def upload(channel, data, said, size):
        from overwinter.v1 import artifact_pb2, artifact_pb2_grpc
        begin = artifact_pb2.UploadArtifactRequest.Begin(project="default", digest=said, size_bytes=size)
        parts = [artifact_pb2.UploadArtifactRequest(begin=begin)]
        parts += [artifact_pb2.UploadArtifactRequest(data=data)] if data else []
        return artifact_pb2_grpc.ArtifactServiceStub(channel).UploadArtifact(iter(parts), timeout=20).uri

    def test_usage_and_names(self):
        self.assertEqual(self.cluster.call("frobnicate").returncode, 2)
        self.assertEqual(self.cluster.call("matmul", self.good).returncode, 2)
        self.refused(5, "jobs", "get", "no-such-job-00000")
        self.refused(5, "workers", "get", "no-such-worker")
        self.refused(5, "tokens", "revoke", "999")

    def test_a_price_book_that_is_none(self):
        self.refused(2, "prices", "set", self.file("prices.yaml", b"currency: USD\nprices: [{device: cpu}]"),
                     says=["from"])


if __name__ == "__main__":
    main()
