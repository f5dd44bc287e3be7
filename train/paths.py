"""Where a flag says that files are: its text -> a path, local or in a bucket, that has been
tried."""

from etils import epath

from train.errors import BadInput, reason

INSTALL = {  # the schemes that etils knows -> what installs the package that it needs for them
    "gs": "pip install -e '.[gcs]' -c constraints.txt",
    "s3": "pip install s3fs",
    "az": "pip install adlfs",
    "hf": "pip install huggingface_hub",
}


def path_of(text: str, flag: str = "--workdir") -> epath.Path:
    """An absolute path; a bucket is asked whether it has it, which it need not. Raises BadInput
    where it cannot be asked."""
    if not text.strip():
        raise BadInput(f"{flag}: is empty, as a variable of the shell that is not set; name a path")
    scheme, separator, rest = text.partition("://")
    if not separator:
        return epath.Path(text).absolute()  # which would make gs://bucket a local folder
    if scheme not in INSTALL:
        known = ", ".join(f"{name}://" for name in INSTALL)
        raise BadInput(
            f"{flag}: {text}: unknown {scheme + separator!r}; have {known} and local paths"
        )
    if not rest.strip("/"):
        raise BadInput(f"{flag}: {text}: names no bucket, as in {scheme}://my-canon/run")
    path = epath.Path(text)
    try:
        path.exists()
    except ImportError as error:
        raise BadInput(f"{flag}: {text}: {error}; {INSTALL[scheme]}") from None
    except Exception as error:  # each of those packages has its own
        raise BadInput(
            f"{flag}: {text}: not reached ({reason(error)}); is its name right, and are you "
            "logged in?"
        ) from None
    return path
