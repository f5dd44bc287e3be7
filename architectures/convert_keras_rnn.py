"""Converts Keras's recurrent layers to ours and back.

Gates z, r, n become r, z, n. Two biases become their sum, except the part that a reset gate
multiplies. CuDNN's layouts are read too.
"""

import re

import numpy as np

from architectures import keras_layers

GATES = dict(SimpleRNN=1, LSTM=4, GRU=3)
PARTS = ("kernel", "recurrent_kernel", "bias")


def read(source, kind, state, recurrent_activation, reset) -> tuple[list[dict], set, dict]:
    """(layers, the names they come from, what the file says about them).

    See convert_recurrent.load.
    """
    layer, used, config = {}, {}, {}  # used: names in their order
    biases = set()
    for way in ("forward", "backward") if kind == "Bidirectional" else ("forward",):
        found = {}
        for name in state:
            part = name.split("/")[-1]
            if part in PARTS and (kind != "Bidirectional" or way in name):
                if part in found:
                    raise ValueError(
                        f"{source}: is one layer; {name} belongs to another layer than "
                        f"{next(iter(used))}; use --layer to choose one"
                    )
                found[part] = state[name]
                used[name] = way
        for part in PARTS[:2]:
            if part not in found:
                raise ValueError(
                    f"{source}: has no {(way + ' ') * (kind == 'Bidirectional')}{part}"
                )
        w, u = found["kernel"], found["recurrent_kernel"]
        if w.ndim != 2 or u.ndim != 2 or not u.size:
            raise ValueError(
                f"{source}: kernels of shapes {list(w.shape)} and {list(u.shape)} do not fit it"
            )
        hidden = u.shape[0]
        gates = u.shape[1] // hidden
        if (
            gates not in ((GATES[kind],) if kind in GATES else (1, 3, 4))
            or w.shape[1] != u.shape[1]
        ):
            raise ValueError(
                f"{source}: kernels of {w.shape[1]} and {u.shape[1]} columns for {hidden} units "
                "do not fit it"
            )
        *owner, _ = next(reversed(used)).split("/")
        owner = "/".join(owner[:-1] if owner[-1:] == [way] else owner)
        config = getattr(state, "layers", {}).get(owner)
        config = {} if config is None else keras_layers.recurrent(source, owner or kind, config)
        bias = found.get("bias")
        if bias is not None and bias.shape == (2 * gates * hidden,) and gates > 1:  # CuDNN's
            w, u = _from_cudnn(w, gates), _from_cudnn(u, gates)
            bias = bias.reshape(2, -1)
            bias = bias.sum(0) if gates == 4 else bias
        elif gates > 1 and not config:
            _check_version(source, getattr(state, "version", ""), recurrent_activation)
        if gates == 3 and bias is not None:
            config = dict(reset="after" if bias.ndim == 2 else "before")
        if bias is None:
            bias = np.zeros(gates * hidden, w.dtype)
            bias = _reset_of(source, config.get("reset") or reset, bias) if gates == 3 else bias
        weights = dict(input=_swapped(w, gates), recurrent=_swapped(u, gates))
        if bias.ndim == 2:  # GRU with reset_after: the input's and the recurrent product's
            first, second = _swapped(bias, gates)
            summed = first + second
            weights["bias"] = np.concatenate([summed[: 2 * hidden], first[2 * hidden :]])
            weights["recurrent_bias"] = second[2 * hidden :]
        else:
            weights["bias"] = _swapped(bias, gates)
        layer[way] = weights
        biases.add("bias" in found)
    if len(biases) > 1:
        raise ValueError(f"{source}: only one direction has a bias; a part of the file is missing")
    return [layer], {*used}, config


def _from_cudnn(kernels, gates: int):
    """Kernels of Keras's CuDNNLSTM and CuDNNGRU, each gate's laid out as its transpose."""
    inputs = len(kernels)
    parts = [part.reshape(-1, inputs).T for part in np.split(kernels, gates, axis=1)]
    return np.concatenate(parts, axis=1)


def _check_version(source: str, version: str, recurrent_activation: str | None) -> None:
    if recurrent_activation not in (None, "sigmoid"):
        raise ValueError(
            f"recurrent_activation: only 'sigmoid' is supported, not {recurrent_activation!r}"
        )
    numbers = re.findall(r"\d+", version)[:2]
    if numbers and [int(n) for n in numbers] < [2, 3] and recurrent_activation is None:
        raise ValueError(
            f"{source}: was written by Keras {version}, whose gates are 'hard_sigmoid' unless the "
            "layer was made with 'sigmoid', which our layers compute; if it was, pass "
        )


def _reset_of(source: str, reset: str | None, bias):
    """The biases; zeros in a layout that states where the reset gate is, if the file has none."""
    if reset not in ("after", "before"):
        raise ValueError(
            f"{source}: without biases nothing shows whether the reset gate comes after the "
            "recurrent product, Keras's default, or before it; pass --reset=after or --reset=before"
        )
    return np.stack([bias, bias]) if reset == "after" else bias


def write(w: dict, gates: int) -> dict:
    bias = _swapped(w["bias"], gates)
    if "recurrent_bias" in w:
        second = np.zeros_like(bias)
        second[-len(w["recurrent_bias"]) :] = w["recurrent_bias"]
        bias = np.stack([bias, second])
    return dict(
        kernel=_swapped(w["input"], gates),
        recurrent_kernel=_swapped(w["recurrent"], gates),
        bias=bias,
    )


def _swapped(array, gates: int):
    """Keras's z, r, n as our r, z, n, and back; the gates of other cells have the same order."""
    if gates != 3:
        return array
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)
