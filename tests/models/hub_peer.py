#!/usr/bin/env python3
"""The hub's cache shared with Python: what `millwork models pull` fetches huggingface_hub finds, and the other way round.

    python tests/models/hub_peer.py target/debug/millwork

Skipped where huggingface_hub is not installed. Everything is served from this process; nothing else is reached.
"""

import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SMALL = {"config.json": b'{"architectures": ["BertModel"]}', "1_Pooling/config.json": b"{}", "empty file.txt": b""}
LARGE = {"onnx/model.onnx_data": bytes(i * 7 % 251 for i in range(3_000_000)), "model.bin": b"\x01" * 10_000}


def git(contents):
    return hashlib.sha1(b"blob %d\0" % len(contents) + contents).hexdigest()


def sha256(contents):
    return hashlib.sha256(contents).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    """The API, the small files, and, under /cdn/, the large ones, slowly where a test asks for it."""

    protocol_version = "HTTP/1.1"
    fetched = []
    pause = 0.0

    def log_message(self, *_):
        pass

    def send(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            for at in range(0, len(body), 100_000):
                self.wfile.write(body[at : at + 100_000])
                time.sleep(Hub.pause)

    def do_HEAD(self):
        path = self.path.split("?")[0].replace("%20", " ")
        common = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if path.startswith("/api/models/org/tiny/tree/"):
            # What newer releases list a repository by.
            tree = [{"type": "file", "path": n, "size": len(c), "oid": git(c)} for n, c in SMALL.items()]
            for name, contents in LARGE.items():
                lfs = {"oid": sha256(contents), "size": len(contents), "pointerSize": 134}
                tree.append({"type": "file", "path": name, "size": len(contents), "oid": "0" * 40, "lfs": lfs})
            return self.send(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
        if path.startswith("/api/models/org/tiny"):
            siblings = [{"rfilename": n, "size": len(c), "blobId": git(c)} for n, c in SMALL.items()]
            for name, contents in LARGE.items():
                lfs = {"sha256": sha256(contents), "size": len(contents), "pointerSize": 134}
                siblings.append({"rfilename": name, "size": len(contents), "blobId": "0" * 40, "lfs": lfs})
            info = {"id": "org/tiny", "modelId": "org/tiny", "sha": COMMIT, "siblings": siblings, "tags": [], "downloads": 0}
            return self.send(200, {"Content-Type": "application/json"}, json.dumps(info).encode())
        name = path.removeprefix(f"/org/tiny/resolve/{COMMIT}/").removeprefix("/org/tiny/resolve/main/")
        if name in SMALL:
            if self.command == "GET":
                Hub.fetched.append(name)
            return self.send(200, {**common, "ETag": f'"{git(SMALL[name])}"'}, SMALL[name])
        if name in LARGE:
            contents = LARGE[name]
            linked = {"X-Linked-Size": str(len(contents)), "X-Linked-Etag": f'"{sha256(contents)}"'}
            location = f"http://localhost:{self.server.server_address[1]}/cdn/{name}"
            return self.send(302, {**common, **linked, "Location": location})
        name = path.removeprefix("/cdn/")
        if name in LARGE:
            Hub.fetched.append(name)
            contents, start = LARGE[name], 0
            if self.headers.get("Range"):
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            range_ = {"Content-Range": f"bytes {start}-{len(contents) - 1}/{len(contents)}"} if start else {}
            return self.send(206 if start else 200, range_, contents[start:])
        return self.send(404, {"X-Error-Code": "RepoNotFound"}, b"not found")

    do_GET = do_HEAD


def main():
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/millwork")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    # A client that goes away in the middle is what this is about.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = pathlib.Path(tempfile.mkdtemp())
    # Before the library is imported: it reads them once.
    os.environ.update(HF_HOME=str(home), HF_ENDPOINT=f"http://127.0.0.1:{server.server_address[1]}", HF_HUB_DISABLE_XET="1")
    os.environ.update(HF_HUB_DISABLE_PROGRESS_BARS="1", NO_PROXY="*")
    try:
        import huggingface_hub
    except ImportError:
        print("skipped: huggingface_hub is not installed")
        return
    try:
        peer(program, home, huggingface_hub)
    finally:
        shutil.rmtree(home)


def peer(program, home, huggingface_hub):
    def millwork(*args, status=0):
        done = subprocess.run([program, "models", *args], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    def contents_are_right(folder):
        for name, contents in {**SMALL, **LARGE}.items():
            assert (pathlib.Path(folder) / name).read_bytes() == contents, name

    def cache_is_clean(repos=1):
        cache = huggingface_hub.scan_cache_dir()
        assert not cache.warnings, cache.warnings
        assert len(cache.repos) == repos, cache
        return cache

    # Interrupted in the middle: the cache stays clean, and nothing is found.
    Hub.pause = 0.1
    process = subprocess.Popen([program, "models", "pull", "org/tiny"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    blobs = home / "hub/models--org--tiny/blobs"
    while not any(path.stat().st_size > 200_000 for path in blobs.glob("*.incomplete")):
        time.sleep(0.01)
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130, process.returncode
    cache_is_clean()
    # Killed in the middle of what goes on from there.
    process = subprocess.Popen([program, "models", "pull", "org/tiny"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.5)
    process.kill()
    process.communicate(timeout=30)
    cache_is_clean()
    Hub.pause = 0.0

    # Ours, found by theirs.
    folder = millwork("pull", "org/tiny").strip()
    contents_are_right(folder)
    theirs = huggingface_hub.snapshot_download("org/tiny", local_files_only=True)
    assert os.path.samefile(folder, theirs), (folder, theirs)
    found = huggingface_hub.try_to_load_from_cache("org/tiny", "onnx/model.onnx_data")
    assert isinstance(found, str) and os.path.exists(found), found
    (repo,) = cache_is_clean().repos
    size = sum(len(contents) for contents in {**SMALL, **LARGE}.values())
    assert (repo.repo_id, repo.size_on_disk, repo.nb_files) == ("org/tiny", size, len(SMALL) + len(LARGE))
    assert repo.refs["main"].commit_hash == COMMIT
    Hub.fetched.clear()
    huggingface_hub.snapshot_download("org/tiny")
    assert Hub.fetched == [], Hub.fetched
    millwork("verify", "org/tiny")
    millwork("rm", "org/tiny", "--yes")
    cache_is_clean(0)

    # Theirs, found by ours.
    theirs = huggingface_hub.snapshot_download("org/tiny")
    Hub.fetched.clear()
    assert os.path.samefile(millwork("pull", "org/tiny").strip(), theirs)
    assert Hub.fetched == [], Hub.fetched
    checked = json.loads(millwork("verify", "org/tiny", "--json"))
    assert (checked["files"], checked["digests"], checked["problems"]) == (5, 5, [])
    # A flipped byte is found.
    blob = pathlib.Path(theirs, "model.bin").resolve()
    blob.write_bytes(b"\x02" + blob.read_bytes()[1:])
    assert "model.bin" in millwork("verify", "org/tiny", status=1)
    blob.unlink()

    # Both at once, what is missing and a lock between them.
    Hub.pause = 0.02
    Hub.fetched.clear()
    shutil.rmtree(home / "hub")
    process = subprocess.Popen([program, "models", "pull", "org/tiny"], stdout=subprocess.PIPE, text=True)
    huggingface_hub.snapshot_download("org/tiny")
    assert process.wait(timeout=60) == 0
    contents_are_right(process.stdout.read().strip())
    # An empty file need not be fetched.
    fetched = sorted(name for name in Hub.fetched if name != "empty file.txt")
    assert fetched == sorted({**SMALL, **LARGE}.keys() - {"empty file.txt"}), Hub.fetched
    cache_is_clean()
    print("huggingface_hub", huggingface_hub.__version__, "and millwork share a cache")


if __name__ == "__main__":
    main()
