"""Runs a node of a Python worker through our supervisor.

    python python_worker.py path/to/millwork

The worker is the published `nodetool-core` in the Python that runs this script; its nodes are in `echo_package`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
PACKAGE = HERE / "echo_package"


def main():
    (millwork,) = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "millwork.toml")
        command = [sys.executable, "-m", "nodetool.worker", "--stdio", "--namespaces", "test"]
        # Python takes a while to load its packages on a busy machine. TOML's strings are JSON's.
        config.write_text(
            "ready_timeout_ms = 240000\n"
            f'[[worker]]\nname = "python"\ncommand = {json.dumps(command)}\n'
            f"env = {{ PYTHONPATH = {json.dumps(str(PACKAGE))}, HF_HOME = {json.dumps(folder)} }}\n"
        )
        env = {**os.environ, "XDG_CONFIG_HOME": folder}
        run = lambda *args: subprocess.run(
            [millwork, *args, "--config", config], cwd=folder, env=env, check=True, timeout=300, stdout=subprocess.PIPE
        ).stdout
        answer = json.loads(run("run", "test.Echo", "value=7", "--json"))
        assert "7" in json.dumps(answer), answer
        print("test.Echo", json.dumps(answer))
        listed = run("nodes", "--json").decode()
        assert "test.Echo" in listed and "test.Stream" in listed, listed
        print("the inventory names its nodes")


main()
