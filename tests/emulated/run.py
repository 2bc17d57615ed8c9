#!/usr/bin/python3
"""Runs programs of a build on a processor that this machine does not have, inside the emulator Bochs.

    tests/emulated/run.py corei7_skylake_x                                 # AVX-512: the tests of the kernels
    tests/emulated/run.py corei7_skylake_x 'unit_worker_kernels=*AtLevel*' # one program, some of its tests
    tests/emulated/run.py corei7_skylake_x 'overwinter --version'          # a program that is no test

A whole machine is started: Debian's kernel, busybox and the programs with their libraries, in memory. The emulator and
the kernel are Debian's packages, unpacked into a folder and not installed. Exit code 0: every program ended with 0, each
test program ran a test and failed none, none was skipped for want of an instruction set that the model is run for, and
the processor that the kernel saw had those instruction sets and lacked those that it is run without.
"""

import argparse
import os
import re
import shlex
import signal
import sys
import tempfile
import time

import machine

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))

AVX512 = ("avx512f", "avx512vl", "avx512dq", "avx512bw", "avx2", "fma")
# Those that compare each level with its twins.
LEVELS = ("unit_worker_compress=*CompressLevel*", "unit_worker_kernels=*AtLevel*:TrainKernels.*:StrassenPasses.*:Convert.*")

# Model -> what its processor must have, what it must lack, what is run when nothing is named.
MODELS = {
    "corei7_skylake_x": (AVX512, (), LEVELS),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("program", nargs="*", help="PROGRAM=FILTER of GoogleTest, or 'PROGRAM ARGUMENT...'")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/test/bin"), help="where the programs lie")
    parser.add_argument("--packages", default=os.path.join(ROOT, "build/emulated"),
                        help="where Debian's packages are unpacked, once")
    parser.add_argument("--seconds", type=int, default=3600, help="after which the machine is switched off")
    return parser.parse_intermixed_args()


def command_of(program):
    """The program's name and its line for a shell."""
    name, _, tests = program.partition("=")
    if re.fullmatch(r"[\w-]+", name) and tests:
        return name, shlex.join([name, f"--gtest_filter={tests}"])
    words = shlex.split(program)
    return words[0], shlex.join(words)


def shell_lines(commands):
    for number, command in enumerate(commands):
        yield f"echo emulated: begins {number}"
        yield command
        yield f"echo emulated: code {number} $?"


def wrong_instructions(text, has, lacks):
    flags = re.search(r"^flags\s*:(.*)$", text, re.M)
    if not flags:
        return ["the machine did not start"]
    seen = set(flags.group(1).split())
    return ([f"the processor has no {flag}" for flag in has if flag not in seen] +
            [f"the processor has {flag}" for flag in lacks if flag in seen])


def count(output, word):
    found = re.search(rf"^\[\s*{word}\s*\] (\d+) tests?", output, re.M)
    return int(found.group(1)) if found else 0


def skipped_levels(output, has):
    """Tests that say that they are of the level and did not run, although the processor has it."""
    level = "avx512" if "avx512f" in has else "avx2" if "avx2" in has else "baseline"
    return sorted(set(re.findall(rf"^\[\s*SKIPPED \] (\S*/{level})", output, re.M)))


def wrong_program(text, number, command, has):
    """What is wrong with a program's run; prints a line of what it did."""
    found = re.search(rf"^emulated: begins {number}$\n(.*?)^emulated: code {number} (\d+)$", text, re.M | re.S)
    if not found:
        return [f"{command}: did not come to its end"]
    output, code = found.group(1), int(found.group(2))
    passed, failed, skipped = (count(output, word) for word in ("PASSED", "FAILED", "SKIPPED"))
    is_test = "--gtest_filter" in command
    print(f"  {command}: code {code}" + (f", {passed} passed, {failed} failed, {skipped} skipped" if is_test else ""))
    wrong = [f"{command}: {test} did not run" for test in skipped_levels(output, has)]
    if code != 0 or failed:
        wrong.append(f"{command}: code {code}, {failed} tests failed")
    if is_test and not passed:
        wrong.append(f"{command}: ran no test")
    return wrong


def show(text):
    sys.stdout.write(text.replace("\r", ""))
    sys.stdout.flush()


def main():
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the machine ends too
    has, lacks, default = MODELS[args.model]
    named = [command_of(program) for program in args.program or default]
    programs = [os.path.join(args.bin, name) for name in dict.fromkeys(name for name, _ in named)]
    for program in programs:
        if not os.path.exists(program):
            raise SystemExit(f"{program} is not there: build it first")
    machine.unpack_packages(args.packages)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="overwinter-emulated-") as work:
        machine.make_image(args.packages, programs, list(shell_lines(command for _, command in named)), work)
        text = machine.run(args.packages, args.model, work, args.seconds, show)
    print(f"\n{args.model}, {time.monotonic() - begin:.0f} s:")
    wrong = wrong_instructions(text, has, lacks)
    for number, (_, command) in enumerate(named):
        wrong += wrong_program(text, number, command, has)
    for line in wrong:
        print(f"  WRONG: {line}")
    print("all passed" if not wrong else f"{len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
