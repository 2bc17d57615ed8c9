"""`buf curl` submits and watches a job, by reflection alone. Needs buf on the path, or OVERWINTER_BUF naming it (npm's
@bufbuild/buf has it); Debian does not, so it is skipped without."""

import json
import os
import shutil
import unittest

import numpy as np

from harness import Cluster, main, text_of

BUF = os.environ.get("OVERWINTER_BUF") or shutil.which("buf")


@unittest.skipUnless(BUF, "buf is not installed: npm install @bufbuild/buf, then OVERWINTER_BUF=PATH")
class BufCurl(unittest.TestCase):
    def start(self, cluster, method, request):
        place = cluster.place()
        with open(cluster.path("headers"), "w", encoding="ascii") as f:
            f.write("authorization: Bearer " + text_of(place["token_file"]).strip() + "\n")
        return cluster.start_program([BUF, "curl", "--cacert", place["ca"], "--protocol", "grpc",
                                      "-H", "@" + cluster.path("headers"), "--reflect-header", "*", "-d",
                                      json.dumps(request), f"https://{place['grpc']}/overwinter.v1.JobService/{method}"])

    def test_submit_and_watch(self):
        with Cluster(workers=1) as cluster:
            path = cluster.save("A.npy", np.ones((40, 40), np.float32))
            cluster.run("matmul", path, path, "-o", cluster.path("C.npy"), "--quiet")
            digest = cluster.job()["plan"]["matmul"]["aDigest"]
            uri = digest if digest.startswith("artifact://") else "artifact://" + digest
            submit = self.start(cluster, "SubmitJob", {"spec": {"name": "by buf", "matmul": {"a": uri, "b": uri}}})
            out, err = submit.communicate(timeout=30)
            self.assertEqual(submit.returncode, 0, err)
            name = json.loads(out)["name"]
            watch = self.start(cluster, "WatchJobs", {"parent": "projects/default", "name": name})
            text, decoder, state = "", json.JSONDecoder(), ""
            for line in watch.stdout:
                text += line
                try:
                    seen, end = decoder.raw_decode(text.lstrip())
                except ValueError:
                    continue
                text = text.lstrip()[end:]
                state = seen["job"]["state"]
                if state == "SUCCEEDED":
                    break
            self.assertEqual(state, "SUCCEEDED", text)
            self.assertEqual(cluster.job(name)["displayName"], "by buf")


if __name__ == "__main__":
    main()
