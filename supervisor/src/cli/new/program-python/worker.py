"""The nodes of this package. How they are asked for, and how they answer, is in bridge.py."""
import time

import bridge


def Repeat(progress, text=str, times=2):
    """Repeats a text."""
    if not 0 <= times <= 1000:
        raise ValueError("field `times`: from 0 to 1000")
    return text * times


def Wait(progress, seconds=1.0):
    """Waits, and says how far it is."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        progress(seconds - left, seconds)  # A request that has been cancelled ends here.
        time.sleep(min(left, 0.05))
    return seconds


# Parameters are fields: with a default, or with a type where the field is required.
if __name__ == "__main__":
    bridge.serve("my_nodes", Repeat, Wait)
