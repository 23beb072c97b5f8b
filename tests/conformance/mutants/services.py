"""The part of the correct worker beside nodes: jobs, models and providers."""

import os
import time

from nodes import PROVIDER


class Services:
    # Jobs.

    def job_id(self, call):
        job_id = call.data.get("job_id")
        if not isinstance(job_id, str) or not job_id:
            raise ValueError(f"{call.kind} needs a job_id")
        return job_id

    def note_job(self, call):
        job_id, node_id = self.identity(call, "job_id"), self.identity(call, "node_id")
        if job_id is None:
            return
        with self.state:
            self.end_idle()
            job = self.jobs.setdefault(job_id, {})
            self.used[job_id] = time.monotonic()
            if node_id is not None:
                job[node_id] = True

    def end_idle(self):
        """Jobs that nobody used for a while are over."""
        limit = float(os.environ.get("NODETOOL_WORKER_JOB_TTL_SECONDS") or 1800)
        for job_id in [job_id for job_id in self.jobs if limit and time.monotonic() - self.used[job_id] > limit]:
            del self.jobs[job_id]

    def identity(self, call, key):
        value = call.data.get(key)
        return value if isinstance(value, str) else None

    def job_start(self, call):
        with self.state:
            self.end_idle()
            self.jobs.setdefault(self.job_id(call), {})
            self.used[call.data["job_id"]] = time.monotonic()
        return {"job_id": call.data["job_id"], "started": True}

    def job_end(self, call):
        job_id = self.job_id(call)
        with self.state:
            self.end_idle()
            known, nodes = job_id in self.jobs, self.jobs.pop(job_id, {})
            kept = {node for job in self.jobs.values() for node in job}
        return {"job_id": job_id, "released_nodes": [node for node in nodes if node not in kept], "known": known}

    # Models: none are kept here.

    def models_delete(self, call):
        self.repo_id(call)
        return {"deleted": False}

    def repo_id(self, call):
        repo_id = call.data.get("repo_id")
        if not isinstance(repo_id, str) or not repo_id:
            raise ValueError(f"{call.kind} needs a repo_id")
        return repo_id

    def models_download(self, call):
        repo_id = self.repo_id(call)
        self.send("progress", call.id, self.transfer("error", repo_id, f"{repo_id}: this worker keeps no models"))
        raise ValueError(f"{repo_id}: this worker keeps no models")

    def transfer(self, status, repo_id, error):
        numbers = ("downloaded_bytes", "total_bytes", "downloaded_files", "total_files")
        return {"status": status, "repo_id": str(repo_id), "path": "", "model_type": "", "current_files": [], "error": error} | {
            number: 0 for number in numbers
        }

    def models_evict(self, call):
        return {"evicted": []}

    def models_prepare(self, call):
        raise ValueError(f"Model preparation backend is unavailable: {call.data.get('backend')}")

    # Providers.

    def provider_list(self, call):
        return {"providers": [PROVIDER.info()]}

    def provider_of(self, call):
        if call.data.get("provider") != "test":
            raise ValueError(f"Unknown provider: {call.data.get('provider')}")
        return PROVIDER

    def provider_models(self, call):
        return {"models": self.provider_of(call).models(call.data.get("model_type"))}

    def provider_call(self, call):
        params = {**call.data, **(call.data.get("params") or {})}
        answer = self.provider_of(call).calls[call.kind.removeprefix("provider.")](params)
        if isinstance(answer, dict):
            return self.chunked(call, answer)
        for chunk in answer:
            call.check()
            self.send("chunk", call.id, chunk)
        return {"done": True}
