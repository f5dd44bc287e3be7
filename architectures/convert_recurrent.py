"""Recurrent layers of PyTorch and Keras as ours, and ours as theirs: any depth, one direction or
both.

    stack, variables = convert.load("torch.nn/LSTM", module.state_dict())
    carries, outputs = stack.apply(variables, x, mask, train=False)

Gates: PyTorch i, f, g, o and r, z, n as ours; Keras z, r, n. PyTorch's two biases are summed, but
for that of n which a GRU's reset gate multiplies; on the way out the first has the sum and the
second is zero. Keras's Bidirectional concatenates.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from architectures.cells import ElmanCell, GRUCell, LSTMCell
from architectures.layers import ACTIVATIONS, choose
from architectures.recurrent import Stack

SOURCES = (
    *("torch.nn/RNN", "torch.nn/LSTM", "torch.nn/GRU"),
    *("keras/SimpleRNN", "keras/LSTM", "keras/GRU", "keras/Bidirectional"),
)
GATES = dict(RNN=1, SimpleRNN=1, LSTM=4, GRU=3)
KERAS_PARTS = ("kernel", "recurrent_kernel", "bias")


def load(source: str, state: dict, activation: str | None = None):
    """(Stack, variables). state: {name: array}: PyTorch's "weight_ih_l0", ..., or Keras's, which
    end in "kernel", "recurrent_kernel" and "bias", "forward" or "backward" before them. activation:
    of an Elman network, one of layers.ACTIVATIONS, None for tanh.

    Raises ValueError, one line, for names or shapes that are not those of the layer, and an
    activation for another one.
    """
    library, kind = source.split("/")
    layers = (_torch if library == "torch.nn" else _keras)(
        source, kind, {name: np.asarray(a) for name, a in state.items()}
    )
    first = next(iter(layers[0].values()))
    hidden = first["recurrent"].shape[0]
    gates = first["recurrent"].shape[1] // hidden
    if activation is not None and gates > 1:
        raise ValueError(f"activation: {source} has its own")
    choose("activation", activation or "tanh", ACTIVATIONS)
    if gates == 3:
        cell = GRUCell(hidden, reset="after" if "recurrent_bias" in first else "before")
    else:
        cell = (
            LSTMCell(hidden) if gates == 4 else ElmanCell(hidden, activation=activation or "tanh")
        )
    both = len(layers[0]) == 2
    tree = {}
    for i, layer in enumerate(layers):
        tree[f"layer_{i + 1}"] = (
            {way: dict(cell=w) for way, w in layer.items()} if both else dict(cell=layer["forward"])
        )
    stack = Stack(cell, len(layers), "both" if both else "forward")
    x, mask = jnp.zeros([1, 1, len(first["input"])]), jnp.ones([1, 1], bool)
    made = jax.eval_shape(lambda: stack.init(jax.random.key(0), x, mask, train=False))
    expected, found = (
        {"/".join(p): a.shape for p, a in flatten_dict(t).items()} for t in (made["params"], tree)
    )
    wrong = next(
        (path for path in {**expected, **found} if expected.get(path) != found.get(path)), None
    )
    if wrong:
        has, needs = (shapes.get(wrong, "nothing") for shapes in (found, expected))
        raise ValueError(f"{source}: {wrong} comes to {has}, must be {needs}")
    return stack, {"params": tree}


def save(source: str, variables: dict) -> dict[str, np.ndarray]:
    """{name: array} of a Stack's variables, as `load` takes them. Raises ValueError, one line, for
    those of another layer."""
    library, kind = source.split("/")
    state = {}
    layers = variables.get("params", {})
    if not layers or set(layers) != {f"layer_{i + 1}" for i in range(len(layers))}:
        raise ValueError(
            f"{source}: needs layer_1, ... of a Stack, not "
            f"{', '.join(list(layers)[:3]) or 'nothing'}"
        )
    for i in range(len(layers)):
        layer = layers[f"layer_{i + 1}"]
        ways = dict(forward=layer) if "cell" in layer else layer
        for way, holder in ways.items():
            w = {name: np.asarray(a) for name, a in holder["cell"].items()}
            gates = w["recurrent"].shape[1] // w["recurrent"].shape[0]
            if (kind in GATES and gates != GATES[kind]) or "peephole" in w:
                raise ValueError(
                    f"{source}: weights of {gates} gates a "
                    f"unit{' with peepholes' * ('peephole' in w)} are none of it"
                )
            if library == "torch.nn":
                state |= _to_torch(w, gates, f"l{i}" + "_reverse" * (way == "backward"), source)
            elif len(layers) > 1 or (len(ways) == 2) != (kind == "Bidirectional"):
                raise ValueError(
                    f"{source}: is one layer of "
                    f"{'both directions' if kind == 'Bidirectional' else 'one direction'}"
                )
            else:
                state |= {
                    way * (len(ways) == 2) + "/" * (len(ways) == 2) + part: a
                    for part, a in _to_keras(w, gates).items()
                }
    return state


def _torch(source: str, kind: str, state: dict) -> list[dict]:
    gates, layers, used = GATES[kind], [], set()
    while f"weight_ih_l{len(layers)}" in state:
        layer = {}
        for way, suffix in (("forward", ""), ("backward", "_reverse")):
            end = f"l{len(layers)}{suffix}"
            if f"weight_ih_{end}" not in state:
                continue
            names = [f"{part}_{end}" for part in ("weight_ih", "weight_hh")]
            w_ih, w_hh = (_get(source, state, name) for name in names)
            if w_ih.ndim != 2 or w_hh.ndim != 2 or not w_hh.size:
                raise ValueError(
                    f"{source}: {' and '.join(names)} of shapes {w_ih.shape} and {w_hh.shape} are "
                    "no matrices"
                )
            hidden = w_hh.shape[1]
            for name, shape in zip(names, (w_ih.shape[:1], w_hh.shape[:1]), strict=True):
                if shape != (gates * hidden,):
                    raise ValueError(
                        f"{source}: {name} has {shape[0]} rows, must have {gates} x {hidden}"
                    )
            used |= {*names}
            biases = [np.zeros(gates * hidden, w_ih.dtype)] * 2
            if f"bias_ih_{end}" in state:
                biases = [_get(source, state, f"{part}_{end}") for part in ("bias_ih", "bias_hh")]
                used |= {f"bias_ih_{end}", f"bias_hh_{end}"}
            layer[way] = dict(input=w_ih.T, recurrent=w_hh.T, bias=biases[0] + biases[1])
            if gates == 3:
                layer[way]["bias"] = np.concatenate(
                    [layer[way]["bias"][: 2 * hidden], biases[0][2 * hidden :]]
                )
                layer[way]["recurrent_bias"] = biases[1][2 * hidden :]
        layers.append(layer)
    _none_left(source, state, used, layers)
    return layers


def _to_torch(w: dict, gates: int, end: str, source: str) -> dict:
    second = np.zeros_like(w["bias"])
    if gates == 3:
        if "recurrent_bias" not in w:
            raise ValueError(
                f"{source}: has the reset gate after the product, these weights before it"
            )
        second[-len(w["recurrent_bias"]) :] = w["recurrent_bias"]
    names = dict(
        weight_ih=w["input"].T, weight_hh=w["recurrent"].T, bias_ih=w["bias"], bias_hh=second
    )
    return {f"{name}_{end}": array for name, array in names.items()}


def _keras(source: str, kind: str, state: dict) -> list[dict]:
    layer, used = {}, {}  # used: names in their order
    for way in ("forward", "backward") if kind == "Bidirectional" else ("forward",):
        found = {}
        for name in state:
            part = name.split("/")[-1]
            if part in KERAS_PARTS and (kind != "Bidirectional" or way in name):
                if part in found:
                    raise ValueError(
                        f"{source}: is one layer; {name} is of another one than {next(iter(used))}"
                    )
                found[part] = state[name]
                used[name] = way
        for part in KERAS_PARTS[:2]:
            if part not in found:
                raise ValueError(
                    f"{source}: has no {(way + ' ') * (kind == 'Bidirectional')}{part}"
                )
        w, u = found["kernel"], found["recurrent_kernel"]
        if w.ndim != 2 or u.ndim != 2 or not u.size:
            raise ValueError(
                f"{source}: kernels of shapes {list(w.shape)} and {list(u.shape)} are none of it"
            )
        hidden = u.shape[0]
        gates = u.shape[1] // hidden
        if (
            gates not in ((GATES[kind],) if kind in GATES else (1, 3, 4))
            or w.shape[1] != u.shape[1]
        ):
            raise ValueError(
                f"{source}: kernels of {w.shape[1]} and {u.shape[1]} columns for {hidden} units "
                "are none of it"
            )
        bias = found.get("bias", np.zeros(gates * hidden, w.dtype))
        weights = dict(input=_swapped(w, gates), recurrent=_swapped(u, gates))
        if bias.ndim == 2:  # a GRU's with reset_after: of the input, and of the recurrent product
            first, second = _swapped(bias, gates)
            summed = first + second
            weights["bias"] = np.concatenate([summed[: 2 * hidden], first[2 * hidden :]])
            weights["recurrent_bias"] = second[2 * hidden :]
        else:
            weights["bias"] = _swapped(bias, gates)
        layer[way] = weights
    _none_left(source, state, set(used), [layer])
    return [layer]


def _to_keras(w: dict, gates: int) -> dict:
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
    """Keras's z, r, n as ours, r, z, n, and back; other cells' gates are in one order."""
    if gates != 3:
        return array
    first, second, third = np.split(array, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)


def _get(source: str, state: dict, name: str):
    if name not in state:
        raise ValueError(f"{source}: has no {name}")
    return state[name]


def _none_left(source: str, state: dict, used: set, layers: list) -> None:
    left = sorted(set(state) - used)
    if left:
        raise ValueError(f"{source}: {left[0]} is no weight of such a layer that we have")
    if not layers or len({tuple(layer) for layer in layers}) > 1:
        raise ValueError(f"{source}: no layers, or of unequal directions")
