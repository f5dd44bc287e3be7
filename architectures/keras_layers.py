"""What a whole Keras model says about its layers: its configuration, JSON that is never run."""

import json
from collections.abc import Mapping

from architectures.layers import ACTIVATIONS

RECURRENT = ("SimpleRNN", "LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU")


def layers_of(path, text: str | bytes) -> dict[str, dict]:
    """{layer's name: {"class_name": ..., "config": ...}} from a model's configuration.

    "a/b" is layer b of the model a inside it. Raises ValueError, one line, for anything else.
    """
    try:
        layers: dict[str, dict] = {}
        _collect(json.loads(text), "", layers)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ValueError(f"{path}: the configuration of its model cannot be read") from None
    return layers


def _collect(model: Mapping, prefix: str, layers: dict) -> None:
    inner = model["config"]
    # a list itself in Keras before 2.2.3
    entries = inner if isinstance(inner, list) else inner.get("layers", [])
    for layer in entries:
        name = prefix + (layer.get("name") or layer["config"]["name"])
        layers[name] = layer
        if isinstance(layer["config"], list) or "layers" in layer["config"]:
            _collect(layer, f"{name}/", layers)


def recurrent(source: str, name: str, layer: Mapping) -> dict:
    """{"activation": ..., "reset": ...} from a recurrent layer's configuration; None if not stated.

    Raises ValueError, one line, for a layer that computes something different from ours.
    """

    def refuse(key, value, ours):
        raise ValueError(f"{source}: {name} has {key}={value!r}; our layer computes {ours}")

    inner, config = layer.get("class_name"), layer["config"]
    if inner == "Bidirectional":
        if config.get("merge_mode", "concat") != "concat":
            refuse("merge_mode", config["merge_mode"], "'concat'")
        inner, config = config["layer"]["class_name"], config["layer"]["config"]
    if inner not in RECURRENT:
        raise ValueError(f"{source}: {name} is a {inner}; choose from {', '.join(RECURRENT)}")
    if config.get("go_backwards"):
        refuse("go_backwards", True, "it forwards")
    if inner.startswith("CuDNN"):
        return dict(activation=None, reset="after" if inner == "CuDNNGRU" else None)
    activation = config.get("activation", "tanh")
    if inner == "SimpleRNN" and activation in ACTIVATIONS:
        return dict(activation=activation, reset=None)
    if activation != "tanh":
        refuse("activation", activation, "'tanh'")
    # inner_activation: Keras 1
    gates = config.get("recurrent_activation", config.get("inner_activation", "sigmoid"))
    if inner != "SimpleRNN" and gates != "sigmoid":
        refuse("recurrent_activation", gates, "'sigmoid'")
    reset = {True: "after", False: "before"}[bool(config.get("reset_after"))]
    return dict(activation=None, reset=reset if inner == "GRU" else None)
