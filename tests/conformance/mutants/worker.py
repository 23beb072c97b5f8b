"""A worker that is wrong in one way, for testing the conformance suite.

    python worker.py [--mutant NAME] [--version N]

Without --mutant it is right. mutants.toml says what each mutant breaks and which requirements the suite must name.
"""

import sys

from base import Worker
from mutants import MUTANTS


def main():
    options = dict(zip(sys.argv, sys.argv[1:]))
    kind = MUTANTS[options["--mutant"]] if "--mutant" in options else Worker
    kind.version = int(options.get("--version", kind.version))
    kind().run()


main()
