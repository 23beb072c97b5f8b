"""Bad input and limits."""

import os
import sys

from base import Worker


class MalformedEnds(Worker):
    """It ends when a payload is no MessagePack."""

    def on_payload(self, payload):
        try:
            self.unpack(payload)
        except Exception:
            self.end(0)
        super().on_payload(payload)


class MalformedUnanswered(Worker):
    """A payload that is no MessagePack is passed over in silence."""

    def on_payload(self, payload):
        try:
            self.unpack(payload)
        except Exception:
            return
        super().on_payload(payload)


class IdNotSalvaged(Worker):
    """The id of a payload that is cut off is not looked for."""

    def salvage(self, payload):
        return None


class NoMapEnds(Worker):
    """It ends when a payload is no map."""

    def on_no_map(self, message):
        super().on_no_map(message)
        self.end(0)


class NoMapUnanswered(Worker):
    """A payload that is no map is passed over in silence."""

    def on_no_map(self, message):
        pass


class NoMapText(Worker):
    """The error for a payload that is no map is worded differently."""

    def on_no_map(self, message):
        self.fail(None, "not a request")


class UnknownTypeUnanswered(Worker):
    """A request of an unknown type has no answer."""

    def start(self, call):
        if call.kind in self.handlers or str(call.kind).startswith(("provider.", "comfy.", "blender.")):
            super().start(call)


class UnknownTypeText(Worker):
    """The error for an unknown type does not name it."""

    def unknown_kind(self, call):
        if str(call.kind).startswith(("provider.", "comfy.", "blender.")):
            return super().unknown_kind(call)
        raise ValueError("what?")


class OversizedUnanswered(Worker):
    """A length above the limit ends it without a word."""

    def on_oversized(self, length):
        pass


class OversizedUnnumbered(Worker):
    """The error for a length above the limit tells no numbers."""

    def on_oversized(self, length):
        self.fail(None, "the frame is too large")


class OversizedDropsWork(Worker):
    """A length above the limit ends the requests in flight without an answer."""

    def on_oversized(self, length):
        super().on_oversized(length)
        self.exit()


class TruncatedStatus(Worker):
    """A stream that ends inside a frame makes it exit with 1."""

    def on_truncated(self, payload):
        os._exit(1)


class TooLargeUnanswered(Worker):
    """An answer too large for a frame is never given."""

    def on_too_large(self, size):
        sys.exit()  # of this thread


class TooLargeEnds(Worker):
    """It ends over an answer that is too large for a frame."""

    def on_too_large(self, size):
        self.exit()


class TooLargeSent(Worker):
    """A frame may be larger than the limit."""

    def on_too_large(self, size):
        pass


class LimitIgnored(Worker):
    """NODETOOL_BRIDGE_MAX_FRAME_SIZE has no effect."""

    def __init__(self):
        super().__init__()
        self.max_frame = 256 << 20
