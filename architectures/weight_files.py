"""Files of named arrays: their readers and writers, by file extension. No pickled code is executed.

safetensors, h5py, onnx and torch are imported only for their own files.
"""

import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping

import ml_dtypes
import numpy as np

from architectures import keras_h5, weight_archive, weight_exchange, weight_torch
from architectures.weight_choice import choose_state, to_stderr

# what the libraries raise for damaged bytes
DAMAGED = (
    *(AttributeError, EOFError, IndexError, KeyError, MemoryError, OverflowError, RecursionError),
    *(RuntimeError, TypeError, zlib.error),
)
TORCH = (".pth", ".pt", ".pth.tar", ".ckpt", ".bin")
STARTS = {  # files that often have the wrong ending: what they are, and their right endings
    b"version https://git-lfs": ("a pointer of Git LFS; `git lfs pull` downloads the file", ()),
    **dict.fromkeys((b"<!", b"<html", b"<?xml"), ("a web page; download the file itself", ())),
    b"\x89HDF\r\n": ("an HDF5 file (.h5)", (".h5", ".hdf5")),
    b"PK\x03\x04": ("a zip file (.npz, .pth or .keras)", (".npz", ".keras", *TORCH)),
    b"\x93NUMPY": ("a single array (.npy)", ()),
    b"GGUF": ("a GGUF file", ()),
}


def read(
    path, *, state: str | None = None, say: Callable[[str], None] = to_stderr
) -> dict[str, np.ndarray]:
    """{name: array} of a file, chosen by its ending, one of READERS.

    Keras's names are "layer/variable".
    state: which of several state dicts in a PyTorch file, such as "model_ema"; None for the usual
    one (see weight_choice.choose_state). say: receives a line on what was taken and ignored. Values
    without a type in .npz, which is how bfloat16 is stored, are read as bfloat16.
    Raises ValueError, one line, for another ending, a file that cannot be read, or a package that
    is not installed.
    """
    path = pathlib.Path(path)
    if re.search(r"-shard\d+of\d+", path.name):
        raise ValueError(f"{path}: is a shard of TensorFlow.js; give the model.json beside it")
    torch = _ending(path, READERS) in TORCH
    if state is not None and not torch:
        raise ValueError(f"{path}: has one state; only {', '.join(TORCH)} may hold several")

    def whole(reader):
        try:
            _check_start(path)
            if not torch:
                return reader(path)
            return weight_torch.arrays(path, choose_state(path, reader(path), state, say))
        except (ValueError, *DAMAGED) as error:
            if str(error).startswith(f"{path}: "):
                raise
            raise ValueError(
                f"{path}: is damaged, or its ending is wrong ({_line(error)})"
            ) from None

    return _with(path, READERS, whole)


def write(path, state: Mapping[str, np.ndarray]) -> None:
    """Writes {name: array} to a file, chosen by its ending; all of the file or nothing of it.

    .h5 takes only Keras's layers, in Keras's order (as `convert.save` returns them).
    Raises ValueError, one line, for another ending, a path that cannot be written, or a package
    that is not installed.
    """
    check_output(path)
    path = pathlib.Path(path)
    part = path.with_name(f"{os.getpid()}.part.{path.name}")

    def whole(writer):
        try:
            writer(part, state)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    _with(path, WRITERS, whole)


def check_output(path) -> None:
    """Raises ValueError, one line, for an ending that `write` does not know or a missing folder."""
    path = pathlib.Path(path)
    _ending(path, WRITERS)
    if not os.path.isdir(path.parent):  # also False without permission to look
        raise ValueError(f"{path}: there is no folder {path.parent}; make it first")
    if os.path.isdir(path):
        raise ValueError(f"{path}: is a folder, must be a file")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path}: is a device, must be a file")


def _ending(path: pathlib.Path, table: Mapping) -> str:
    ending = next((ending for ending in table if path.name.endswith(ending)), None)
    if ending is None:
        raise ValueError(f"{path}: unknown ending {path.suffix!r}; choose from {', '.join(table)}")
    return ending


def _check_start(path: pathlib.Path) -> None:
    """Raises ValueError, one line, if the first bytes show that the ending is wrong."""
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        raise ValueError(f"{path}: is empty")
    for start, (what, endings) in STARTS.items():
        if head.startswith(start) and _ending(path, READERS) not in endings:
            raise ValueError(f"{path}: is {what}")


def _with(path: pathlib.Path, table: Mapping, call):
    ending = _ending(path, table)
    try:
        return call(table[ending])
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
            weight_archive.check_size(path, file.zip)
            return {name: _typed(path, name, file[name]) for name in file.files}
    # pickled contents, another kind of file, an empty one
    except (ValueError, TypeError, AttributeError, EOFError) as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise ValueError(f"{path}: is not a file of plain arrays ({_line(error)})") from None


def _typed(path, name: str, array):
    """`array`, as bfloat16 if it has no type.

    NumPy's files have no names for ml_dtypes's types. bfloat16 is the only one in use with 2 bytes.
    """
    if array.dtype.kind != "V":
        return array
    if array.dtype.fields or array.dtype.itemsize != 2:
        raise ValueError(
            f"{path}: {name} has values of {array.dtype.itemsize} bytes without a type, like "
            "float8 in NumPy's files; save it as float32"
        )
    return array.view(ml_dtypes.bfloat16)


def _write_npz(path, state):
    np.savez(path, **state)


SAFETENSORS = dict(
    **dict(F64=np.float64, F32=np.float32, F16=np.float16, BF16=ml_dtypes.bfloat16),
    **dict(F8_E4M3=ml_dtypes.float8_e4m3fn, F8_E5M2=ml_dtypes.float8_e5m2, BOOL=np.bool_),
    **dict(I64=np.int64, I32=np.int32, I16=np.int16, I8=np.int8, U8=np.uint8),
)


def _read_safetensors(path):
    import safetensors

    try:
        tensors = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: {_line(error)}") from None
    state = {}
    for name, tensor in tensors:
        if tensor["dtype"] not in SAFETENSORS:
            raise ValueError(f"{path}: {name} is {tensor['dtype']}, which cannot be read")
        values = np.frombuffer(tensor["data"], SAFETENSORS[tensor["dtype"]])
        state[name] = values.reshape(tensor["shape"])
    return state


def _write_safetensors(path, state):
    import safetensors
    from safetensors.numpy import save_file

    try:
        save_file({name: np.asarray(value, order="C") for name, value in state.items()}, path)
    except safetensors.SafetensorError as error:  # also if the system refuses
        raise ValueError(f"{path}: {_line(error)}") from None


def _write_torch(path, state):
    import torch

    tensors = {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
    try:
        torch.save(tensors, path)
    except RuntimeError as error:  # also if the system refuses
        raise ValueError(
            f"{path}: cannot be written: no space left, or no permission ({_line(error)})"
        ) from None


READERS = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    **dict.fromkeys(TORCH, weight_torch.read),
    **dict.fromkeys((".h5", ".hdf5"), keras_h5.read),
    ".keras": keras_h5.read_keras,
    ".onnx": weight_exchange.read_onnx,
    "model.json": weight_exchange.read_tfjs,
}
WRITERS = {
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
    ".pth": _write_torch,
    ".pt": _write_torch,
    ".h5": keras_h5.write,
}
