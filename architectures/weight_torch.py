"""PyTorch's files, .pth and its other endings: what they contain, and their arrays.

torch is imported when a file is read.

A file is a pickle. torch's own reader for weights reads it and runs no code: it refuses every class
and function that is not in its list of safe ones. Classes that trainers put beside their weights
(argparse.Namespace, NumPy's scalars, a whole module's classes) are read as `Unread`, which does
nothing, so that the weights can be taken.
"""

import _compat_pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from architectures import weight_archive


class Unread:
    """Replaces an object whose class is not PyTorch's: keeps its state, not its behaviour."""

    def __new__(cls, *args, **options):
        return object.__new__(cls)

    def __init__(self, *args, **options):
        self.state = None

    def __setstate__(self, state):
        self.state = state


class UnreadDict:
    """Replaces an object whose class is derived from dict by a dictionary of the same items."""

    def __new__(cls, *args, **options):
        return OrderedDict()


def read(path):
    """What the file contains: tensors in dictionaries, lists and Unread.

    Raises ValueError, one line, for a file that torch.save did not write, that is damaged, or that
    cannot be read without running code.
    """
    import torch

    names = _globals(path)
    stand_ins = {name: _stand_in(name) for name in names}
    for _ in range(1 + len(names)):
        allowed = [(value, name) for name, value in stand_ins.items()]
        try:
            with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
        except OSError:
            raise
        # the bytes may make the reader raise anything; its advice would run what the file names
        except Exception as error:
            reason = _reason(error)
        # the reader fills only plain dictionaries, even for a class derived from dict
        named = re.search(r"SETITEMS? for dict.* got <class '([\w.]+)'>", reason)
        if not named or named[1] not in stand_ins:
            break
        stand_ins[named[1]] = UnreadDict
    raise ValueError(f"{path}: cannot be read without running what it names ({reason})")


def _stand_in(name: str) -> type:
    module, _, leaf = name.rpartition(".")
    return type(leaf, (Unread,), dict(__module__=module, __qualname__=leaf))


def _reason(error: Exception) -> str:
    text = str(error)
    blocked = re.search(r"GLOBAL (\S+) whose module", text)
    if blocked:
        return f"{blocked[1]}, which was not run"
    for start in ("WeightsUnpickler error: ", "Unsupported operand"):
        text = text[text.index(start) :] if start in text else text
    text = text.removeprefix("WeightsUnpickler error: ").split("Please")[0]
    return " ".join(text.split())[:200] or type(error).__name__


def _globals(path) -> set[str]:
    """The classes and functions that the pickle names, except torch's own for tensors."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            weight_archive.check_size(path, archive)
            members = archive.namelist()
            if any(member.endswith("constants.pkl") for member in members):
                raise ValueError(
                    f"{path}: is a TorchScript archive, a program; save the state_dict() of the "
                    "module"
                )
            pickled = next((m for m in members if m.split("/")[-1] == "data.pkl"), None)
            if pickled is None:
                raise ValueError(f"{path}: is a zip file without PyTorch's data.pkl")
            with archive.open(pickled) as file:
                return _named(path, file, 1)
    with open(path, "rb") as file:
        head = file.read(4)
        if head.startswith(b"PK"):
            raise ValueError(f"{path}: was cut off: its end is missing")
        if not head.startswith(b"\x80"):
            raise ValueError(f"{path}: was not written by torch.save")
        file.seek(0)
        return _named(path, file, 4)  # before 1.6: a number, a version, the machine, the object


def _named(path, file, pickles: int) -> set[str]:
    names = set()
    try:
        for _ in range(pickles):
            for code, argument, _ in pickletools.genops(file):
                if code.name in ("GLOBAL", "INST"):
                    module, _, name = argument.partition(" ")
                    # torch.save's pickles use Python 2 names
                    renamed = _compat_pickle.IMPORT_MAPPING.get(module, module), name
                    renamed = _compat_pickle.NAME_MAPPING.get((module, name), renamed)
                    names.add(".".join(renamed))
    except Exception as error:
        raise ValueError(f"{path}: was cut off or is damaged ({_reason(error)})") from None
    return names


def module_state(item, prefix: str = "", depth: int = 0) -> dict | None:
    """{name: tensor} of a whole module that was read as Unread; None for anything else."""
    state = item.state if isinstance(item, Unread) else None
    if not isinstance(state, dict) or "_parameters" not in state or depth > 50:
        return None
    tensors = {}
    for part in ("_parameters", "_buffers"):
        for name, value in (state.get(part) or {}).items():
            if value is not None:
                tensors[f"{prefix}{name}"] = value
    for name, child in (state.get("_modules") or {}).items():
        tensors |= module_state(child, f"{prefix}{name}.", depth + 1) or {}
    return tensors


def is_tensor(item) -> bool:
    import torch

    return isinstance(item, torch.Tensor)


def arrays(path, state: Mapping) -> dict[str, np.ndarray]:
    """Tensors as arrays, floating ones in float32.

    Raises ValueError, one line, for a tensor that is quantised, sparse, without values, or a view
    with more elements than its values.
    """
    return {name: _array(path, name, value.detach()) for name, value in state.items()}


def _array(path, name: str, tensor) -> np.ndarray:
    import torch

    wrong = None
    if tensor.is_quantized:
        wrong = "is quantised; save the module before quantisation, or save dequantize()"
    elif tensor.layout != torch.strided:
        wrong = f"is {str(tensor.layout).removeprefix('torch.')}; save its to_dense()"
    elif tensor.is_meta:
        wrong = "has no values, only a shape (device 'meta')"
    elif tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        wrong = "has more elements than values in the file; save its contiguous()"
    if wrong:
        raise ValueError(f"{path}: {name} {wrong}")
    return (tensor.float() if tensor.is_floating_point() else tensor.resolve_conj()).numpy()
