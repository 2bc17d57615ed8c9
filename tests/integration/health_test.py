"""`--healthy` of coordinator and worker, as containers' health checks call it."""

import os
import subprocess
import time
import unittest

from harness import BIN, Cluster, main, wait_until


def healthy(program, folder):
    done = subprocess.run([os.path.join(BIN, program), "--data-dir", folder, "--healthy"], capture_output=True, text=True,
                          check=False, timeout=30)
    return done.returncode, done.stderr


class Healthy(unittest.TestCase):
    def test_says_how_both_are(self):
        with Cluster(workers=1) as cluster:
            coordinator, worker = os.path.join(cluster.dir, "coordinator"), os.path.join(cluster.dir, "worker-1")
            self.assertEqual(healthy("overwinter-coordinator", coordinator), (0, ""))
            wait_until("the worker's first beat", lambda: os.path.exists(os.path.join(worker, "pulse")))
            self.assertEqual(healthy("overwinter-worker", worker), (0, ""))
            cluster.kill("worker-1")
            past = time.time() - 60
            os.utime(os.path.join(worker, "pulse"), (past, past))
            code, said = healthy("overwinter-worker", worker)
            self.assertEqual(code, 1)
            self.assertRegex(said, r"not connected to its coordinator for 6\d s")
            cluster.kill("coordinator")
            code, said = healthy("overwinter-coordinator", coordinator)
            self.assertEqual(code, 1)
            self.assertIn("nobody answers at 127.0.0.1:", said)

    def test_a_folder_that_nothing_ran_with(self):
        for program in ("overwinter-coordinator", "overwinter-worker"):
            code, said = healthy(program, "/nonexistent")
            self.assertEqual(code, 1, said)
            self.assertIn("/nonexistent", said)


if __name__ == "__main__":
    main()
