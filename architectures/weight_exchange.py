"""Weights for other programs: ONNX files, and TensorFlow.js's model.json with its shards.

onnx is imported when it is needed.
"""

import json
import pathlib

import numpy as np

from architectures.keras_layers import layers_of
from architectures.weight_choice import Weights

TFJS = dict(
    float32=np.float32,
    float16=np.float16,
    int32=np.int32,
    uint16=np.uint16,
    uint8=np.uint8,
    bool=np.bool_,
)


def read_onnx(path) -> dict[str, np.ndarray]:
    """Reads the initialisers of an ONNX file.

    Raises ValueError, one line, for values in another file, and for arrays that the exporter
    computed from several of the network's arrays.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except DecodeError:
        raise ValueError(f"{path}: is damaged, or not an ONNX file") from None
    state = {}
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError(
                f"{path}: {tensor.name} is in another file; only values of the file itself are "
                "read: save it with onnx.save(onnx.load(path), new_path)"
            )
        if tensor.name.startswith("onnx::") and tensor.dims:
            raise ValueError(
                f"{path}: {tensor.name} was computed by the exporter from several arrays; export "
                "with training=torch.onnx.TrainingMode.TRAINING and do_constant_folding=False, or "
                "save the state_dict()"
            )
        state[tensor.name] = onnx.numpy_helper.to_array(tensor)
    if not state:
        raise ValueError(f"{path}: has no initialisers")
    return state


def read_tfjs(path) -> Weights:
    """Reads model.json, whose shards are beside it; arrays of 8 or 16 bits are dequantised.

    Raises ValueError, one line, for a shard that is elsewhere, missing or of another size.
    """
    path = pathlib.Path(path)
    try:
        model = json.loads(path.read_bytes())
        groups, weights = model["weightsManifest"], Weights()
        for group in groups:
            values = b"".join(_shard(path, name) for name in group["paths"])
            start = 0
            for entry in group["weights"]:
                start = _add(path, weights, entry, values, start)
            if start != len(values):
                raise ValueError(f"{path}: its shards hold {len(values)} bytes, must be {start}")
        topology = model.get("modelTopology") or {}
        if "model_config" in topology:
            weights.layers = layers_of(path, json.dumps(topology["model_config"]))
            weights.version = str(topology.get("keras_version", ""))
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: is not a model.json of TensorFlow.js ({type(error).__name__}: {error})"
        ) from None
    return weights


def _shard(path, name: str) -> bytes:
    if name != pathlib.PurePath(name).name or "\\" in name or name == "..":
        raise ValueError(f"{path}: its shard {name!r} is not a file beside it")
    shard = path.parent / name
    if not shard.is_file() or shard.is_symlink():
        raise ValueError(f"{path}: its shard {name} is missing")
    return shard.read_bytes()


def _add(path, weights: Weights, entry: dict, values: bytes, start: int) -> int:
    """Adds one array, and returns where the next one starts."""
    name, shape = entry["name"], tuple(entry["shape"])
    quantised = entry.get("quantization") or {}
    kind = quantised.get("dtype", entry["dtype"])
    if kind not in TFJS or any(not isinstance(n, int) or n < 0 for n in shape):
        raise ValueError(f"{path}: {name} is {kind} of shape {list(shape)}, which cannot be read")
    dtype = np.dtype(TFJS[kind]).newbyteorder("<")
    count = int(np.prod(shape, dtype=object))
    if count * dtype.itemsize > len(values) - start:
        raise ValueError(f"{path}: {name} ends beyond the shards; one of them was cut off")
    array = np.frombuffer(values, dtype, count, start).reshape(shape)
    if "scale" in quantised:
        array = (array * quantised["scale"] + quantised["min"]).astype(np.float32)
    if name in weights:
        raise ValueError(f"{path}: has {name} twice")
    weights[name] = array
    return start + count * dtype.itemsize
