"""execute.stream, cancel, and blobs in chunks."""

import threading

from base import Worker


class StreamResultFull(Worker):
    """The end of a stream repeats its last chunk."""

    def end_of_stream(self, last):
        return last


class ChunkLost(Worker):
    """The second chunk of a stream is lost."""

    def chunk(self, call, index, slots):
        if index != 1:
            super().chunk(call, index, slots)


class ChunksSwapped(Worker):
    """The first two chunks of a stream change places."""

    def chunk(self, call, index, slots):
        if index == 0:
            call.first = slots
            return
        super().chunk(call, index, slots)
        if index == 1:
            super().chunk(call, 0, call.first)


class ChunkAfterEnd(Worker):
    """A chunk follows the end of a stream."""

    def answer(self, call):
        super().answer(call)
        if call.kind == "execute.stream":
            self.send("chunk", call.id, {"outputs": {}, "blobs": {}})


class ChunkWithoutBlobs(Worker):
    """Chunks have no blobs, even where the node sends some."""

    def chunk(self, call, index, slots):
        super().chunk(call, index, {**slots, "blobs": {}})


class CancelIgnored(Worker):
    """A cancel has no effect."""

    def on_cancel(self, request_id):
        pass


class CancelAnswered(Worker):
    """A cancel has an answer of its own."""

    def on_cancel(self, request_id):
        super().on_cancel(request_id)
        self.send("result", request_id, {})


class CancelUnknownAnswered(Worker):
    """A cancel of an id that it does not know is an error."""

    def on_cancel(self, request_id):
        if request_id not in self.running:
            self.fail(request_id, "nothing to cancel")
        super().on_cancel(request_id)


class CancelEndsAll(Worker):
    """A cancel ends every request."""

    def on_cancel(self, request_id):
        self.cancel_everything()


class CancelledUnanswered(Worker):
    """A cancelled request has no terminal frame."""

    def fail(self, request_id, text, more=()):
        if "cancelled" not in text:
            super().fail(request_id, text, more)


class CancelledTwice(Worker):
    """A cancelled request has two terminal frames."""

    def fail(self, request_id, text, more=()):
        super().fail(request_id, text, more)
        if "cancelled" in text:
            super().fail(request_id, text, more)


class CancelKept(Worker):
    """An id that was cancelled once stays cancelled."""

    cancelled = set()

    def on_cancel(self, request_id):
        self.cancelled.add(request_id)
        super().on_cancel(request_id)

    def start(self, call):
        if call.id in self.cancelled:
            call.cancelled.set()
        super().start(call)


class OneAtATime(Worker):
    """It answers one request before it reads the next."""

    def start(self, call):
        self.answer(call)


class FramesTorn(Worker):
    """Frames of requests side by side end up inside each other."""

    def write(self, data):
        super().write(data[:4])
        self.writing.release()
        threading.Event().wait(0.02)
        self.writing.acquire()
        super().write(data[4:])


class DigestWrong(Worker):
    """The digest of a blob in chunks is wrong."""

    def digest(self, blob):
        return super().digest(blob + b"!")


class DigestUpperCase(Worker):
    """The digest of a blob is in upper case."""

    def digest(self, blob):
        return super().digest(blob).upper()


class OffsetsFromOne(Worker):
    """The chunks of a blob are counted and not measured."""

    def blob_chunk(self, call, name, offset, part):
        super().blob_chunk(call, name, offset // self.chunk_size, part)


class BlobSizeWrong(Worker):
    """The size that is announced is not that of the blob."""

    def blob_start(self, name, blob):
        return {**super().blob_start(name, blob), "size": len(blob) + 1}


class BlobEndMissing(Worker):
    """A blob in chunks has no end."""

    def blob_end(self, call, name, blob):
        pass


class BlobTwice(Worker):
    """A blob that travelled in chunks is in the result too."""

    def without_blobs(self, reply):
        return reply


class ChunkSizeIgnored(Worker):
    """NODETOOL_BRIDGE_BLOB_CHUNK_SIZE has no effect."""

    def __init__(self):
        super().__init__()
        self.chunk_size = 1 << 20


class ChunksUnasked(Worker):
    """Blobs travel in chunks although nobody asked."""

    def chunked(self, call, reply):
        call.data["blob_transfer"] = "chunked-v1"
        return super().chunked(call, reply)
