"""`overwinter secrets`: set from a pipe and at a terminal, listed, deleted, through a restart; who may; what a damaged file or
another key costs. Values are canaries: the test looks for them in all that is written and shown."""

import os
import pty
import select
import signal
import subprocess
import unittest

from harness import Cluster, main

CANARIES = [f"canary{i}-{os.urandom(8).hex()}" for i in range(4)]


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(workers=1, devices=("cpu:memory=64MiB,threads=1",)).__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.shown = []  # all that the command said

    def run_secrets(self, *arguments, code=0, **more):
        done = self.cluster.run("secrets", *arguments, code=code, **more)
        self.shown.append(done.stdout + done.stderr)
        return done

    def names(self, *arguments):
        listed = self.cluster.json("secrets", "list", *arguments)["secrets"]
        self.shown.append(str(listed))
        return [secret["name"] for secret in listed]

    def at_terminal(self, name, typed):
        """Runs `secrets set` as a person does; returns what the terminal showed."""
        person, terminal = pty.openpty()
        process = subprocess.Popen([os.path.join(self.cluster.bin, "overwinter"), "secrets", "set", name],
                                   env=self.cluster.env, stdin=terminal, stdout=terminal, stderr=terminal)
        self.cluster.started.append(process)
        os.close(terminal)
        shown = b""
        while b"(not shown): " not in shown:
            self.assertTrue(select.select([person], [], [], 30)[0], shown)
            shown += os.read(person, 4096)
        os.write(person, typed.encode() + b"\n")
        try:
            while chunk := os.read(person, 4096):
                shown += chunk
        except OSError:
            pass  # Linux says EIO when the last one has closed it
        self.assertEqual(process.wait(30), 0, shown)
        os.close(person)
        self.shown.append(shown.decode())
        return shown.decode()

    def data(self):
        return os.path.join(self.cluster.dir, os.path.dirname(next(
            os.path.relpath(os.path.join(folder, "secrets.key"), self.cluster.dir)
            for folder, _, files in os.walk(self.cluster.dir) if "secrets.key" in files)))

    def file_of(self, name):
        return next(os.path.join(folder, name)
                    for folder, _, files in os.walk(os.path.join(self.data(), "secrets")) if name in files)

    def restart(self):
        self.cluster.kill("coordinator", signal.SIGTERM)
        self.cluster.up_again()

    def test_1_set_list_delete(self):
        self.assertEqual(self.names(), [])
        self.run_secrets("set", "HF_TOKEN", stdin=CANARIES[0] + "\n")
        self.assertIn("value of TYPED", self.at_terminal("TYPED", CANARIES[1]))
        self.run_secrets("set", "GOES", stdin=CANARIES[2])
        both = ["projects/default/secrets/HF_TOKEN", "projects/default/secrets/TYPED"]
        self.run_secrets("delete", "GOES")
        self.assertEqual(self.names(), both)
        self.run_secrets("delete", "GOES", code=5)
        self.restart()
        self.assertEqual(self.names("--project", "default"), both)
        self.assertIn("HF_TOKEN", self.run_secrets("list").stdout)

    def test_2_what_is_refused(self):
        for name, value in (("1BAD", "v"), ("A-B", "v"), ("EMPTY", ""), ("LONG", "x" * 70000)):
            done = self.run_secrets("set", name, code=2, stdin=value)
            self.assertTrue(done.stderr.startswith("error: "), done.stderr)
            self.assertNotIn("xxx", done.stderr)
        self.run_secrets("set", "KEY", "--project", "nowhere", code=5, stdin=CANARIES[2])
        self.run_secrets("set", code=2)
        os.mkdir(self.cluster.path("empty"))
        for command in ("run", "plan"):
            arguments = ["--workdir", self.cluster.path("empty"), "--secret", "HF_TOKN", "--", "true"]
            if command == "plan":
                with open(self.cluster.path("job.yaml"), "w", encoding="ascii") as f:
                    f.write("name: s\nworkload: { exec: { command: 'true', secrets: [HF_TOKN] } }\n")
                arguments = [self.cluster.path("job.yaml")]
            done = self.cluster.call(command, *arguments)
            self.assertEqual(done.returncode, 5, done.stderr)
            self.assertIn("project default has no secret HF_TOKN", done.stderr)
            self.assertIn("overwinter secrets set HF_TOKN", done.stderr)

    def test_3_damage_and_another_key(self):
        self.run_secrets("set", "DAMAGED", stdin=CANARIES[3])
        with open(self.file_of("DAMAGED"), "r+b") as f:
            f.seek(-3, os.SEEK_END)
            f.write(b"???")
        listed = {s["name"].split("/")[-1]: s["problem"] for s in self.cluster.json("secrets", "list")["secrets"]}
        self.assertIn("damaged", listed["DAMAGED"])
        self.assertEqual(listed["HF_TOKEN"], "")
        key = os.path.join(self.data(), "secrets.key")
        os.rename(key, key + ".away")
        self.cluster.kill("coordinator", signal.SIGTERM)
        refused = self.cluster.call("up", "--dir", self.cluster.dir)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("secrets.key", refused.stderr + self.cluster.logs())
        os.rename(key + ".away", key)
        self.cluster.up_again()
        self.run_secrets("set", "DAMAGED", stdin=CANARIES[3])
        self.assertEqual({s["problem"] for s in self.cluster.json("secrets", "list")["secrets"]}, {""})

    def test_4_no_value_anywhere(self):
        def holders():
            out = []
            for folder, _, files in os.walk(self.cluster.home):
                for name in files:
                    path = os.path.join(folder, name)
                    if os.path.isfile(path) and not os.path.islink(path):
                        with open(path, "rb") as f:
                            content = f.read()
                        out += [path for canary in CANARIES if canary.encode() in content]
            return out

        for name in ("secrets.key", os.path.join("secrets")):
            mode = os.stat(os.path.join(self.data(), name)).st_mode & 0o777
            self.assertEqual(mode & 0o077, 0, name)
        self.assertEqual(holders(), [])
        for canary in CANARIES:
            self.assertNotIn(canary, "".join(self.shown))
        with open(os.path.join(self.cluster.dir, "planted"), "w", encoding="ascii") as f:
            f.write(CANARIES[1])
        self.assertEqual(len(holders()), 1, "the search finds what is there")


if __name__ == "__main__":
    main()
