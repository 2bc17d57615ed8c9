"""`overwinter backup` under load and `overwinter-coordinator --restore` elsewhere: with keys the same workers come back, without
them new ones join; the running product goes on to the right bytes, jobs and bills are those of the backup. Who may not, what is
refused, what an interrupted one leaves."""

import glob
import json
import os
import signal
import stat
import subprocess
import tarfile
import threading
import unittest

import numpy as np

from harness import BIN, SLOW, Cluster, alive, main, relative_error, text_of, wait_until

RNG = np.random.default_rng(23)
PASSPHRASE = "correct horse " + os.urandom(4).hex()
SECRET = "canary-" + os.urandom(8).hex()
DEVICE = "cpu:memory=64MiB,threads=1"


def restore(cluster, file, folder, passphrase=None, code=0):
    """Runs `overwinter-coordinator --restore`; returns what it said."""
    done = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--restore", file, "--data-dir", folder],
                          env=cluster.env, input=passphrase and passphrase + "\n", capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode != code:
        raise AssertionError(f"--restore: exit code {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}")
    return done


class Slowed:
    """While it lasts the processes run a tenth of the time: the product is still under way when the backups are taken,
    however quick the machine."""

    def __init__(self, pids):
        self.pids, self.end = pids, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.end.is_set():
            self.send(signal.SIGSTOP)
            self.end.wait(0.45)
            self.send(signal.SIGCONT)
            self.end.wait(0.05)

    def send(self, number):
        for pid in self.pids:
            os.kill(pid, number)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


class Restored:
    """A coordinator on a restored folder, on ports of its own but for the workers' port where one is given."""

    def __init__(self, cluster, folder, workers_port=0):
        self.cluster, self.folder = cluster, folder
        self.process = cluster.start_program(
            [os.path.join(BIN, "overwinter-coordinator"), "--data-dir", folder, "--listen-people", "127.0.0.1:0",
             "--listen-workers", f"127.0.0.1:{workers_port}", "--listen-dashboard", "127.0.0.1:0"],
            cluster.path(os.path.basename(folder) + ".log"))
        self.place = wait_until("the restored coordinator serves", self.endpoints)
        self.env = dict(cluster.env)
        self.env.update({"OVERWINTER_ADDRESS": self.place["people"],
                         "OVERWINTER_CA": os.path.join(folder, "ca", "root.pem"),
                         "OVERWINTER_TOKEN": text_of(os.path.join(folder, "admin.token")).strip()})

    def endpoints(self):
        if self.process.poll() is not None:
            raise AssertionError("the restored coordinator ended:\n" + self.log())
        try:
            place = json.loads(text_of(os.path.join(self.folder, "run", "endpoints.json")))
        except (FileNotFoundError, ValueError):
            return None
        return place if place["pid"] == self.process.pid else None

    def log(self):
        return text_of(self.cluster.path(os.path.basename(self.folder) + ".log"))

    def run(self, *arguments, code=0, stdin=None, env=()):
        done = subprocess.run([os.path.join(BIN, "overwinter"), *map(str, arguments)], env={**self.env, **dict(env)},
                              input=stdin, capture_output=True, text=True, timeout=120, cwd=self.cluster.home, check=False)
        if done.returncode != code:
            raise AssertionError(f"overwinter {arguments}: exit code {done.returncode}, expected {code}\n{done.stdout}\n"
                                 f"{done.stderr}\n{self.log()}")
        return done

    def json(self, *arguments):
        return json.loads(self.run(*arguments, "--format", "json").stdout)

    def ready(self):
        return {w["name"].split("/")[-1] for w in self.json("workers", "list")["workers"] if w["state"] == "READY"}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = c = Cluster(workers=2, devices=(DEVICE,), env=SLOW).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.a = RNG.standard_normal((3600, 3600))
        cls.b = RNG.standard_normal((3600, 3200))
        c.save("A.npy", cls.a)
        c.save("B.npy", cls.b)
        small = c.save("small.npy", np.arange(64, dtype=np.float32).reshape(8, 8))
        c.run("matmul", small, small, "-o", c.path("small-C.npy"), "--name", "ended", "--quiet")
        c.run("secrets", "set", "HF_TOKEN", stdin=SECRET)
        c.run("projects", "create", "demo")

    def data(self):
        return os.path.dirname(os.path.dirname(glob.glob(os.path.join(self.cluster.dir, "*", "store", "log.db"))[0]))

    def begin_product(self):
        """Waits until both workers compute and a tile has landed."""
        c = self.cluster
        process = c.start("matmul", c.path("A.npy"), c.path("B.npy"), "-o", c.path("C.npy"), "--name", "product")
        self.addCleanup(process.kill)

        def running():
            self.assertIsNone(process.poll(), "the product ended before the backup; make it longer")
            done = c.call("jobs", "get", "product", "--format", "json")
            job = json.loads(done.stdout) if done.returncode == 0 else {"seats": []}
            return len(job["seats"]) == 2 and int(job["progress"]["unitsDone"]) > 0 and job["name"]

        self.product = wait_until("a tile lands", running)
        return process

    def load(self, stop):
        """Uploads and submits, one after the other, until told to stop."""
        c, number = self.cluster, 0
        while not stop.is_set():
            number += 1
            path = c.save(f"load-{number}.npy", RNG.standard_normal((400, 400)))
            c.run("submit", "-", stdin=f"workload: {{matmul: {{a: {path}, b: {path}}}}}\nname: load-{number}\npriority: low")
        self.loads = number

    def is_open(self, process, path):
        """Something of it has come: the coordinator has begun."""
        self.assertIsNone(process.poll(), "the backup ended too early; make the matrices larger")
        return os.path.exists(path + ".part") and os.path.getsize(path + ".part") > 0

    def check_refusals(self):
        """While one is under way: no second one; interrupted, it leaves nothing and makes room for the next."""
        c, path = self.cluster, self.cluster.path("held.backup")
        held = c.start("backup", "-o", path)
        wait_until("the backup is under way", lambda: self.is_open(held, path))
        os.kill(held.pid, signal.SIGSTOP)
        try:
            self.assertFalse(os.path.exists(path))
            wait_until("the second is refused", lambda: "a backup is being taken already" in c.call(
                "backup", "-o", c.path("second.backup")).stderr, 30)
            refused = c.run("backup", "-o", c.path("second.backup"), code=4)
            self.assertIn("a backup is being taken already", refused.stderr)
            self.assertEqual(glob.glob(c.path("second.backup*")), [])
        finally:
            os.kill(held.pid, signal.SIGINT)
            os.kill(held.pid, signal.SIGCONT)
        held.wait(30)
        self.assertEqual(held.returncode, 130)
        self.assertEqual(glob.glob(path + "*"), [])
        wait_until("the next may begin", lambda: c.call("backup", "-o", path).returncode == 0, 60)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        for other in (("viewer",), ("auditor",), ("admin", "--project", "demo")):
            self.refuse(*other)
        self.assertEqual(glob.glob(c.path("viewer.backup*")), [])
        short = c.run("backup", "--with-keys", "-o", path, stdin="short\n", code=2)
        self.assertIn("passphrase", short.stderr)

    def refuse(self, role, *options):
        """Somebody else's token, in a configuration of its own."""
        c = self.cluster
        line = c.run("tokens", "create", "--role", role, *options).stdout
        env = {**c.env, "XDG_CONFIG_HOME": c.path("config-of-another")}
        for arguments, stdin, code in ((["login", "--name", role], line, 0), (["backup", "-o", c.path("viewer.backup")], "", 4)):
            done = subprocess.run([os.path.join(BIN, "overwinter"), *arguments], env=env, input=stdin, capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)

    def take(self):
        """The two backups under load, and what the cluster was like around them."""
        c = self.cluster
        process = self.begin_product()
        with Slowed([c.pid(f"worker-{i}") for i in (1, 2)]):
            self.take_both(process)
        process.kill()
        self.check_file()

    def take_both(self, process):
        c = self.cluster
        self.check_refusals()
        stop = threading.Event()
        loader = threading.Thread(target=self.load, args=(stop,))
        loader.start()
        try:
            self.ended = c.json("jobs", "get", "ended")
            self.before = c.json("jobs", "get", self.product)
            keys = c.run("backup", "--with-keys", "-o", c.path("keys.backup"), "--format", "json", stdin=PASSPHRASE + "\n")
            self.bare = json.loads(c.run("backup", "-o", c.path("bare.backup"), "--format", "json").stdout)
            self.after = c.json("jobs", "get", self.product)
        finally:
            stop.set()
            loader.join()
        self.assertIsNone(process.poll(), "the product ended before the backup; make it longer")
        self.assertTrue(json.loads(keys.stdout)["keys"])
        self.assertGreater(self.loads, 0)
        c.kill("coordinator")

    def check_file(self):
        """The file is a tar, and holds no key or secret in the clear."""
        c = self.cluster
        for name, with_keys in (("keys.backup", True), ("bare.backup", False)):
            with tarfile.open(c.path(name)) as tar:
                names = tar.getnames()
                manifest = json.load(tar.extractfile("MANIFEST.json"))
            self.assertEqual(names[-1], "MANIFEST.json")
            self.assertEqual([m["name"] for m in manifest["members"]], names[:-1])
            self.assertEqual("keys.sealed" in names, with_keys)
            self.assertIn("store/log.db", names)
            self.assertGreaterEqual(len([n for n in names if n.startswith("artifacts/blobs/")]), 2)
            with open(c.path(name), "rb") as f:
                content = f.read()
            for hidden in (SECRET, PASSPHRASE, "PRIVATE KEY", text_of(os.path.join(self.data(), "admin.token")).strip()):
                self.assertNotIn(hidden.encode(), content)
        self.assertNotIn(PASSPHRASE, c.logs(10_000))

    def check_restored(self, there):
        """Jobs and bills up to the backup; the warning; the numbers of the new generation."""
        wait_until("it warns", lambda: "was restored on" in there.log())
        self.assertIn("what was done and spent between is unknown", there.run("status").stdout)
        status = there.json("status")
        self.assertEqual(status["generation"], "2")
        self.assertLess(status["backupTime"], status["restoredTime"])
        said = there.json("audit", "list", "--object", "clusters/" + status["cluster"])["entries"]
        restored = [e for e in said if e["action"] == "cluster.restore"]
        self.assertEqual([e["before"] for e in restored], ["generation 1"])
        self.assertIn("generation 2, restored on", restored[0]["after"])
        self.assertEqual(there.json("jobs", "get", self.ended["name"]), self.ended)
        product = there.json("jobs", "get", self.product)
        charged = int(product["cost"]["charged"]["amountMicros"])
        self.assertGreaterEqual(int(product["progress"]["unitsDone"]), int(self.before["progress"]["unitsDone"]))
        # What its seats had used until the backup is billed, also of slices that were still open.
        self.assertGreaterEqual(charged, int(self.before["cost"]["charged"]["amountMicros"]))
        most = self.after["cost"]
        self.assertLessEqual(charged, int(most["charged"]["amountMicros"]) + int(most["reserved"]["amountMicros"]))
        self.assertEqual(there.json("cost", "ended")["jobs"][0]["charged"], self.ended["cost"]["charged"])
        return product

    def finish(self, there, attempt):
        c = self.cluster
        job = wait_until("the product ends", lambda: self.ended_job(there), 240)
        self.assertEqual(job["state"], "SUCCEEDED", job)
        self.assertGreaterEqual(job["attempt"], attempt)
        self.assertEqual(job["progress"]["unitsDone"], job["progress"]["unitsTotal"])
        path = c.path("restored-C.npy")
        there.run("jobs", "download", self.product, "-o", path)
        self.assertLessEqual(relative_error(np.load(path), self.a, self.b), 1e-13)
        os.unlink(path)
        there.run("jobs", "download", self.ended["name"], "-o", path)
        np.testing.assert_array_equal(np.load(path), np.load(c.path("small-C.npy")))
        os.unlink(path)
        self.assertIn("restored from a backup of", there.run("jobs", "explain", self.product).stdout)
        self.assertNotIn("restored from", there.run("jobs", "explain", self.ended["name"]).stdout)

    def ended_job(self, there):
        job = there.json("jobs", "get", self.product)
        return job if job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED", "PAUSED") else None

    def verify(self, folder):
        done = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--verify", "--data-dir", folder],
                              env=self.cluster.env, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_taken_under_load_and_restored_with_and_without_keys(self):
        self.take()
        self.with_keys()
        self.without_keys()

    def with_keys(self):
        c, folder = self.cluster, self.cluster.path("keys")
        wrong = restore(c, c.path("keys.backup"), folder, "another horse", code=4)
        self.assertIn("passphrase", wrong.stderr)
        self.assertEqual(os.listdir(folder), [])
        workers = [c.pid(f"worker-{i}") for i in (1, 2)]
        self.assertTrue(all(map(alive, workers)))
        said = restore(c, c.path("keys.backup"), folder, PASSPHRASE)
        self.assertIn("revoked", said.stderr)
        self.assertNotIn("joins anew", said.stderr)
        self.assertIn("generation 2", said.stdout)
        again = restore(c, c.path("keys.backup"), folder, PASSPHRASE, code=4)
        self.assertIn("not empty", again.stderr)
        # The workers dial where they always did, and go on through it all.
        port = json.loads(text_of(os.path.join(self.data(), "run", "endpoints.json")))["workers"].rpartition(":")[2]
        there = Restored(c, folder, int(port))
        self.check_restored(there)
        wait_until("the same workers are back", lambda: there.ready() == {"worker-1", "worker-2"})
        self.assertEqual([c.pid(f"worker-{i}") for i in (1, 2)], workers)
        self.finish(there, 1001)
        self.assertEqual([s["name"].split("/")[-1] for s in there.json("secrets", "list")["secrets"]], ["HF_TOKEN"])
        number = int(there.json("tokens", "list")["tokens"][-1]["id"])
        self.assertLess(number, 10**9)
        there.run("tokens", "create", "--role", "viewer")
        self.assertIn(str(10**9 + 1), {t["id"] for t in there.json("tokens", "list")["tokens"]})
        # A restored cluster is backed up like any other.
        there.run("backup", "-o", c.path("third.backup"))
        there.stop()
        self.verify(folder)
        self.assertIn("generation 3", restore(c, c.path("third.backup"), c.path("third")).stdout)

    def without_keys(self):
        c, folder = self.cluster, self.cluster.path("bare")
        said = restore(c, c.path("bare.backup"), folder)
        for warning in ("joins anew", "--new-admin-token", "secrets set"):
            self.assertIn(warning, said.stderr)
        subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--new-admin-token", "--data-dir", folder],
                       env=c.env, capture_output=True, timeout=60, check=True)
        there = Restored(c, folder)
        self.check_restored(there)
        self.assertEqual(there.ready(), set())
        self.assertIn("restored from a backup of", there.run("jobs", "explain", self.product).stdout)
        # The old token is good; its holder needs the new root.
        old = text_of(os.path.join(self.data(), "admin.token")).strip()
        there.run("status", env={"OVERWINTER_TOKEN": old})
        there.run("status", env={"OVERWINTER_TOKEN": old,
                                 "OVERWINTER_CA": os.path.join(self.data(), "ca", "root.pem")}, code=3)
        there.run("tokens", "create", "--role", "worker", "-o", c.path("anew.join"))
        worker = c.start_worker("anew", "--join", c.path("anew.join"), "--name", "anew", device=DEVICE)
        wait_until("a new worker has joined", lambda: there.ready() == {"anew"})
        self.finish(there, 1001)
        worker.terminate()
        worker.wait(30)
        there.stop()
        self.verify(folder)


class Refused(unittest.TestCase):
    def test_a_blob_that_is_missing_is_named(self):
        with Cluster(workers=1, devices=(DEVICE,)) as c:
            c.run("workers", "drain", "worker-1")
            path = c.save("A.npy", np.ones((64, 64), np.float32))
            name = c.run("submit", "-", stdin=f"workload: {{matmul: {{a: {path}, b: {path}}}}}\nname: waits").stdout.strip()
            blob, = glob.glob(os.path.join(c.dir, "*", "artifacts", "blobs", "*", "*"))
            os.rename(blob, c.path("kept"))
            refused = c.run("backup", "-o", c.path("a.backup"), code=4)
            self.assertIn(os.path.basename(blob), refused.stderr)
            self.assertIn(name.rpartition("/")[2], refused.stderr)
            self.assertEqual(glob.glob(c.path("a.backup*")), [])
            with open(c.path("kept"), "r+b") as f:
                f.seek(-1, os.SEEK_END)
                f.write(b"\x7f")
            os.rename(c.path("kept"), blob)
            damaged = c.run("backup", "-o", c.path("a.backup"), code=4)
            self.assertIn("damaged", damaged.stderr)
            self.assertEqual(glob.glob(c.path("a.backup*")), [])
            c.run("jobs", "cancel", name)
            c.run("backup", "-o", c.path("a.backup"))
            self.damaged_files(c)

    def damaged_files(self, c):
        """A file that is damaged, cut short or none is refused, and leaves an empty folder."""
        with open(c.path("a.backup"), "rb") as f:
            good = f.read()
        at = good.index(b"SQLite format 3")
        for name, content in (("flipped", good[:at + 5000] + b"\xff\xfe" + good[at + 5002:]), ("short", good[:-2000]),
                              ("none", b"nothing of ours " * 100)):
            with open(c.path(name), "wb") as f:
                f.write(content)
            said = restore(c, c.path(name), c.path("new"), code=4)
            self.assertIn("error: ", said.stderr)
            self.assertEqual(os.listdir(c.path("new")), [], name)
        # Killed in its middle: nothing serves from the folder, and the next restore makes it whole.
        os.makedirs(c.path("new/restore.part"), mode=0o700)
        start = subprocess.run([os.path.join(BIN, "overwinter-coordinator"), "--data-dir", c.path("new")], env=c.env,
                               capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(start.returncode, 4)
        self.assertIn("restore it again", start.stderr)
        restore(c, c.path("a.backup"), c.path("new"))
        self.assertFalse(os.path.exists(c.path("new/restore.part")))
        self.assertFalse(os.path.exists(c.path("new/admin.token")))  # of keys it has none


if __name__ == "__main__":
    main()
