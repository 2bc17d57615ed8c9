"""Calls over plain gRPC, by what protoc makes from proto/ and Debian's python3-grpcio: none of our client's code."""

import functools
import glob
import json
import os
import subprocess
import sys
import tempfile

from harness import SOURCE, text_of


@functools.cache
def generated():
    """Makes the Python modules overwinter.v1.*, once a process, and puts them on the path."""
    folder = tempfile.TemporaryDirectory()
    proto = os.path.join(SOURCE, "proto")
    files = glob.glob(os.path.join(proto, "overwinter/v1/*.proto"))
    subprocess.run(["protoc", "-I", proto, f"--python_out={folder.name}", f"--grpc_out={folder.name}",
                    "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin", *files], check=True)
    sys.path.insert(0, folder.name)
    return folder


def people(cluster, token=None):
    """A channel to the people's port with a bearer token (the cluster's admin unless given)."""
    generated()
    import grpc
    place = cluster.place()
    token = token or text_of(place["token_file"]).strip()
    tls = grpc.ssl_channel_credentials(text_of(place["ca"]).encode())
    return grpc.secure_channel(place["grpc"], grpc.composite_channel_credentials(
        tls, grpc.access_token_call_credentials(token)))


def workers_address(cluster):
    with open(os.path.join(cluster.dir, "coordinator", "run", "endpoints.json"), encoding="utf-8") as f:
        return json.load(f)["workers"]


def as_worker(cluster, folder):
    """A channel to the workers' port with the certificate that a worker keeps in its data folder."""
    current = os.path.join(folder, "identity", "current")
    return certified(cluster, text_of(os.path.join(current, "key.pem")), text_of(os.path.join(current, "cert.pem")))


def as_joiner(cluster, join_file):
    """A channel to the workers' port with the certificate of a join file."""
    file = json.loads(text_of(join_file))
    return certified(cluster, file["keyPem"], file["certificatePem"])


def certified(cluster, key, chain):
    generated()
    import grpc
    root = text_of(cluster.place()["ca"]).encode()
    return grpc.secure_channel(workers_address(cluster), grpc.ssl_channel_credentials(
        root, key.encode(), chain.encode()))
