"""Runs on gs://: how long requests are repeated, and which errors the clients raise.

Two clients reach a bucket: gcsfs, through etils.epath, and TensorStore, through Orbax. Both
repeat a request that fails for now after 1, 2, 4, 8 and 16 s, then raise.
"""

import logging
import os
import re

RETRIES = 5  # of one request
ANSWER = 60  # s until an unanswered request is given up
CLIENTS = (  # packages whose exceptions come from a server, or from the way to it
    *("aiohttp", "fsspec", "gcsfs", "google.api_core", "google.auth", "requests", "urllib3"),
    *("aiobotocore", "azure", "botocore"),  # of s3:// and az://
)
STATUS = re.compile(  # in a ValueError of TensorStore: the file is not to blame
    r"\b(ABORTED|UNAVAILABLE|DEADLINE_EXCEEDED|PERMISSION_DENIED|UNAUTHENTICATED|RESOURCE_EXHAUSTED)\b"
)
REFUSED = re.compile(  # asking again does not help
    r"Forbidden|Invalid Credentials|\b40[0134]$|PERMISSION_DENIED|UNAUTHENTICATED"
)

# etils would import TensorFlow for gs://, where it is installed
os.environ.setdefault("EPATH_USE_TF", "false")


def prepare() -> None:
    """Call it before the first use of gs://. The user's own settings win."""
    import fsspec.config

    # otherwise gcsfs asks another server, by gRPC, for the kind of each bucket
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # otherwise TensorStore waits for ever
    os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS", "20")
    os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES", "1")
    for client in ("gcsfs", "google.auth"):  # they print what they raise
        logging.getLogger(client).setLevel(logging.CRITICAL)
    # a listing in gcsfs's cache lacks what other processes write
    settings = {"requests_timeout": ANSWER, "use_listings_cache": False}
    fsspec.config.conf["gcs"] = settings | fsspec.config.conf.get("gcs", {})


def prepare_orbax() -> None:
    """Call it before Orbax opens a bucket.

    Otherwise Orbax's TensorStore repeats a request for 15 minutes, and Orbax asks for the kind of
    the bucket, which needs a right (storage.buckets.get) that writing does not need.
    """
    from orbax.checkpoint._src.path import gcs_utils
    from orbax.checkpoint._src.serialization import tensorstore_utils

    tensorstore_utils._BASE_TS_CONTEXT.update(_retries(RETRIES))
    tensorstore_utils._DEFAULT_OCDBT_TS_CONTEXT.update(_retries(RETRIES))
    gcs_utils.is_hierarchical_namespace_enabled = lambda path: False


def _retries(most: int) -> dict:
    return {"gcs_request_retries": {"max_retries": most, "initial_delay": "1s", "max_delay": "16s"}}


def store(folder):
    """TensorStore's key-value store in a folder on gs://; it supports conditional writes."""
    import tensorstore

    bucket, _, path = str(folder).removeprefix("gs://").partition("/")
    spec = {"driver": "gcs", "bucket": bucket, "path": f"{path.strip('/')}/".lstrip("/")}
    return tensorstore.KvStore.open(spec, context=tensorstore.Context(_retries(2))).result()


def raised(error: BaseException | None) -> bool:
    """Whether a bucket's client raised the error or one of its causes, and no file is to blame."""
    while error is not None:
        module, text = type(error).__module__, str(error)
        if module.startswith(CLIENTS) or text.startswith("Forbidden:"):
            return True
        if isinstance(error, ValueError) and STATUS.search(text):
            return True
        error = error.__cause__ or error.__context__
    return False


def unavailable(error: BaseException) -> bool:
    """Whether a bucket's client raised the error, and asking again later may help."""
    return raised(error) and not REFUSED.search(str(error))
