"""Envelopes and the encodings of other hosts."""

from base import Worker


class NilDataRefused(Worker):
    """`data: nil` is an error."""

    def data_of(self, message):
        return message.get("data", {})


class AbsentDataRefused(Worker):
    """A request without `data` is an error."""

    def data_of(self, message):
        return {} if message.get("data", 0) is None else message.get("data")


class UnknownKeysRefused(Worker):
    """A key of the envelope that it does not know is an error."""

    def on_message(self, message):
        if message.keys() - {"type", "request_id", "data"}:
            self.fail(self.request_id(message.get("request_id")), "unknown key")
        else:
            super().on_message(message)


class KeyOrderFixed(Worker):
    """`type` is only found when it stands first."""

    def on_message(self, message):
        first = next(iter(message), None)
        super().on_message(message if first == "type" else {**message, "type": None})


class ExtraEnvelopeKey(Worker):
    """Its frames have a fourth key."""

    def frame(self, kind, request_id, data):
        return {**super().frame(kind, request_id, data), "version": 1}


class NumberAsId(Worker):
    """An id that is a number is given back as a number."""

    def request_id(self, value):
        return value if isinstance(value, str | int) else None


class LongIdCut(Worker):
    """Ids are cut after 64 characters."""

    def answer_id(self, call):
        return call.id and call.id[:64]


class Map16Refused(Worker):
    """A map with a header of 16 bits is refused."""

    def unpack(self, payload):
        if payload[0] == 0xDE:
            raise ValueError("unknown byte 0xde")
        return super().unpack(payload)


class Map32Refused(Worker):
    """A map with a header of 32 bits is refused."""

    def unpack(self, payload):
        if payload[0] == 0xDF:
            raise ValueError("unknown byte 0xdf")
        return super().unpack(payload)


class FloatForIntRefused(Worker):
    """A whole number that comes as a float is of the wrong type."""

    def convert(self, field, value, kind, default):
        if kind == "int" and isinstance(value, float):
            return self.wrong_type(field, kind, value)
        return super().convert(field, value, kind, default)


class IntForFloatRefused(Worker):
    """A whole number where a float belongs is of the wrong type."""

    def convert(self, field, value, kind, default):
        if kind == "float" and isinstance(value, int):
            return self.wrong_type(field, kind, value)
        return super().convert(field, value, kind, default)


class BigIntegerEmitted(Worker):
    """Integers beyond 2**53 are sent as integers."""

    def integer(self, value):
        return value


class LongIntegerCut(Worker):
    """Of an integer only the lower 32 bits are kept."""

    def integer(self, value):
        return value & 0xFFFFFFFF if value > 0xFFFFFFFF else super().integer(value)


class TextBlobRefused(Worker):
    """Bytes that come as a text, as old encoders write them, are refused."""

    def reference(self, field, blob):
        if isinstance(blob, str):
            raise TypeError(f"blob `{field}`: expected bytes, got str")
        return super().reference(field, blob)


class UndefinedRefused(Worker):
    """JavaScript's undefined, extension type 0, is an error."""

    def extension(self, code):
        if code == 0:
            raise ValueError("unknown extension type 0")
        return super().extension(code)


class UndefinedIsText(Worker):
    """JavaScript's undefined becomes a text."""

    def extension(self, code):
        return "undefined" if code == 0 else super().extension(code)


class ExtensionRefused(Worker):
    """An extension type that it does not know is an error."""

    def extension(self, code):
        if code != 0:
            raise ValueError(f"unknown extension type {code}")
        return super().extension(code)


class TimestampRefused(Worker):
    """A timestamp is an error."""

    def plain(self, value):
        if type(value).__name__ == "Timestamp":
            raise ValueError("unknown extension type -1")
        return super().plain(value)
