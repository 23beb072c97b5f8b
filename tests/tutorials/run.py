"""Follows the tutorials to the letter: from top to bottom, each in a folder of its own.

    python run.py path/to/millwork [PAGE.md …]

| in the page | is |
| --- | --- |
| a block after a line that ends with `` `NAME`: `` | the file of that name; with `` the end of `NAME`: `` it is added to it |
| a block `sh` | run, all in one shell; one that is marked `sh fails` has to fail |
| a block `text` after it | all that it printed; `…` stands for anything, alone in a line for any lines |

Any other block is a mistake. `millwork` is on PATH, and so is the Python that runs this. A page that installs Python packages
is skipped where they are not installed: `pip install -r tests/tutorials/requirements.txt`. What cargo builds is kept beside
the program that is given, and not optimised.
"""

import importlib.metadata
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "docs" / f"tutorial-{name}.md" for name in ("program", "wgsl", "onnx", "crate")] + [ROOT / "tests/tutorials/new.md"]
PATIENCE = 3600  # An empty cache, a slow machine, and all of an ONNX engine to compile.
BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n?```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?P<add>the end of )?`(?P<name>[\w./-]+)`:$")


class Wrong(Exception):
    """What is not as the page says."""


def blocks(page):
    """The page's blocks: what to do, the text, and the line where it stands."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("info")) + 1
        language, _, mark = found["info"].partition(" ")
        file = FILE.search(found["before"])
        if file:
            yield "add" if file["add"] else "write", file["name"], found["text"], line
        elif language in ("sh", "text"):
            yield language, mark, found["text"], line
        else:
            raise Wrong(f"line {line}: this block is no file, no command and no output")


def needed(page):
    """The Python packages that the page installs and that are not there."""
    for kind, _, text, _ in blocks(page):
        for line in text.splitlines() if kind == "sh" else []:
            if line.startswith("pip install ") and " -r " not in line:
                for package in line.split()[2:]:
                    try:
                        importlib.metadata.distribution(re.split("[=<>]", package)[0])
                    except importlib.metadata.PackageNotFoundError:
                        yield package


def environment(millwork, folder):
    """A reader's: the program at hand, and no settings from here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MILLWORK_", "NODETOOL_", "CARGO_TARGET"))}
    (folder / "bin").mkdir()
    (folder / "bin" / "millwork").symlink_to(millwork)
    path = [str(folder / "bin"), str(pathlib.Path(sys.executable).parent), kept["PATH"]]
    return kept | {
        "PATH": os.pathsep.join(path),
        "MILLWORK_SDK": str(ROOT),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
        "CARGO_BUILD_BUILD_DIR": str(millwork.parent.parent / "tutorials"),
        "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }


class Shell:
    """One shell for all commands of a page."""

    def __init__(self, folder, env):
        (folder / "page").mkdir()
        self.scratch, self.folder = folder, folder / "page"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(["bash", "-eu"], cwd=self.folder, env=env, start_new_session=True, **pipes)

    def run(self, commands, fails):
        """Gives what the commands printed."""
        script, out = self.scratch / "script", self.scratch / "out"
        script.write_text(commands)
        files = f"{shlex.quote(str(script))} > {shlex.quote(str(out))} 2>&1 < /dev/null"
        source = f"if ( . {files} ); then echo succeeded; else echo ok; fi" if fails else f". {files}; echo ok"
        self.process.stdin.write(f"{source}; pwd\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        self.folder = pathlib.Path(self.process.stdout.readline().strip() or self.folder)
        printed = out.read_text(errors="replace")
        if said != "ok":
            raise Wrong(f"the commands {said or 'failed'}:\n{commands}\n{printed}")
        return printed

    def close(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def plain(text):
    return "".join(line.rstrip() + "\n" for line in text.strip().splitlines())


def is_as_shown(printed, shown):
    """`…` is anything, alone in a line any lines."""
    pattern = re.escape(plain(shown)).replace("…\\\n", "…\n")
    pattern = re.sub(r"^…\n", r"(?:.*\\n)*", pattern, flags=re.MULTILINE).replace("…", ".*")
    return re.fullmatch(pattern, plain(printed)) is not None


def follow(page, millwork):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shell, printed = Shell(folder, environment(millwork, folder)), None
        try:
            for kind, what, text, line in blocks(page):
                try:
                    if kind == "sh":
                        printed = shell.run(text, fails=what == "fails")
                    elif kind == "text":
                        if printed is None or not is_as_shown(printed, text):
                            raise Wrong(f"the page shows\n{text}\nand it was\n{printed}")
                    else:
                        path = shell.folder / what
                        path.parent.mkdir(parents=True, exist_ok=True)
                        with open(path, "a" if kind == "add" else "w") as file:
                            file.write(text)
                except Wrong as wrong:
                    raise Wrong(f"line {line}: {wrong}") from None
        finally:
            shell.close()


def main():
    millwork, *pages = map(pathlib.Path, sys.argv[1:])
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"FAILED: not done after {PATIENCE} s"))
    signal.alarm(PATIENCE)
    failed = 0
    for page in pages or PAGES:
        start = time.monotonic()
        try:
            if missing := list(needed(page)):
                print(f"skipped: {page.name} needs {' and '.join(missing)} (pip install -r tests/tutorials/requirements.txt)", flush=True)
                continue
            follow(page, millwork.resolve())
            print(f"{page.name}: {sum(1 for _ in blocks(page))} blocks, {time.monotonic() - start:.0f} s", flush=True)
        except Wrong as wrong:
            failed += 1
            print(f"FAILED {page.name}, {wrong}", flush=True)
    sys.exit(failed > 0)


main()
