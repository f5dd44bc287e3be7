"""Files of named arrays: .npz, .safetensors, .pth (read with `weights_only`), and Keras's
.weights.h5. No pickle is executed.

safetensors, h5py and torch are imported for their own files alone.
"""

import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from architectures import keras_h5

ENDINGS = (".npz", ".safetensors", ".pth", ".pt", ".h5")
# what the libraries raise for bytes that make no sense
DAMAGED = (AttributeError, KeyError, RuntimeError, zlib.error)


def read(path) -> dict[str, np.ndarray]:
    """{name: array} of a file, by its ending, one of ENDINGS. Keras's names are "layer/variable".

    Of a .pth or .pt file that holds {"state_dict": {...}} or {"model": {...}}, these are read.
    Raises ValueError, one line, for another ending, a file that cannot be read, and a package that
    is not installed.
    """
    path = pathlib.Path(path)

    def whole(reader):
        try:
            return reader(path)
        except DAMAGED as error:
            raise ValueError(
                f"{path}: is damaged, or of another kind than its ending says ({_line(error)})"
            ) from None

    return _with(path, READERS, whole)


def write(path, state: Mapping[str, np.ndarray]) -> None:
    """Writes {name: array} to a file, by its ending; to .h5 only layers of Keras, in Keras's
    order (as `convert.save` does).

    Raises ValueError, one line, for another ending, a path that cannot be written, and a package
    that is not installed.
    """
    check_output(path)
    path = pathlib.Path(path)
    _with(path, WRITERS, lambda writer: writer(path, state))


def check_output(path) -> None:
    """Raises ValueError, one line, where `write` could not write for the ending or a missing
    folder."""
    path = pathlib.Path(path)
    _ending(path, WRITERS)
    if not os.path.isdir(path.parent):  # False, too, where it may not be looked at
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")
    if os.path.isdir(path):
        raise ValueError(f"{path}: is a folder, must be a file")


def _ending(path: pathlib.Path, table: Mapping) -> None:
    if path.suffix not in table:
        raise ValueError(f"{path}: unknown ending {path.suffix!r}; have {', '.join(table)}")


def _with(path: pathlib.Path, table: Mapping, call):
    _ending(path, table)
    try:
        return call(table[path.suffix])
    except ImportError as error:
        raise ValueError(
            f"{path}: {error}; pip install -e '.[weights]', or torch for .pth"
        ) from None
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {_line(error)}") from None


def _line(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())[:200]


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    # pickled contents, another kind of file, an empty one
    except (ValueError, TypeError, AttributeError, EOFError) as error:
        raise ValueError(f"{path}: no file of plain arrays ({_line(error)})") from None


def _write_npz(path, state):
    np.savez(path, **state)


def _read_safetensors(path):
    import safetensors
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: {_line(error)}") from None


def _write_safetensors(path, state):
    import safetensors
    from safetensors.numpy import save_file

    try:
        save_file({name: np.asarray(value, order="C") for name, value in state.items()}, path)
    except safetensors.SafetensorError as error:  # where the system refuses, too
        raise ValueError(f"{path}: {_line(error)}") from None


def _read_torch(path):
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    # whatever the bytes make of its reader; its own advice would run what the file says
    except Exception:
        state = None
    for key in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise ValueError(
            f"{path}: is no state dict of arrays; it was cut off, is of another kind, or holds "
            "more, as a whole module does "
            "(save its state_dict() alone)"
        )
    state = {name: value.detach() for name, value in state.items()}
    return {
        name: (value.float() if value.is_floating_point() else value).numpy()
        for name, value in state.items()
    }


def _write_torch(path, state):
    import torch

    tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    try:
        torch.save(tensors, path)
    except RuntimeError as error:  # where the system refuses, too
        raise ValueError(
            f"{path}: cannot be written, for want of space or of leave to ({_line(error)})"
        ) from None


READERS = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".h5": keras_h5.read,
}
WRITERS = {
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
    ".pth": _write_torch,
    ".pt": _write_torch,
    ".h5": keras_h5.write,
}
