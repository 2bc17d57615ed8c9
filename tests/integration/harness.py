"""A cluster of its own for a test: the shipped programs in a temporary folder, ended with the test."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import numpy as np

BIN = os.environ.get("OVERWINTER_BIN", os.path.join(os.path.dirname(__file__), "../../build/test/bin"))
SOURCE = os.environ.get("OVERWINTER_SOURCE", os.path.join(os.path.dirname(__file__), "../.."))
CALL_TIMEOUT_S = 120


def wait_until(what, condition, timeout_s=60, pause_s=0.02):
    """Polls `condition` until it is true (and returns its value); fails naming `what` at the deadline."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        pause.wait(pause_s)
    raise AssertionError(f"{what}: not within {timeout_s} s")


# A kernel for OpenBLAS that is many times slower than the machine's own: products of small files last seconds.
SLOW = {"OPENBLAS_CORETYPE": "Prescott"}


class Cluster:
    """`overwinter up` in a folder of its own. Use as a context manager.

    coordinator_switches: given to overwinter-coordinator-test, which then stands for the shipped one. env: more
    variables for all programs. prepare: called with the cluster before anything is started. coordinator_descriptors:
    how many files and sockets the coordinator may have open.
    """

    def __init__(self, workers=2, devices=("cpu:memory=512MiB,threads=1",), bin_dir=BIN, coordinator_switches=(),
                 env=(), prepare=None, coordinator_descriptors=None):
        self.home = tempfile.mkdtemp(prefix="overwinter-test-")
        self.dir = os.path.join(self.home, "cluster")
        self.bin = bin_dir
        self.workers = workers
        self.devices = devices
        self.prepare = prepare
        self.started = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OVERWINTER_")}
        self.env["XDG_CONFIG_HOME"] = os.path.join(self.home, "config")
        self.env["HOME"] = self.home
        self.env.update(env)
        if coordinator_switches or coordinator_descriptors:
            self.bin = self.programs_with(coordinator_switches, coordinator_descriptors)

    def programs_with(self, switches, descriptors=None):
        """A folder of the shipped programs whose coordinator is the one for tests, with `switches`, if there are any."""
        folder = os.path.join(self.home, "bin")
        os.mkdir(folder)
        shutil.copy(os.path.join(BIN, "overwinter"), folder)  # a copy: it starts what lies beside it
        coordinator = ["overwinter-coordinator-test" if switches else "overwinter-coordinator", *switches]
        for name, command in (("overwinter-coordinator", coordinator), ("overwinter-worker", ["overwinter-worker"])):
            path = os.path.join(folder, name)
            limit = f"ulimit -n {descriptors}\n" if descriptors and name == "overwinter-coordinator" else ""
            with open(path, "w", encoding="ascii") as f:
                f.write(f'#!/bin/sh\n{limit}exec {BIN}/{" ".join(command)} "$@"\n')
            os.chmod(path, 0o755)
        return folder

    def __enter__(self):
        try:
            if self.prepare:
                self.prepare(self)
            arguments = ["up", "--workers", str(self.workers), "--dir", self.dir]
            for device in self.devices:
                arguments += ["--device", device]
            # `up` looks for free ports and then opens them: another cluster may come in between.
            done = self.call(*arguments)
            if done.returncode != 0 and not self.prepare and "already in use" in self.logs():
                shutil.rmtree(self.dir)
                done = self.call(*arguments)
            self.expect(done, 0, arguments)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream and not stream.closed:
                    stream.close()
        self.call("down", "--dir", self.dir)
        for name in self.programs():
            self.kill(name, signal.SIGKILL, missing_ok=True)
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- commands
    def call(self, *arguments, stdin=None, timeout=CALL_TIMEOUT_S):
        """Runs `overwinter ARGUMENTS`; returns the finished process, whatever its exit code."""
        return subprocess.run([os.path.join(self.bin, "overwinter"), *map(str, arguments)], env=self.env,
                              input=stdin, capture_output=True, text=True, timeout=timeout, cwd=self.home)

    def run(self, *arguments, code=0, **more):
        """As call(), and expects the exit code."""
        return self.expect(self.call(*arguments, **more), code, arguments)

    def expect(self, done, code, arguments):
        if done.returncode != code:
            raise AssertionError(f"overwinter {' '.join(map(str, arguments))}: exit code {done.returncode}, "
                                 f"expected {code}\n{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "--format", "json", code=code).stdout)

    def start(self, *arguments):
        """Starts `overwinter ARGUMENTS` and returns the process; close() ends it."""
        return self.start_program([os.path.join(self.bin, "overwinter"), *map(str, arguments)])

    def start_worker(self, folder, *arguments, program="overwinter-worker", device="cpu:memory=128MiB,threads=1",
                     log=None):
        """Starts another worker, with a data folder of its own; `log`: a file for its standard error."""
        return self.start_program([os.path.join(BIN, program), "--data-dir", self.path(folder), "--device", device,
                                   *arguments], log)

    def start_program(self, command, log=None):
        with open(log or os.devnull, "ab") as errors:
            process = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE,
                                       stderr=errors if log else subprocess.PIPE, text=True, cwd=self.home)
        self.started.append(process)
        return process

    def join_file(self, name="join.file", *options):
        self.run("tokens", "create", "--role", "worker", "-o", self.path(name), *options)
        return self.path(name)

    def machines(self, state=None):
        """Name → worker resource, of those that are in `state`."""
        workers = self.json("workers", "list")["workers"]
        return {w["name"].split("/")[-1]: w for w in workers if state in (None, w["state"])}

    def place(self):
        """DIR/cluster.json: where things are."""
        with open(os.path.join(self.dir, "cluster.json"), encoding="utf-8") as f:
            return json.load(f)

    def job(self, name="@last"):
        return self.json("jobs", "get", name)

    # ---- processes
    def programs(self):
        try:
            return sorted(f[:-4] for f in os.listdir(os.path.join(self.dir, "run")) if f.endswith(".pid"))
        except FileNotFoundError:
            return []

    def pid(self, name):
        with open(os.path.join(self.dir, "run", name + ".pid"), encoding="ascii") as f:
            return int(f.read())

    def kill(self, name, number=signal.SIGKILL, missing_ok=False):
        """Sends the signal and waits until the process is gone."""
        try:
            pid = self.pid(name)
            os.kill(pid, number)
        except (ProcessLookupError, FileNotFoundError):
            if missing_ok:
                return
            raise
        wait_until(f"{name} ends", lambda: not alive(pid), 20)

    def up_again(self):
        self.run("up", "--dir", self.dir)

    def logs(self, lines=30):
        out = []
        folder = os.path.join(self.dir, "log")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                out.append(f"--- {name}\n" + "".join(f.readlines()[-lines:]))
        return "\n".join(out)

    def worker_records(self):
        """Per worker, the lines of its own record of seats (worker/runtime): what it says it used."""
        names = [f"worker-{i}" for i in range(1, self.workers + 1)]
        return {name: records(os.path.join(self.dir, name)) for name in names}

    # ---- matrices
    def path(self, name):
        return os.path.join(self.home, name)

    def save(self, name, array, fortran=False):
        np.save(self.path(name), np.asfortranarray(array) if fortran else np.ascontiguousarray(array))
        return self.path(name)


def records(folder):
    """The lines of seats.jsonl in a worker's data folder; one that a crash has cut is left out."""
    out = []
    with open(os.path.join(folder, "seats.jsonl"), encoding="utf-8") as f:
        for line in f:
            try:
                out.append(json.loads(line))
            except ValueError:
                continue
    return out


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def cpu_s(pid):
    """User and system time of a process, in seconds."""
    fields = text_of(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """Pids of all processes below that one."""
    out = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    found = {int(p) for p in out.split()}
    return found.union(*(children(p) for p in found)) if found else found


def alive(pid):
    """A process that is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def relative_error(c, a, b):
    expected = a.astype(np.float64) @ b.astype(np.float64)
    if expected.size == 0:
        return 0.0 if c.shape == expected.shape else float("inf")
    scale = np.max(np.abs(expected)) or 1.0
    return float(np.max(np.abs(c - expected)) / scale)


def main():
    """Runs the tests of the file; 77, which ctest shows as skipped, when all of them were skipped."""
    result = unittest.main(exit=False).result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped and len(result.skipped) == result.testsRun:
        print("\n".join(reason for _, reason in result.skipped))
        sys.exit(77)
