"""What the clients of a bucket raise: one line and a code, and no checkpoint is passed over for
it."""

import subprocess
import sys

import pytest
from etils import epath
from helpers import bucket

from train import buckets, lock
from train.checkpoint import Checkpoints
from train.errors import BadInput, NotRead, NotWritten, reason, writing_in

gcsfs = pytest.importorskip("gcsfs.retry")  # an extra
STORE = "ABORTED: All 5 retry attempts failed: Service Unavailable [http_response_code='503']"
RAISED = [  # (error, what is said of it, whether the same command may help)
    (gcsfs.HttpError({"code": 503, "message": "Unavailable"}), "Unavailable, 503", True),
    (gcsfs.HttpError({"code": 401, "message": "Invalid Credentials"}), "Invalid Cred", False),
    (OSError("Forbidden: https://a/b\ndoes not have storage.objects.create"), "Forbidden", False),
    (ValueError(STORE), "ABORTED: All 5 retry attempts failed: Service Unavailable", True),
    (ValueError("PERMISSION_DENIED: no [http_response_code='403']"), "PERMISSION_DENIED", False),
]


@pytest.mark.parametrize(("error", "line", "again"), RAISED)
def test_what_a_client_raises_ends_a_run_with_one_line(error, line, again):
    with pytest.raises(NotWritten) as ended, writing_in("gs://canon/run"):
        raise error
    assert reason(error).startswith(line) and " [" not in str(ended.value)
    assert buckets.unavailable(error) == again and buckets.raised(ended.value)


def test_a_request_that_nobody_answers_is_said_to_have_no_answer():
    from fsspec.exceptions import FSTimeoutError

    assert reason(FSTimeoutError()) == "no answer" and buckets.raised(FSTimeoutError())
    assert reason(TimeoutError()) == "no answer"


def test_memory_that_a_device_lacks_is_not_taken_for_a_bucket():
    with pytest.raises(RuntimeError), writing_in("gs://canon/run"):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")


@pytest.mark.parametrize(("error", "line", "again"), RAISED)
def test_a_checkpoint_that_a_bucket_does_not_hand_out_is_not_passed_over(
    error, line, again, tmp_path, monkeypatch
):
    def unread(*_):
        raise RuntimeError("Orbax's own words") from error

    with Checkpoints(epath.Path(tmp_path), 1) as checkpoints:
        monkeypatch.setattr(checkpoints, "steps", lambda: [20])
        monkeypatch.setattr(checkpoints, "_read", unread)
        with pytest.raises(NotRead, match="cannot read checkpoint 20"):
            checkpoints.arrays(pytest.fail)


@pytest.mark.parametrize("what", ["create", "overwrite", "read", "list", "delete"])
def test_a_right_that_is_missing_is_named_at_the_start(what, monkeypatch):
    """epath's call for each: a file written, written again, read, listed, deleted."""
    denied = OSError("Forbidden: https://a/b\nno storage.objects right")
    names = dict(create="open", overwrite="open", read="open", list="listdir", delete="remove")
    run, calls = bucket(monkeypatch) / "run", []
    backend = type(run._backend)
    real = getattr(backend, names[what])

    def refuse(self, path, *arguments):
        calls.append(arguments)
        writes = sum("w" in (mode or [""])[0] for mode in calls)
        if dict(create=writes == 1, overwrite=writes == 2, read=writes < len(calls)).get(what, 1):
            raise denied
        return real(self, path, *arguments)

    monkeypatch.setattr(backend, names[what], refuse)
    with pytest.raises(
        BadInput, match=f"--workdir: cannot {what} .* in gs://bucket/run .Forbidden"
    ):
        lock.can_write(run)


def test_a_bucket_is_not_asked_for_its_kind_and_requests_end(tmp_path):
    """In a process of its own: these are settings of whole libraries."""
    code = """
from orbax.checkpoint._src.path import gcs_utils
from orbax.checkpoint._src.serialization import tensorstore_utils
from train import buckets
buckets.prepare_orbax()
gcs_utils.get_bucket = None
assert not gcs_utils.is_hierarchical_namespace_enabled("gs://canon/run")
for ocdbt in (False, True):
    context = tensorstore_utils.get_ts_context(use_ocdbt=ocdbt)
    assert context["gcs_request_retries"].to_json()["max_retries"] == 5
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
