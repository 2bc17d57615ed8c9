"""Layering, size and naming checks over the source text.

    python3 tests/layout/layout.py [ROOT] [--only CHECK]     every check, or one; names file and line
"""
import argparse
import os
import sys

import checks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("root", nargs="?", default=os.path.join(here, "..", ".."))
    parser.add_argument("--only", choices=sorted(checks.CHECKS))
    arguments = parser.parse_args()
    tree = checks.Tree(os.path.abspath(arguments.root))
    if not tree.code:
        print(f"no source under {tree.root}", file=sys.stderr)
        return 2
    found = 0
    for name, check in checks.CHECKS.items():
        if arguments.only in (None, name):
            for path, line, what in check(tree):
                print(f"{path}:{line}: {what} [{name}]")
                found += 1
    print(f"{found} found in {len(tree.text)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
