"""The provider `local` held to the reference libraries, by a host that knows nothing but msgpack.

    python tests/models/run.py MILLWORK [--only NAME]…

Starts `millwork serve` with the models of zoo/, makes every call, and prints a figure for each: how close the answers are to
those of references/. README.md says what the models are. What needs a seam inside (noise, single tokens, mels) is in local/tests/models. The exit status is 0 where every figure holds.
"""

import argparse
import collections
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / "docs" / "examples")]
import host  # noqa: E402
from checks import adapters, embeddings, language, memory, pictures, speech, voices  # noqa: E402

CHECKS = {
    "embeddings": embeddings.check,
    "language": language.check,
    "speech": speech.check,
    "voices": voices.check,
    "pictures": pictures.check,
    "adapters": adapters.check,
    "memory": memory.check,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("millwork", help="the program")
    parser.add_argument("--only", action="append", choices=CHECKS, help="only this part; may be given again")
    options = parser.parse_args()
    print(f"{os.path.basename(options.millwork)} serve, models of {HERE.name}/zoo\n")
    failed = collections.Counter()
    for name in options.only or CHECKS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as home:
            environment = {"HF_HOME": home, "HOME": home}
            for figure in CHECKS[name](Serve(options.millwork, environment)):
                print(figure, flush=True)
                failed[name] += not figure.holds
        print(f"{name}: {'FAILED' if failed[name] else 'ok'} ({time.monotonic() - began:.0f} s)\n", flush=True)
    sys.exit(f"{failed.total()} figures do not hold" if failed.total() else 0)


class Serve:
    """Starts fleets, or a worker alone, over the models of the zoo."""

    def __init__(self, program: str, environment: dict[str, str]):
        self.program, self.environment = program, environment

    def __call__(self, **environment: str) -> host.Worker:
        return self._start("serve", environment)

    def worker(self, **environment: str) -> host.Worker:
        return self._start("worker", environment)

    def _start(self, command: str, environment: dict[str, str]) -> host.Worker:
        os.environ.update(self.environment | environment)
        return host.Worker([self.program, command, "--stdio", "--models", str(HERE / "zoo")])


if __name__ == "__main__":
    main()
