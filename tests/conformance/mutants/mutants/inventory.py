"""READY, discover and worker.status."""

import os
import time

from base import Worker


class NeverReady(Worker):
    """It never says that it is ready."""

    def ready(self):
        pass


class ReadyOnStdout(Worker):
    """The line of readiness is written where frames go too."""

    def ready(self):
        os.write(self.stdout, b"NODETOOL_STDIO_READY\n")
        time.sleep(0.2)  # What comes on two pipes has an order only where time lies between.
        super().ready()


class NodeTwice(Worker):
    """discover lists a node twice."""

    def discover(self, call):
        answer = super().discover(call)
        return {**answer, "nodes": [*answer["nodes"], answer["nodes"][0]]}


class DiscoverAsResult(Worker):
    """The answer to discover is of type result."""

    def send(self, kind, request_id, data):
        super().send("result" if kind == "discover" else kind, request_id, data)


class VersionAsText(Worker):
    """discover's protocol_version is a text."""

    def discover(self, call):
        return {**super().discover(call), "protocol_version": str(self.version)}


class LoadErrorsMissing(Worker):
    """discover has no load_errors."""

    def discover(self, call):
        answer = super().discover(call)
        del answer["load_errors"]
        return answer


class TitleMissing(Worker):
    """Nodes have no title."""

    def metadata(self, name, node):
        metadata = super().metadata(name, node)
        del metadata["title"]
        return metadata


class NodeWithoutNamespace(Worker):
    """A node type without a namespace is offered."""

    def discover(self, call):
        answer = super().discover(call)
        return {**answer, "nodes": [*answer["nodes"][:-1], {**answer["nodes"][-1], "node_type": "Alloc"}]}


class VramNil(Worker):
    """An unknown requires_vram_gb is sent as nil."""

    def metadata(self, name, node):
        return {**super().metadata(name, node), "requires_vram_gb": None}


class PropertyTypeBare(Worker):
    """The type of a property is a text and not a map."""

    def property(self, name, kind, *default):
        return {**super().property(name, kind, *default), "type": kind}


class StreamNotMarked(Worker):
    """A node that streams does not say so."""

    def metadata(self, name, node):
        return {**super().metadata(name, node), "is_streaming_output": False}


class SettingsMissing(Worker):
    """A node does not say which secret it needs."""

    def metadata(self, name, node):
        return {**super().metadata(name, node), "required_settings": []}


class RecommendedModelsMissing(Worker):
    """Nodes have no recommended_models."""

    def metadata(self, name, node):
        metadata = super().metadata(name, node)
        del metadata["recommended_models"]
        return metadata


class NodeCountWrong(Worker):
    """worker.status counts one node too many."""

    def status(self, call):
        answer = super().status(call)
        return {**answer, "node_count": answer["node_count"] + 1}


class StatusVersionDiffers(Worker):
    """worker.status tells another version than discover."""

    def status(self, call):
        return {**super().status(call), "protocol_version": self.version - 1}


class NamespacesWrong(Worker):
    """worker.status names whole node types and not their first segments."""

    def status(self, call):
        return {**super().status(call), "namespaces": sorted(self.nodes)}


class TransportWrong(Worker):
    """worker.status names a transport that is none."""

    def status(self, call):
        return {**super().status(call), "transport": "pipe"}


class ComfyAsBool(Worker):
    """worker.status says comfy: false in place of a map."""

    def status(self, call):
        return {**super().status(call), "comfy": False}


class MaxFrameSizeWrong(Worker):
    """worker.status tells a limit that is not the one it keeps."""

    def status(self, call):
        return {**super().status(call), "max_frame_size": 1_000_003}
