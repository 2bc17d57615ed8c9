"""kill -9 of workers and of the coordinator in one job: SUCCEEDED, with the one bill that Python computes from the
workers' own records and the price book, to the last micro-unit."""

import itertools
import json
import unittest

import numpy as np

from harness import SLOW, Cluster, main, relative_error, wait_until

RNG = np.random.default_rng(17)
PER_HOUR = 36  # of a device: ten micro-units a millisecond, so that each millisecond shows


def used_ms(all_records):
    """Seat → what its use may be, in ms: its last word; of a seat that was killed the word before it, too, since the
    record is written before the message leaves."""
    words, ended = {}, set()
    for r in all_records:
        if r["record"] == "began":
            words.setdefault(r["seat"], [0])
        elif r["record"] in ("evidence", "ended"):
            words[r["seat"]].append(r["used_ms"])
        if r["record"] == "ended":
            ended.add(r["seat"])
    return {seat: {said[-1]} if seat in ended else set(said[-2:]) for seat, said in words.items()}


def micros(used):
    """Half away from zero, of whole devices at PER_HOUR."""
    return (2 * used * PER_HOUR * 1_000_000 + 3_600_000) // (2 * 3_600_000)


class Bill(unittest.TestCase):
    def test_three_kills_in_one_job(self):
        with Cluster(workers=2, devices=("cpu:memory=16MiB,threads=1",), env=SLOW) as cluster:
            with open(cluster.path("prices.yaml"), "w", encoding="utf-8") as f:
                f.write(f"currency: USD\nprices:\n  - {{ from: 2026-01-01, device: cpu, per_hour: {PER_HOUR} }}\n")
            cluster.run("prices", "set", cluster.path("prices.yaml"))
            a = RNG.standard_normal((4800, 4800))
            b = RNG.standard_normal((4800, 4800))
            cluster.save("A.npy", a)
            cluster.save("B.npy", b)
            process = cluster.start("matmul", cluster.path("A.npy"), cluster.path("B.npy"), "-o", cluster.path("C.npy"))
            self.wait_for_seats(cluster, process, {"worker-1": 1, "worker-2": 1})
            cluster.kill("worker-2")
            cluster.up_again()
            self.wait_for_seats(cluster, process, {"worker-1": 1, "worker-2": 2})
            cluster.kill("coordinator")
            cluster.up_again()
            self.wait_for_words(cluster, process)
            cluster.kill("worker-1")
            cluster.up_again()
            out, err = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 0, out + err + cluster.logs())
            self.assertLessEqual(relative_error(np.load(cluster.path("C.npy")), a, b), 1e-13)
            self.check(cluster)

    def wait_for_seats(self, cluster, process, wanted):
        """Until each worker has begun so many seats and said how much it used of the last one."""
        def there():
            self.still_running(process)
            for name, number in wanted.items():
                seats = [r["seat"] for r in cluster.worker_records()[name] if r["record"] == "began"]
                if len(seats) < number:
                    return False
                words = [r for r in cluster.worker_records()[name]
                         if r["record"] == "evidence" and r["seat"] == seats[-1]]
                if not words:
                    return False
            return True

        wait_until(f"seats {wanted}", there)

    def wait_for_words(self, cluster, process):
        """Until the new coordinator knows both workers and has heard of each what it used since: a greeting that
        nobody took is in the worker's record, too."""
        wait_until("both are back", lambda: len(cluster.machines("READY")) == 2)

        def words():
            return [sum(r["record"] == "evidence" for r in seats) for seats in cluster.worker_records().values()]

        said = words()
        def there():
            self.still_running(process)
            return all(now >= then + 2 for then, now in zip(said, words()))

        wait_until("both speak", there)

    def still_running(self, process):
        self.assertIsNone(process.poll(), "the job ended before the faults; make it longer")

    def check(self, cluster):
        job = cluster.job()
        self.assertEqual(job["state"], "SUCCEEDED")
        self.assertEqual(job["progress"]["unitsDone"], job["progress"]["unitsTotal"])
        self.assertEqual(job["attempt"], 1)
        self.assertEqual(len(cluster.json("jobs", "list")["jobs"]), 1)
        charged = int(job["cost"]["charged"]["amountMicros"])
        seats = {}
        for records in cluster.worker_records().values():
            mine = used_ms(records)
            self.assertFalse(seats.keys() & mine.keys())
            seats.update(mine)
        self.assertGreaterEqual(len(seats), 4, seats)
        possible = {micros(sum(uses)) for uses in itertools.product(*seats.values())}
        self.assertLessEqual(len(possible), 4)  # the two killed seats
        self.assertIn(charged, possible, json.dumps({s: sorted(u) for s, u in seats.items()}))
        # One bill: the list of costs, the sum and the machines say the same.
        costs = cluster.json("cost", "@last")
        self.assertEqual(int(costs["total"]["amountMicros"]), charged)
        machines = cluster.json("cost", "--machines")
        self.assertEqual(int(machines["total"]["jobs"]["amountMicros"]), charged)
        print(f"bill {charged} micro-USD, from {len(seats)} seats in the workers' records")


if __name__ == "__main__":
    main()
