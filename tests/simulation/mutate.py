#!/usr/bin/python3
"""Whether the tests notice a wrong core: flips one comparison, one of && and ||, one of min and max, or one 0 or 1 in
coordinator/core, policy and ledger at a time, and runs their unit tests and the simulation (TRUST 5).

All mutants are compiled at once: each place that can be flipped asks at run time whether it is the one, so that a
mutant costs a run and no build. The mutated copy and its build lie in build/mutants.

    tests/simulation/mutate.py --count 200 --seed 1
    tests/simulation/mutate.py --unit-only      # builds a third of it; what the simulation alone notices, survives
"""

import argparse
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import time

import mutants

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PLACE = os.path.join(ROOT, "build", "mutants")
ROOMS = ("coordinator/core", "coordinator/policy", "coordinator/ledger")
# What is always written over before it is read: values that cross the core's border.
NOT_MUTATED = {"event.h", "fact.h", "effect.h", "planted_bug.h", "planted_bug.cpp"}
EQUIVALENT = os.path.join(os.path.dirname(__file__), "equivalent_mutants.txt")
UNIT = ("unit_coordinator_core", "unit_coordinator_policy", "unit_coordinator_ledger")
MEMORY_MAX = 4 << 30


def sources():
    for room in ROOMS:
        for name in sorted(os.listdir(os.path.join(ROOT, room))):
            if name.endswith((".h", ".cpp")) and name not in NOT_MUTATED:
                yield os.path.join(room, name)


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write(path, text):
    """Leaves an unchanged file as it is, so that nothing is built for it."""
    if os.path.exists(path) and text_of(path) == text:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def find_all():
    found = []
    for path in sources():
        found += mutants.find(path, text_of(os.path.join(ROOT, path)))
    return found


def copy_tree(chosen):
    """The project with the chosen places mutated; number i of `chosen` is switched on by OVERWINTER_MUTANT=i."""
    source = os.path.join(PLACE, "source")
    tracked = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True,
                             capture_output=True, text=True).stdout.splitlines()
    by_path = {}
    for number, mutant in enumerate(chosen, 1):
        by_path.setdefault(mutant.path, []).append((number, mutant))
    for path in tracked:
        if not os.path.isfile(os.path.join(ROOT, path)):
            continue
        if path in by_path:
            text = text_of(os.path.join(ROOT, path))
            write(os.path.join(source, path), mutants.apply(text, by_path[path]))
        elif path.endswith((".h", ".cpp", ".txt", ".cmake", ".json", ".proto", ".S")):
            write(os.path.join(source, path), text_of(os.path.join(ROOT, path)))
    write(os.path.join(PLACE, "mutant.h"), mutants.HEADER)
    return source


def build(chosen, targets):
    """Builds; returns the places that do not compile."""
    source = copy_tree(chosen)
    out = os.path.join(PLACE, "out")
    flags = f"-w -Wno-narrowing -include {PLACE}/mutant.h"
    if not os.path.exists(os.path.join(out, "build.ninja")):
        subprocess.run(["cmake", "-S", source, "-B", out, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                        "-DCMAKE_CXX_FLAGS_RELEASE=-O1", f"-DCMAKE_CXX_FLAGS={flags}"], check=True,
                       stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "-C", out, "-j2", "-k0", *targets], capture_output=True, text=True)
    if done.returncode == 0:
        return []
    bad = []
    for path, line in set(re.findall(r"source/(coordinator/[^:\n]+):(\d+):\d+: error:", done.stdout)):
        bad += [m for m in chosen if m.path == path and m.line <= int(line) <= m.last_line]
    if not bad:
        sys.exit(done.stdout[-8000:] + done.stderr)
    return bad


def limited():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Tests:
    def __init__(self, seeds, unit_only):
        bin_dir = os.path.join(PLACE, "out", "bin")
        simulation = [os.path.join(bin_dir, "simulation"), "--gtest_fail_fast",
                      "--gtest_filter=Simulation.FixedSeeds:Simulation.SameSeedSameTrace"]
        # Few seeds find most, and find out soon that a mutant hangs.
        self.commands = [[os.path.join(bin_dir, name), "--gtest_fail_fast"] for name in UNIT]
        self.commands += [] if unit_only else [simulation, simulation]
        self.seeds = [0] * len(UNIT) + [min(60, seeds), seeds]
        self.limits = [600] * len(self.commands)
        began = time.monotonic()
        for i, command in enumerate(self.commands):
            start = time.monotonic()
            if self.run(i, 0) is not None:
                sys.exit(f"{command[0]} fails without a mutant")
            self.limits[i] = 20 + 5 * (time.monotonic() - start)
        print(f"without a mutant: {time.monotonic() - began:.1f} s", flush=True)

    def run(self, i, number):
        """How a program ends badly; None: it passes."""
        env = {**os.environ, "OVERWINTER_MUTANT": str(number), "OVERWINTER_SEEDS": str(self.seeds[i])}
        try:
            code = subprocess.run(self.commands[i], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  timeout=self.limits[i], preexec_fn=limited, check=False).returncode
        except subprocess.TimeoutExpired:
            return "hangs"
        return None if code == 0 else "fails" if code == 1 else "crashes"

    def catch(self, number):
        """(program, how) that notices the mutant; None."""
        for i, command in enumerate(self.commands):
            how = self.run(i, number)
            if how:
                return os.path.basename(command[0]), how
        return None


def equivalents():
    """Lines "path | the line's text | change | reason": places where the flip changes nothing that can be seen."""
    out = set()
    if os.path.exists(EQUIVALENT):
        for line in text_of(EQUIVALENT).splitlines():
            if line and not line.startswith("#"):
                out.add(tuple(part.strip() for part in line.split(" | ")[:3]))
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1500, help="of the simulation, as ctest runs it")
    parser.add_argument("--unit-only", action="store_true", help="runs no simulation")
    parser.add_argument("--only", help="a path or path:line; all its mutants in place of a sample")
    parser.add_argument("--list", action="store_true", help="prints the candidates and ends")
    options = parser.parse_args()
    known = equivalents()
    # All are built, so that the numbers of mutants, and with them the build, do not hang on what is chosen.
    found = find_all()
    candidates = [m for m in found if m.key() not in known]
    if options.only:
        candidates = [m for m in candidates if f"{m.path}:{m.line}".startswith(options.only)]
        options.count = len(candidates)
    if options.list:
        for mutant in candidates:
            print(mutant)
        sys.exit(f"{len(candidates)} candidates")
    random.Random(options.seed).shuffle(candidates)
    os.makedirs(PLACE, exist_ok=True)
    found.sort(key=lambda m: (m.path, m.start))
    while bad := build(found, UNIT if options.unit_only else (*UNIT, "simulation")):
        print(f"{len(bad)} do not compile", flush=True)
        found = [m for m in found if m not in bad]
        candidates = [m for m in candidates if m not in bad]
    numbers = {m: i for i, m in enumerate(found, 1)}
    tests = Tests(options.seeds, options.unit_only)
    caught = {}
    sample = candidates[:options.count]
    for done, mutant in enumerate(sample, 1):
        by = tests.catch(numbers[mutant])
        if by:
            caught[by] = caught.get(by, 0) + 1
        else:
            print(f"{done} of {len(sample)} survives: {mutant}", flush=True)
    for (program, how), times in sorted(caught.items()):
        print(f"{program} {how}: {times}")
    print(f"caught {sum(caught.values())} of {len(sample)}")
    sys.exit(0 if 10 * sum(caught.values()) >= 9 * len(sample) else 1)


if __name__ == "__main__":
    main()
