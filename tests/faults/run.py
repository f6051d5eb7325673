#!/usr/bin/env python3
"""Runs the faults: `tests/faults/run.py [--rounds N] [--seed SEED] [NAME ...]`, such as `--rounds 1000 test_kills`.

A round is one kill, one cut, one client. The same seed does the same again; it is printed first. The server is the
built command (target/debug/number8), or the one that NUMBER8_BIN names.
"""

import argparse
import os
import pathlib
import secrets
import sys
import unittest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="how much of each test (100)")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what chance begins with (another each time)")
    parser.add_argument("names", metavar="NAME", nargs="*", help="tests, as unittest names them (all)")
    arguments = parser.parse_args()
    os.environ |= {"FAULT_ROUNDS": str(arguments.rounds), "FAULT_SEED": arguments.seed}
    again = " ".join(["tests/faults/run.py", "--rounds", str(arguments.rounds), "--seed", arguments.seed, *arguments.names])
    print(f"to do the same again: {again}", flush=True)
    here = str(pathlib.Path(__file__).resolve().parent)
    sys.path.insert(0, here)
    loader = unittest.TestLoader()
    tests = loader.loadTestsFromNames(arguments.names) if arguments.names else loader.discover(here)
    result = unittest.TextTestRunner(verbosity=2).run(tests)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
