"""Converts recurrent layers of PyTorch and Keras to ours and back, of any depth and direction.

    stack, variables = convert.load("torch.nn/LSTM", module.state_dict())
    carries, outputs = stack.apply(variables, x, mask, train=False)

PyTorch's gates are i, f, g, o and r, z, n, like ours; Keras's GRU has z, r, n. PyTorch's two biases
are summed, except the bias of n that a GRU's reset gate multiplies. On the way out the first bias
holds the sum and the second is zero. Keras's Bidirectional concatenates its directions.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from architectures import convert_keras_rnn, weight_choice
from architectures.cells import ElmanCell, GRUCell, LSTMCell
from architectures.layers import ACTIVATIONS, choose
from architectures.recurrent import Stack

SOURCES = (
    *("torch.nn/RNN", "torch.nn/LSTM", "torch.nn/GRU"),
    *("keras/SimpleRNN", "keras/LSTM", "keras/GRU", "keras/Bidirectional"),
)
GATES = dict(RNN=1, SimpleRNN=1, LSTM=4, GRU=3)


def load(
    source: str,
    state: dict,
    activation: str | None = None,
    recurrent_activation: str | None = None,
    reset: str | None = None,
):
    """(Stack, variables).

    state: {name: float32 array}: PyTorch's "weight_ih_l0", ..., or Keras's, which end in "kernel",
    "recurrent_kernel" and "bias", with "forward" or "backward" before them.
    A whole Keras model states the three options below itself if `state` has its layers
    (Weights.layers).

    activation: of an Elman network, one of layers.ACTIVATIONS; None for tanh, the default of both
    libraries. reset: "after" or "before", for a Keras GRU without biases, whose arrays do not show
    where the reset gate is. recurrent_activation: "sigmoid" confirms it for an LSTM or GRU in a
    file of Keras before 2.3, where the default is "hard_sigmoid".

    Raises ValueError, one line, for names or shapes that do not fit the layer, for an option that
    the file leaves open, and for an option that the layer fixes.
    """
    library, kind = source.split("/")
    if library == "torch.nn":
        (layers, used), config = _torch(source, kind, state), {}
    else:
        layers, used, config = convert_keras_rnn.read(
            source, kind, state, recurrent_activation, reset
        )
    _none_left(source, state, used, layers)
    first = next(iter(layers[0].values()))
    hidden = first["recurrent"].shape[0]
    gates = first["recurrent"].shape[1] // hidden
    options = dict(activation=(activation, 1), reset=(reset, 3))
    for name, (value, needs) in options.items():
        if value is not None and (gates != needs or (library == "torch.nn" and name == "reset")):
            raise ValueError(f"{name}: {source} fixes it; leave it out")
        if value is not None and config.get(name) not in (None, value):
            raise ValueError(f"{name}: the file says {config[name]!r}, not {value!r}")
    if recurrent_activation is not None and (library == "torch.nn" or gates == 1):
        raise ValueError(f"recurrent_activation: {source} fixes it; leave it out")
    activation = activation or config.get("activation") or "tanh"
    choose("activation", activation, ACTIVATIONS)
    if gates == 3:
        cell = GRUCell(hidden, reset="after" if "recurrent_bias" in first else "before")
    else:
        cell = LSTMCell(hidden) if gates == 4 else ElmanCell(hidden, activation=activation)
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
        raise ValueError(f"{source}: {wrong} is {has}, must be {needs}")
    return stack, {"params": tree}


def save(source: str, variables: dict) -> dict[str, np.ndarray]:
    """{name: array} of a Stack's variables, in the form that `load` takes.

    Raises ValueError, one line, for variables of another layer.
    """
    library, kind = source.split("/")
    state = {}
    layers = variables.get("params", {})
    if not layers or set(layers) != {f"layer_{i + 1}" for i in range(len(layers))}:
        raise ValueError(
            f"{source}: needs a Stack's layer_1, ..., not "
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
                    f"{source}: weights with {gates} gates per "
                    f"unit{' and peepholes' * ('peephole' in w)} do not fit it"
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
                    for part, a in convert_keras_rnn.write(w, gates).items()
                }
    return state


def _torch(source: str, kind: str, state: dict) -> tuple[list[dict], set]:
    gates, layers, used = GATES[kind], [], set()
    projected = next((name for name in state if name.startswith("weight_hr_")), None)
    if projected:
        raise ValueError(
            f"{source}: {projected} is a projection (proj_size), which our layer does not have"
        )
    if "weight_ih_l0" not in state:
        held = weight_choice.held_by(state, "weight_ih_l0", ".")
        raise ValueError(f"{source}: has no weight_ih_l0 among {len(state)} names{held}")
    biased = any(name.startswith("bias_") for name in state)
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
                    "not matrices"
                )
            hidden = w_hh.shape[1]
            for name, shape in zip(names, (w_ih.shape[:1], w_hh.shape[:1]), strict=True):
                if shape != (gates * hidden,):
                    raise ValueError(
                        f"{source}: {name} has {shape[0]} rows, must have {gates} x {hidden}"
                    )
            used |= {*names}
            biases = [np.zeros(gates * hidden, w_ih.dtype)] * 2
            if biased:
                names = [f"{part}_{end}" for part in ("bias_ih", "bias_hh")]
                biases = [_get(source, state, name) for name in names]
                used |= {*names}
            layer[way] = dict(input=w_ih.T, recurrent=w_hh.T, bias=biases[0] + biases[1])
            if gates == 3:
                layer[way]["bias"] = np.concatenate(
                    [layer[way]["bias"][: 2 * hidden], biases[0][2 * hidden :]]
                )
                layer[way]["recurrent_bias"] = biases[1][2 * hidden :]
        layers.append(layer)
    return layers, used


def _to_torch(w: dict, gates: int, end: str, source: str) -> dict:
    second = np.zeros_like(w["bias"])
    if gates == 3:
        if "recurrent_bias" not in w:
            raise ValueError(
                f"{source}: has the reset gate after the product, these weights have it before"
            )
        second[-len(w["recurrent_bias"]) :] = w["recurrent_bias"]
    names = dict(
        weight_ih=w["input"].T, weight_hh=w["recurrent"].T, bias_ih=w["bias"], bias_hh=second
    )
    return {f"{name}_{end}": array for name, array in names.items()}


def _get(source: str, state: dict, name: str):
    if name not in state:
        raise ValueError(f"{source}: has no {name}")
    return state[name]


def _none_left(source: str, state: dict, used: set, layers: list) -> None:
    left = sorted(set(state) - used)
    if left:
        raise ValueError(f"{source}: {left[0]} is not a weight of a layer that we have")
    if not layers or len({tuple(layer) for layer in layers}) > 1:
        raise ValueError(f"{source}: has no layers, or their directions differ")
