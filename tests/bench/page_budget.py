"""The page's budget in real Chromium: brings up a cluster with what is measured (a training's job, a job that prints a million
lines, 100,000 jobs in the list), runs coordinator/dashboard/web/browser/budget.mjs over it, ends it.

    tests/bench/page_budget.py [--jobs N] [--only GROUPS]     groups: those of budget.mjs

Needs a build with tests (OVERWINTER_BIN: its bin folder), Chromium and Node 22 with the page's packages (deploy/page.sh fetches
both; OVERWINTER_NODE: the node program)."""

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import raw_grpc  # noqa: E402
from harness import Cluster, wait_until  # noqa: E402
from page_test import CHROMIUM, NODE, WEB, exec_job, gpt  # noqa: E402

BATCH = 1000  # the most that one call takes
CANCELS_AT_ONCE = 2000  # one commit takes what has come
LINES = 1_000_000
# Short lines, no faster than what takes them: a full queue would lose some.
PRINTS = f"""import sys, time
begin = time.monotonic()
for i in range(1, {LINES} + 1):
    sys.stdout.write("line %d\\n" % i)
    if i % 2000 == 0:
        sys.stdout.flush()
        time.sleep(max(0.0, begin + i / 20_000 - time.monotonic()))
"""


def say(text):
    print(f"page_budget: {text}", file=sys.stderr, flush=True)


def submit(cluster, spec):
    path = cluster.path(f"jobs/{spec['name']}.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(json.dumps(spec))
    return cluster.json("submit", path)["name"]


def run(cluster, spec, timeout_s):
    name = submit(cluster, spec)
    wait_until(f"{name} ends", lambda: cluster.job(name)["state"] in ("SUCCEEDED", "FAILED"), timeout_s, 0.5)
    job = cluster.job(name)
    if job["state"] != "SUCCEEDED":
        raise AssertionError(f"{name}: {job['stateReason']}")
    return name


def seed(cluster, count):
    """So many jobs of one unit that does nothing; those that did not run by themselves are cancelled."""
    channel = raw_grpc.people(cluster)
    from overwinter.v1 import job_pb2, job_pb2_grpc
    jobs = job_pb2_grpc.JobServiceStub(channel)
    names = []
    begin = time.monotonic()
    for first in range(0, count, BATCH):
        batch = job_pb2.BatchSubmitJobsRequest()
        for i in range(first, min(first + BATCH, count)):
            request = batch.requests.add(request_id=f"budget-{i}")
            request.spec.project = "default"
            request.spec.name = f"sweep-{i:06}"
            request.spec.labels.update({"team": "nlp" if i % 3 else "vision", "sweep": str(i // 100)})
            request.spec.workers.max = 1
            request.spec.noop.units = 1
            request.spec.noop.units_per_range_max = 1
        for outcome in jobs.BatchSubmitJobs(batch, timeout=120).outcomes:
            if outcome.code:
                raise AssertionError(outcome.message)
            names.append(outcome.job.name)
    say(f"{len(names)} jobs submitted in {time.monotonic() - begin:.0f} s")
    running = collections.deque()
    for name in reversed(names):
        if len(running) == CANCELS_AT_ONCE:
            running.popleft().exception()  # what has ended by itself cannot be cancelled
        running.append(jobs.CancelJob.future(job_pb2.CancelJobRequest(name=name), timeout=120))
    for call in running:
        call.exception()
    say(f"cancelled after {time.monotonic() - begin:.0f} s")
    waiting = lambda: jobs.ListJobs(job_pb2.ListJobsRequest(  # noqa: E731
        parent="projects/default", filter="NOT state=CANCELLED AND NOT state=SUCCEEDED", page_size=1)).jobs
    wait_until("all jobs end", lambda: not waiting(), 300, 0.5)
    say(f"ended after {time.monotonic() - begin:.0f} s")
    channel.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    if not (NODE and CHROMIUM and os.path.isdir(os.path.join(WEB, "node_modules"))):
        say("needs Node 22 and the page's packages (deploy/page.sh fetches both) and Chromium")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the cluster ends with it
    with Cluster(workers=2, coordinator_switches=("--allow-test-workloads",)) as cluster:
        os.mkdir(cluster.path("jobs"))
        with open(cluster.path("jobs/words.txt"), "w", encoding="ascii") as f:
            f.write("over the winter the snow melts and birds sing; " * 400)
        with open(cluster.path("jobs/prints.py"), "w", encoding="ascii") as f:
            f.write(PRINTS)
        say("a training, and a job that prints a million lines")
        trained = run(cluster, gpt(400), 300)
        printed = run(cluster, exec_job("prints", "/usr/bin/python3 prints.py"), 300)
        seed(cluster, arguments.jobs)
        command = [NODE, "browser/budget.mjs", "--url", cluster.place()["dashboard"], "--token-file",
                   cluster.place()["token_file"], "--browser", CHROMIUM, "--job", trained, "--log-job", printed,
                   "--jobs", str(arguments.jobs)]
        if arguments.only:
            command += ["--only", arguments.only]
        return subprocess.run(command, cwd=WEB, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
