"""A client that is none of ours: Python made by protoc from proto/ uploads, submits, watches and downloads."""

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

from harness import SOURCE, Cluster, main, relative_error

CHUNK = 1024 * 1024


def digest(data):
    """SHA-256 over the SHA-256 of 1 MiB chunks."""
    chunks = (data[i:i + CHUNK] for i in range(0, len(data), CHUNK))
    return hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in chunks)).hexdigest()


class ForeignClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        generated = tempfile.TemporaryDirectory()
        cls.addClassCleanup(generated.cleanup)
        proto = os.path.join(SOURCE, "proto")
        names = ("common", "job", "artifact")
        subprocess.run(["protoc", "-I", proto, f"--python_out={generated.name}", f"--grpc_out={generated.name}",
                        "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin",
                        *[f"{proto}/overwinter/v1/{n}.proto" for n in names]], check=True)
        sys.path.insert(0, generated.name)
        cls.cluster = Cluster(workers=2).__enter__()
        cls.addClassCleanup(cls.cluster.close)

    def channel(self, token=None):
        import grpc
        place = self.cluster.place()
        with open(place["ca"], "rb") as f:
            tls = grpc.ssl_channel_credentials(f.read())
        if token is None:
            with open(place["token_file"], encoding="ascii") as f:
                token = f.read().strip()
        return grpc.secure_channel(place["grpc"], grpc.composite_channel_credentials(
            tls, grpc.access_token_call_credentials(token)))

    def upload(self, stub, array):
        from overwinter.v1 import artifact_pb2
        file = io.BytesIO()
        np.save(file, array)
        data = file.getvalue()

        def parts():
            begin = artifact_pb2.UploadArtifactRequest.Begin(project="default", digest=digest(data), size_bytes=len(data))
            yield artifact_pb2.UploadArtifactRequest(begin=begin)
            for i in range(0, len(data), CHUNK):
                yield artifact_pb2.UploadArtifactRequest(data=data[i:i + CHUNK])

        return stub.UploadArtifact(parts(), timeout=30).uri

    def test_a_whole_job(self):
        from overwinter.v1 import artifact_pb2, artifact_pb2_grpc, job_pb2, job_pb2_grpc
        rng = np.random.default_rng(3)
        a = rng.standard_normal((400, 300)).astype(np.float32)
        b = rng.standard_normal((300, 200)).astype(np.float32)
        with self.channel() as channel:
            artifacts = artifact_pb2_grpc.ArtifactServiceStub(channel)
            jobs = job_pb2_grpc.JobServiceStub(channel)
            spec = job_pb2.JobSpec(name="from Python")
            spec.matmul.a = self.upload(artifacts, a)
            spec.matmul.b = self.upload(artifacts, b)
            request = job_pb2.SubmitJobRequest(spec=spec, request_id="once")
            job = jobs.SubmitJob(request, timeout=30)
            self.assertEqual(jobs.SubmitJob(request, timeout=30).name, job.name)
            states = []
            watch = job_pb2.WatchJobsRequest(parent="projects/default", name=job.name)
            for seen in jobs.WatchJobs(watch, timeout=60):
                states.append(seen.job.state)
                if seen.job.state == job_pb2.Job.SUCCEEDED:
                    break
            self.assertEqual(states[-1], job_pb2.Job.SUCCEEDED)
            download = artifact_pb2.DownloadArtifactRequest(job=job.name)
            data = b"".join(part.data for part in artifacts.DownloadArtifact(download, timeout=60))
            self.assertLessEqual(relative_error(np.load(io.BytesIO(data)), a, b), 1e-5)

    def test_bad_requests_get_a_code_and_a_field(self):
        import grpc
        from overwinter.v1 import job_pb2, job_pb2_grpc
        with self.channel() as channel:
            jobs = job_pb2_grpc.JobServiceStub(channel)
            spec = job_pb2.JobSpec(name="a/b")
            spec.matmul.a = spec.matmul.b = "artifact://" + "0" * 64
            with self.assertRaises(grpc.RpcError) as caught:
                jobs.SubmitJob(job_pb2.SubmitJobRequest(spec=spec), timeout=30)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
            details = dict(caught.exception.trailing_metadata())["grpc-status-details-bin"]
            self.assertIn(b"BadRequest", details)
            with self.assertRaises(grpc.RpcError) as caught:
                jobs.GetJob(job_pb2.GetJobRequest(name="projects/other/jobs/none-00000"), timeout=30)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        with self.channel(token="ow_" + "A" * 43) as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                job_pb2_grpc.JobServiceStub(channel).ListJobs(job_pb2.ListJobsRequest(), timeout=30)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAUTHENTICATED)


if __name__ == "__main__":
    main()
