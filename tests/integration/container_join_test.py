"""deploy/container-join.sh, which makes what the workers of docker-compose.yml join with: its command is one that `overwinter`
has, a worker joins by its file, and a second start leaves the file as it is. In folders of this test's own instead of the
container's."""

import os
import subprocess
import unittest

from harness import BIN, SOURCE, Cluster, main, text_of, wait_until


class ContainerJoin(unittest.TestCase):
    def test_a_worker_joins_by_what_it_writes(self):
        with Cluster(workers=1) as cluster:
            place = cluster.place()
            os.mkdir(cluster.path("join"))
            script = text_of(os.path.join(SOURCE, "deploy/container-join.sh"))
            for there, here in (("/var/lib/overwinter-coordinator", os.path.dirname(place["token_file"])),
                                ("coordinator:7600", place["grpc"]), ("/join", cluster.path("join"))):
                self.assertIn(there, script)
                script = script.replace(there, here)
            join = cluster.path("join/workers.join")

            def run():
                done = subprocess.run(["sh", "-s", "1"], input=script, env=cluster.env | {"PATH": BIN + ":" + os.environ["PATH"]},
                                      capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                return text_of(join)

            first = run()
            self.assertEqual(os.stat(join).st_mode & 0o777, 0o600)
            cluster.start_worker("contained", "--join", join, "--name", "contained")
            wait_until("it is ready", lambda: "contained" in cluster.machines("READY"))
            self.assertEqual(run(), first)


if __name__ == "__main__":
    main()
