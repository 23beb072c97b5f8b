"""Packages of all forms as one fleet with the stock nodes: two folders, a program in Python, the published worker, and one that
dies at its start. Further packages, a crate say, may be given, each with a node of it and its fields.

    python packages.py path/to/millwork [PACKAGE NODE FIELDS_AS_JSON]…
"""

import json
import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parent.parent / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))
import host  # noqa: E402

# Python takes a while to load its packages on a busy machine.
host.STARTUP = host.SHORT = 240
FURTHER = []
BROKEN = """\
[package]
name = "broken"
version = "1.0.0"

[program]
command = ["python3", "-c", "raise SystemExit('there is nothing here')"]
build = "nothing helps"
"""


def everything_is_there(fleet):
    found = fleet.call("discover")
    types = {node["node_type"] for node in found["nodes"]}
    assert {"acme.Repeat", "test.Echo", "text.Concat", "digits.Read", "filter.Sharpen"} <= types, sorted(types)
    (error,) = found["load_errors"]
    assert (error["module"], error["phase"]) == ("broken", "handshake"), error
    assert error["file"] == "package.toml" and error["line"] == 6 and "nothing helps" in error["hint"], error


def each_answers(fleet):
    assert fleet.execute("acme.Repeat", {"text": "ho", "times": 3})["outputs"] == {"output": "hohoho"}
    first, *_, result = fleet.request("execute", {"node_type": "acme.Wait", "fields": {"seconds": 0.2}})
    assert result["data"]["outputs"] == {"output": 0.2} and first["data"]["total"] == 0.2, (first, result)
    assert list(fleet.stream("acme.Repeat", {"text": "ho"})) == [{"output": "hoho"}]
    assert fleet.execute("test.Add", {"a": 1, "b": 2.5})["outputs"]["output"] == 3.5
    assert fleet.execute("text.Concat", {"a": "mill", "b": "work"})["outputs"]["output"] == "millwork"
    seven = (HERE.parent.parent / "nodes/models/digits/examples/7.png").read_bytes()
    assert fleet.execute("digits.Read", {}, blobs={"image": seven})["outputs"]["digit"] == "7"
    sharp = fleet.execute("filter.Sharpen", {}, blobs={"photo": seven})
    assert sharp["blobs"]["picture"].startswith(b"\x89PNG"), sharp
    for node, fields in FURTHER:
        print(node, fleet.execute(node, fields)["outputs"], flush=True)


def what_is_wrong_is_said(fleet):
    for node, fields, text in [
        ("acme.Repeat", {"times": 3}, "field `text`: expected str, got nothing"),
        ("acme.Repeat", {"text": "ho", "times": -1}, "field `times`: from 0 to 1000"),
        ("broken.Node", {}, "Unknown node type: broken.Node"),
    ]:
        try:
            answer = fleet.execute(node, fields)
        except host.WorkerError as error:
            assert text in str(error), error
        else:
            raise AssertionError(f"{node} answered {answer}")


def a_request_is_cancelled(fleet):
    waiting = fleet.request("execute", {"node_type": "acme.Wait", "fields": {"seconds": 1000}})
    assert next(waiting)["type"] == "progress"
    fleet._send("cancel", str(next(fleet.ids) - 1), {})
    try:
        frames = list(waiting)
    except host.WorkerError as error:
        assert str(error) == "cancelled", error
    else:
        raise AssertionError(f"it went on: {frames[-1]}")


def main():
    millwork, *further = sys.argv[1:]
    FURTHER.extend((node, json.loads(fields)) for node, fields in zip(further[1::3], further[2::3]))
    with tempfile.TemporaryDirectory() as folder:
        broken = pathlib.Path(folder) / "broken"
        broken.mkdir()
        (broken / "package.toml").write_text(BROKEN)
        os.environ |= {
            "PATH": os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]),
            "XDG_CONFIG_HOME": folder,
            "XDG_DATA_HOME": folder,
            "HF_HOME": folder,
        }
        names = ["python_package", "digits_package", "filter_package"]
        packages = [*(EXAMPLES / name for name in names), HERE / "nodetool_package", broken, *further[::3]]
        command = [os.path.abspath(millwork), "serve", "--stdio"]
        fleet = host.Worker(command + [arg for path in packages for arg in ("--package", str(path))])
        try:
            for part in (everything_is_there, each_answers, a_request_is_cancelled, what_is_wrong_is_said):
                part(fleet)
                print(part.__name__.replace("_", " "), "- ok", flush=True)
            assert fleet.close() == 0
        finally:
            fleet.process.kill()


main()
