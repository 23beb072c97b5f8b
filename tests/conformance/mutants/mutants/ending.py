"""Standard output, the end of stdin, signals, and what stays behind."""

import os
import signal
import sys

from base import Worker


class StdoutUnguarded(Worker):
    """What a node prints lands between the frames."""

    def guard_stdout(self):
        self.stdout = 1


class StdoutPythonOnly(Worker):
    """Only Python's own print is kept from the frames, not that of C and of children."""

    def guard_stdout(self):
        self.stdout = 1
        sys.stdout = sys.stderr


class GreetingOnStdout(Worker):
    """It greets on stdout before it begins."""

    def guard_stdout(self):
        print("conformant worker 1.0", flush=True)
        super().guard_stdout()


class EofWaits(Worker):
    """At the end of stdin it waits for its requests without a limit."""

    def end(self, grace):
        self.wait_for_requests(1_000_000)
        self.exit()


class EofIgnored(Worker):
    """It goes on when stdin has ended."""

    def end(self, grace):
        signal.pause()


class EofDropsWork(Worker):
    """At the end of stdin it exits without the answers it owes."""

    def end(self, grace):
        self.end_children()
        self.exit()


class EofNoGrace(Worker):
    """At the end of stdin requests are cancelled at once, without a grace."""

    grace = 0


class EofStatus(Worker):
    """It exits with 1."""

    def exit(self):
        os._exit(1)


class SigtermIgnored(Worker):
    """SIGTERM has no effect."""

    def on_sigterm(self):
        pass


class ChildLeft(Worker):
    """A child of its nodes lives on after it."""

    def end_children(self):
        pass
