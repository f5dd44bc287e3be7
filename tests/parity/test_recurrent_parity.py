"""Recurrent layers against PyTorch's and Keras's with the same weights, over padded batches of
unequal lengths."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from architectures import convert, weight_files

LENGTHS = np.array([7, 2, 5, 1])
MASK = jnp.asarray(np.arange(7) < LENGTHS[:, None])
X = np.array(jax.random.normal(jax.random.key(0), (4, 7, 3)))


def equal(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=0, atol=1e-5)


def hidden(carry):
    """h of a carry; an LSTM's is (c, h)."""
    return carry[1] if isinstance(carry, tuple) else carry


def gradients(stack, variables):
    """(d of sum sin(outputs) + sum cos(last layer's final h) by the variables, by x), outputs,
    carries."""

    def objective(variables, x):
        carries, outputs = stack.apply(variables, x, MASK, train=False)
        ends = carries[-1] if stack.directions == "both" else (carries[-1],)
        return jnp.sin(outputs).sum() + sum(jnp.cos(hidden(end)).sum() for end in ends), (
            outputs,
            carries,
        )

    return jax.grad(objective, argnums=(0, 1), has_aux=True)(variables, X)


TORCHS = {
    "RNN": {},
    "RNN, relu": dict(nonlinearity="relu"),
    "LSTM": {},
    "GRU": {},
}


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", TORCHS)
def test_outputs_final_states_and_gradients_equal_pytorchs_over_packed_sequences(
    kind, layers, both
):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    source, options = f"torch.nn/{kind.split(',')[0]}", TORCHS[kind]
    theirs = getattr(torch.nn, kind.split(",")[0])(
        3, 5, layers, batch_first=True, bidirectional=both, **options
    )
    x = torch.tensor(X, requires_grad=True)
    sequences = torch.nn.utils.rnn.pack_padded_sequence(
        x, LENGTHS, batch_first=True, enforce_sorted=False
    )
    packed, state = theirs(sequences)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    h = state[0] if isinstance(state, tuple) else state
    directions = 2 if both else 1
    (torch.sin(outputs).sum() + torch.cos(h[-directions:]).sum()).backward()

    weights = {name: p.detach().numpy() for name, p in theirs.named_parameters()}
    stack, variables = convert.load(source, weights, activation=options.get("nonlinearity"))
    (by_weight, by_x), (ours, carries) = gradients(stack, variables)
    equal(ours, outputs.detach())
    equal(by_x, x.grad)
    ends = [end for carry in carries for end in (carry if both else (carry,))]
    equal(jnp.stack([hidden(end) for end in ends]), h.detach())
    if isinstance(state, tuple):
        equal(jnp.stack([c for c, _ in ends]), state[1].detach())
    # PyTorch's second bias gets the gradient of the sum again, but for n of a GRU, where ours are
    # two as well
    found = convert.save(source, by_weight)
    for name, p in theirs.named_parameters():
        if not name.startswith("bias_hh"):
            equal(found[name], p.grad)
        elif kind == "GRU":
            equal(found[name][-5:], p.grad[-5:])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_weights_that_go_out_to_pytorch_come_back_bit_for_bit(kind):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, kind)(3, 5, 2, bidirectional=True)
    _, variables = convert.load(
        f"torch.nn/{kind}", {k: v.numpy() for k, v in theirs.state_dict().items()}
    )
    state = convert.save(f"torch.nn/{kind}", variables)
    theirs.load_state_dict({name: torch.tensor(np.array(a)) for name, a in state.items()})
    again = flatten_dict(convert.load(f"torch.nn/{kind}", state)[1])
    for path, leaf in flatten_dict(variables).items():
        np.testing.assert_array_equal(again[path], leaf)


def keras():
    os.environ["KERAS_BACKEND"] = "jax"
    return pytest.importorskip("keras")


KERAS = {
    "SimpleRNN": {},
    "LSTM": {},
    "GRU": {},
    "GRU, reset before": dict(reset_after=False),
}


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("kind", KERAS)
def test_outputs_final_states_and_gradients_equal_kerass_over_masked_sequences(kind, both):
    layers, name = keras().layers, kind.split(",")[0]
    layer = getattr(layers, name)(
        5, return_sequences=True, return_state=True, zero_output_for_mask=True, **KERAS[kind]
    )
    layer = layers.Bidirectional(layer) if both else layer
    layer.build(X.shape)
    rng = np.random.default_rng(0)
    for weight in layer.trainable_variables:  # its biases start at zero
        weight.assign(rng.normal(size=weight.shape) / 2)
    source = f"keras/{'Bidirectional' if both else name}"
    stack, variables = convert.load(
        source, {w.path: np.asarray(w) for w in layer.trainable_variables}
    )

    others = [w.value for w in layer.non_trainable_variables]

    def run(weights, x):
        (outputs, *states), _ = layer.stateless_call(weights, others, x, mask=MASK)
        ends = states[:: len(states) // 2] if both else states[:1]
        return jnp.sin(outputs).sum() + sum(jnp.cos(h).sum() for h in ends), (outputs, ends)

    weights = [w.value for w in layer.trainable_variables]
    (by_weight, by_x), (outputs, ends) = jax.grad(run, argnums=(0, 1), has_aux=True)(
        weights, jnp.asarray(X)
    )
    (our_by_weight, our_by_x), (ours, (carry,)) = gradients(stack, variables)
    equal(ours, outputs)
    equal(our_by_x, by_x)
    for end, h in zip(carry if both else (carry,), ends, strict=True):
        equal(hidden(end), h)
    theirs = {
        w.path: np.asarray(g) for w, g in zip(layer.trainable_variables, by_weight, strict=True)
    }
    found = convert.save(source, our_by_weight)
    for path, gradient in theirs.items():
        part = path.split("/")[-1]
        way = next((f"{w}/" for w in ("forward", "backward") if w in path), "")
        mine = found[way + part]
        if mine.ndim == 2 and part == "bias":  # a GRU's second row has its own gradient for n alone
            equal(mine[0], gradient[0])
            equal(mine[1, -5:], gradient[1, -5:])
        else:
            equal(mine, gradient)


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("kind", KERAS)
def test_keras_computes_the_same_from_the_weights_h5_that_we_make_of_its_own(kind, both, tmp_path):
    h5py = pytest.importorskip("h5py")
    name = kind.split(",")[0]

    def network(seed):
        layer = getattr(keras().layers, name)(5, **KERAS[kind])
        layer = keras().layers.Bidirectional(layer) if both else layer
        model, rng = (
            keras().Sequential([keras().Input(X.shape[1:]), layer]),
            np.random.default_rng(seed),
        )
        for weight in model.trainable_variables:  # its biases start at zero
            weight.assign(rng.normal(size=weight.shape) / 2)
        return model

    theirs, other, source = network(0), network(1), f"keras/{'Bidirectional' if both else name}"
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    stack, variables = convert.load(source, tmp_path / "theirs.weights.h5")
    ends = jax.tree.leaves(
        stack.apply(variables, jnp.asarray(X), jnp.ones(X.shape[:2], bool), train=False)[0]
    )
    equal(np.concatenate(ends[1::2] if name == "LSTM" else ends, -1), theirs(X))
    weight_files.write(tmp_path / "ours.weights.h5", convert.save(source, variables))
    other.load_weights(tmp_path / "ours.weights.h5")
    equal(other(X), theirs(X))

    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(tmp_path / "old.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    old = flatten_dict(convert.load(source, tmp_path / "old.h5")[1])
    for path, leaf in flatten_dict(variables).items():
        np.testing.assert_array_equal(old[path], leaf)


def test_of_two_layers_in_one_weights_h5_neither_is_taken_for_the_other(tmp_path):
    layers = keras().layers
    many = [
        keras().Input(X.shape[1:]),
        layers.LSTM(5, return_sequences=True),
        layers.Dropout(0.5),
        layers.LSTM(5),
    ]
    keras().Sequential(many).save_weights(tmp_path / "two.weights.h5")
    with pytest.raises(
        ValueError,
        match=r"^keras/LSTM: is one layer; lstm\S*/kernel belongs to another layer than lstm\S*/kernel; "
        r"use --layer to choose one$",
    ):
        convert.load("keras/LSTM", tmp_path / "two.weights.h5")


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both directions"])
@pytest.mark.parametrize("after", [False, True], ids=["reset before", "reset after"])
def test_a_gru_without_biases_computes_the_same_from_each_file_that_keras_writes(
    both, after, tmp_path
):
    layer = keras().layers.GRU(5, use_bias=False, reset_after=after, name="mine")
    layer = keras().layers.Bidirectional(layer, name="mine") if both else layer
    layers = [keras().Input(X.shape[1:]), layer]
    inner = keras().Sequential(layers, name="inner")
    model = keras().Sequential([keras().Input(X.shape[1:]), inner, keras().layers.Dense(2)])
    for name, whole in (("one", keras().Sequential(layers)), ("two", model)):
        whole.save_weights(tmp_path / f"{name}.weights.h5")
        whole.save(tmp_path / f"{name}.keras")
        whole.save(tmp_path / f"{name}.h5")
    source = f"keras/{'Bidirectional' if both else 'GRU'}"
    for ending in (".weights.h5", ".keras", ".h5"):
        for name, path in (("one", None), ("one", "mine"), ("two", "inner/mine")):
            file, options = tmp_path / f"{name}{ending}", dict(layer=path)
            if ending == ".weights.h5":  # says nothing of it
                with pytest.raises(ValueError, match="pass --reset=after or --reset=before$"):
                    convert.load(source, file, **options)
                options["reset"] = "after" if after else "before"
            stack, variables = convert.load(source, file, **options)
            carries, _ = stack.apply(
                variables, jnp.asarray(X), jnp.ones(X.shape[:2], bool), train=False
            )
            equal(np.concatenate(jax.tree.leaves(carries), -1), layer(X))
