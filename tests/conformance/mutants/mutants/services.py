"""Run identity, jobs, models and providers."""

from base import Worker


class IdentityRefused(Worker):
    """A node_id that is no text is an error."""

    def identity(self, call, key):
        value = call.data.get(key)
        if value is not None and not isinstance(value, str):
            raise TypeError(f"`{key}` must be a text")
        return value


class JobStartOnce(Worker):
    """To start a job again is an error."""

    def job_start(self, call):
        if call.data.get("job_id") in self.jobs:
            raise ValueError("the job has started already")
        return super().job_start(call)


class JobUnknownRefused(Worker):
    """To end a job that it does not know is an error."""

    def job_end(self, call):
        if call.data.get("job_id") not in self.jobs:
            raise ValueError("no such job")
        return super().job_end(call)


class JobAlwaysKnown(Worker):
    """Every job that ends was known."""

    def job_end(self, call):
        return {**super().job_end(call), "known": True}


class JobForgetsNodes(Worker):
    """A job does not remember which nodes it ran."""

    def note_job(self, call):
        pass


class JobIdLost(Worker):
    """The answer to job.start does not say which job."""

    def job_start(self, call):
        super().job_start(call)
        return {"started": True}


class EvictUnknown(Worker):
    """models.evict of a scope that it does not know evicts something."""

    def models_evict(self, call):
        return {"evicted": ["everything"]} if call.data.get("node_ids") or call.data.get("job_id") else super().models_evict(call)


class DeletedMissing(Worker):
    """models.delete does not say whether it deleted."""

    def models_delete(self, call):
        return {}


class CachedNil(Worker):
    """An empty list of models is nil."""

    def __init__(self):
        super().__init__()
        if self.version >= 2:
            self.handlers["models.list_cached"] = lambda call: {"models": None}


class PrepareAnything(Worker):
    """models.prepare takes a backend that it does not list."""

    def models_prepare(self, call):
        return {"repo_id": str(call.data.get("repo_id")), "status": "completed"}


class ProviderTextWrong(Worker):
    """The error for an unknown provider message is that for any message."""

    def unknown_kind(self, call):
        raise ValueError(f"Unknown message type: {call.kind}")


class ModelTypeRefused(Worker):
    """An unknown type of models is an error and not an empty list."""

    def provider_models(self, call):
        answer = super().provider_models(call)
        if not answer["models"]:
            raise ValueError("unknown model_type")
        return answer


class AccessMissing(Worker):
    """provider.list does not say how a provider is reached."""

    def provider_list(self, call):
        (info,) = super().provider_list(call)["providers"]
        return {"providers": [{key: value for key, value in info.items() if key != "access"}]}


class DoneMissing(Worker):
    """The end of provider.stream does not say that it is done."""

    def provider_call(self, call):
        answer = super().provider_call(call)
        return {} if call.kind == "provider.stream" else answer


class ParamsNestedOnly(Worker):
    """The keys that older hosts send beside `provider` are not seen."""

    def provider_call(self, call):
        if call.kind == "provider.text_to_image" and "params" not in call.data:
            raise ValueError("`params` is missing")
        return super().provider_call(call)
