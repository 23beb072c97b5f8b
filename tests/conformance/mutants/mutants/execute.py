"""execute: fields, results, blobs, errors, and what one request leaves behind for the next."""

import os
import time

from base import Worker


class UnknownNodeText(Worker):
    """The error for an unknown node is worded differently."""

    def node(self, name):
        if name not in self.nodes:
            raise ValueError(f"no node {name}")
        return super().node(name)


class UnknownFieldRefused(Worker):
    """A field that the node does not have is an error."""

    def unknown_field(self, node, field):
        raise ValueError(f"{node} has no field `{field}`")


class WrongTypeAccepted(Worker):
    """A value of a wrong type counts as not given."""

    def convert(self, field, value, kind, default):
        try:
            return super().convert(field, value, kind, default)
        except TypeError:
            return default


class WrongTypeUnnamed(Worker):
    """The error for a wrong type does not name the field."""

    def wrong_type(self, field, kind, value):
        raise TypeError("a value is of the wrong type")


class NilNotDefault(Worker):
    """nil for a field is an error and not the default."""

    def fields(self, name, node, data):
        for field, value in self.part(data, "fields").items():
            if value is None and node.fields.get(field, ("any",))[0] != "any":
                raise TypeError(f"field `{field}` is nil")
        return super().fields(name, node, data)


class OutputsMissing(Worker):
    """A result has its slots at the top and not under `outputs`."""

    def chunked(self, call, reply):
        return reply["outputs"] if "outputs" in reply and call.kind == "execute" else super().chunked(call, reply)


class SecretsKept(Worker):
    """A secret of one request is there for the next."""

    kept = {}

    def execute(self, call):
        self.kept.update(call.data.get("secrets") or {})
        call.data["secrets"] = self.kept
        return super().execute(call)


class FieldsKept(Worker):
    """The values of one request are the defaults of the next."""

    kept = {}

    def fields(self, name, node, data):
        kept = self.kept.setdefault(name, {})
        kept.update(self.part(data, "fields"))
        return super().fields(name, node, {**data, "fields": dict(kept)})


class BlobsKept(Worker):
    """A blob of one request is there for the next of the same node."""

    kept = {}

    def fields(self, name, node, data):
        kept = self.kept.setdefault(name, {})
        kept.update(self.part(data, "blobs"))
        return super().fields(name, node, {**data, "blobs": dict(kept)})


class AnswersMixed(Worker):
    """Requests side by side share what they work on."""

    def execute(self, call):
        self.current = call.data
        time.sleep(0.01)
        call.data = self.current
        return super().execute(call)


class BlobUriWrong(Worker):
    """The reference beside a blob is a path on its own disk."""

    def output_reference(self, slot, value):
        return {**super().output_reference(slot, value), "uri": f"file:///tmp/{slot}"}


class BlobCut(Worker):
    """The last byte of a blob is lost."""

    def slots(self, values):
        slots = super().slots(values)
        return {**slots, "blobs": {slot: blob[:-1] for slot, blob in slots["blobs"].items()}}


class BlobAsText(Worker):
    """Blobs are sent as texts."""

    def slots(self, values):
        slots = super().slots(values)
        return {**slots, "blobs": {slot: blob.decode("latin-1") for slot, blob in slots["blobs"].items()}}


class NestedBlobByUri(Worker):
    """A file inside a list is a reference to bytes that never come."""

    def nested(self, value):
        if isinstance(value, list):
            return [self.nested(item) for item in value]
        if isinstance(value, dict) and isinstance(value.get("data"), bytes):
            return {"type": value["type"], "uri": "blob://nested"}
        return value


class BlobListFirstOnly(Worker):
    """Of a list of blobs only the first arrives."""

    def reference(self, field, blob):
        return super().reference(field, blob[:1] if isinstance(blob, list) else blob)


class ErrorUnderMessage(Worker):
    """The text of an error is under `message`."""

    def fail(self, request_id, text, more=()):
        self.send("error", request_id, {"message": text, **dict(more)})


class TracebackNil(Worker):
    """An error has a traceback of nil."""

    def traceback_of(self, error):
        return {"traceback": None}


class ErrorTextLost(Worker):
    """Every error has the same text."""

    def error_text(self, error):
        text = super().error_text(error)
        return "the node failed" if "on purpose" in text or isinstance(error, RuntimeError) else text


class DeadAfterError(Worker):
    """It ends after a node has failed."""

    def answer(self, call):
        super().answer(call)
        if call.kind == "execute" and call.data.get("node_type") == "test.Fail":
            os._exit(1)


class ProgressWithoutTotal(Worker):
    """Progress has no total."""

    def progress(self, done, total):
        return {"progress": done}


class ProgressAsText(Worker):
    """Progress is a text with a percent sign."""

    def progress(self, done, total):
        return {"progress": f"{100 * done / total:.0f} %", "total": "100 %"}


class ProgressAfterResult(Worker):
    """A last progress follows the result."""

    def answer(self, call):
        super().answer(call)
        if isinstance(call.data, dict) and call.data.get("node_type") == "test.Progress":
            self.send("progress", call.id, self.progress(1, 1))


class TwoResults(Worker):
    """A result is sent twice."""

    def send(self, kind, request_id, data):
        super().send(kind, request_id, data)
        if kind == "result" and "outputs" in data:
            super().send(kind, request_id, data)
