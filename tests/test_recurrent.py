"""Recurrence: a scan equals a loop, its own gradient equals autodiff's, layers and directions are
what they are made of."""

import json
import pathlib

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import architectures
from architectures import cells
from architectures.cells import GRUCell, LSTMCell
from architectures.lstm1997 import LSTM1997Cell, g
from architectures.recurrent import Bidirectional, Recurrent, Stack, last_step
from train import flops

KEY = jax.random.key(0)


LENGTHS = np.array([7, 4, 1])
CELL = LSTMCell(5)
CELLS = {
    name: cells.make(name, 6, initialiser=None if name == "irnn" else "torch")
    for name in cells.CELLS
} | {
    "lstm1997": LSTM1997Cell(6, size=2),
    "lstm1997, inputs only": LSTM1997Cell(
        6, connections="inputs", bias="none", output_gate=False, squash_output="identity"
    ),
}


def sequences(time=7):
    """x [3, T, 4] with large numbers in the padding, and its mask."""
    mask = np.arange(time) < LENGTHS[:, None]
    return jnp.where(mask[..., None], jax.random.normal(KEY, (3, time, 4)), 1e3), jnp.asarray(mask)


def recurrent(cell=CELL, reverse=False, **options):
    layer = Recurrent(cell, reverse, **options)
    return layer, layer.init(jax.random.key(2), *sequences())


def test_a_scan_equals_a_python_loop_over_the_equations():
    (layer, variables), x = recurrent(), sequences()[0]
    p = variables["params"]["cell"]
    c = h = np.zeros([3, 5], np.float32)
    outputs = []
    for t in range(7):
        i, f, g, o = jnp.split(x[:, t] @ p["input"] + h @ p["recurrent"] + p["bias"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        outputs.append(h)
    close(layer.apply(variables, x, jnp.ones([3, 7], bool)), ((c, h), jnp.stack(outputs, axis=1)))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_step_by_step_gives_what_its_scan_gives(name):
    layer, variables = recurrent(CELLS[name])
    x = sequences()[0] / 1e3
    carry, outputs = CELLS[name].initial_carry(3), []
    for t in range(7):
        carry, y = CELLS[name].apply(
            {"params": variables["params"].get("cell", {})}, carry, x[:, t]
        )
        outputs.append(y)
    close(layer.apply(variables, x, jnp.ones([3, 7], bool)), (carry, jnp.stack(outputs, axis=1)))


def loss_and_gradients(layer, variables, x, mask):
    def loss(variables, x):
        carry, y = layer.apply(variables, x, mask)
        return jnp.sin(y).sum() + sum(jnp.cos(leaf).sum() for leaf in jax.tree.leaves(carry))

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(variables, x)


@pytest.mark.parametrize("scan", ["fused", "plain"])
def test_recomputing_chunks_of_time_costs_multiply_adds_in_the_gradient(scan):
    x, mask = sequences()
    # of 7 steps, so none is padded
    layers = [Recurrent(GRUCell(5), scan=scan, remat=remat) for remat in (0, 7)]
    variables = layers[0].init(KEY, x, mask)
    kept, again = (
        flops.multiply_adds(jax.grad(lambda v, f=f: f.apply(v, x, mask)[1].sum()), variables)
        for f in layers
    )
    assert again > kept


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_fused_gradient_and_the_recomputed_one_are_those_of_autodiff_through_the_plain_scan(
    name, reverse
):
    x, mask = sequences()
    x = jnp.where(mask[..., None], x, 1.0)
    for dtype, tolerance in ((jnp.float32, 1e-5), (jnp.float64, 1e-10)):
        with jax.enable_x64(dtype == jnp.float64):
            cell = CELLS[name].clone(dtype=dtype)
            plain, variables = recurrent(cell, reverse, scan="plain")
            variables, inputs = jax.tree.map(
                lambda a, dtype=dtype: np.asarray(a, dtype), (variables, x)
            )
            expected = loss_and_gradients(plain, variables, inputs, mask)
            for options in (
                dict(scan="fused"),
                dict(scan="fused", remat=3),
                dict(scan="plain", remat=3),
            ):
                found = loss_and_gradients(
                    Recurrent(cell, reverse, **options), variables, inputs, mask
                )
                for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
                    assert a.dtype == dtype and (
                        not a.size
                        or float(abs(a - b).max()) < tolerance * max(1, float(abs(b).max()))
                    )


def test_a_sequence_in_two_parts_with_the_carry_between_them_is_the_whole_sequence():
    (layer, variables), (x, _) = recurrent(), sequences()
    mask = jnp.ones([3, 7], bool)
    middle, first = layer.apply(variables, x[:, :3], mask[:, :3])
    end, second = layer.apply(variables, x[:, 3:], mask[:, 3:], middle)
    close(layer.apply(variables, x, mask), (end, jnp.concatenate([first, second], axis=1)))


# what cells start with


def test_an_lstm_starts_with_its_forget_bias_and_a_recurrent_matrix_orthogonal_per_gate():
    p = recurrent(LSTMCell(5, forget_bias=3.0))[1]["params"]["cell"]
    assert p["bias"].tolist() == [0] * 5 + [3] * 5 + [0] * 10
    for gate in jnp.split(p["recurrent"], 4, axis=1):
        close(gate.T @ gate, np.eye(5))
    assert p["input"].shape == (4, 20) and p["recurrent"].shape == (5, 20)


def test_an_irnn_starts_as_the_identity_and_pytorchs_weights_within_one_over_the_root_of_h():
    p = recurrent(cells.make("irnn", 5))[1]["params"]["cell"]
    assert (
        (p["recurrent"] == np.eye(5)).all()
        and not p["bias"].any()
        and 0 < float(abs(p["input"]).max()) < 0.01
    )
    p = recurrent(GRUCell(5, initialiser="torch"))[1]["params"]["cell"]
    largest = max(float(abs(leaf).max()) for leaf in p.values())
    assert 0.95 * 5**-0.5 < largest <= 5**-0.5 and p["bias"].any()


def test_each_cell_has_the_parameters_of_its_equations():
    inputs, hidden = 4, 6
    linear = hidden * (inputs + hidden + 1)
    expected = dict.fromkeys(CELLS, 3 * linear) | dict.fromkeys(
        ("elman", "elman_logistic", "elman_1990", "irnn"), linear
    )
    expected |= dict(
        lstm=4 * linear, lstm_peephole=4 * linear + 3 * hidden, gru=3 * linear + hidden
    )
    for name in cells.CELLS:
        params = recurrent(CELLS[name])[1]["params"]
        assert sum(p.size for p in jax.tree.leaves(params)) == expected[name], name


def test_only_an_lstm_with_a_forget_gate_has_a_forget_bias():
    for name in ("gru", "elman", "lstm_no_forget_gate"):
        with pytest.raises(
            ValueError, match="^forget_bias: .* no forget gate; use forget_bias=none$"
        ):
            cells.make(name, 4, forget_bias=1.0)


# the papers' own forms


def test_the_context_of_1990_starts_at_one_half_and_no_gradient_goes_through_time():
    layer, variables = recurrent(cells.make("elman_1990", 5))
    x, p = sequences()[0] / 1e3, variables["params"]["cell"]
    mask = jnp.ones([3, 7], bool)
    _, outputs = layer.apply(variables, x, mask)
    close(
        outputs[:, 0],
        jax.nn.sigmoid(x[:, 0] @ p["input"] + 0.5 * p["recurrent"].sum(axis=0) + p["bias"]),
    )
    reach = jax.grad(lambda x: layer.apply(variables, x, mask)[1][:, -1].sum())(x)
    assert not reach[:, :-1].any() and reach[:, -1].all()


def test_in_the_lstm_of_1997_an_early_input_is_felt_only_along_its_own_cells():
    cell = LSTM1997Cell(4, size=2)
    layer, variables = recurrent(cell)
    x, mask, p = sequences()[0] / 1e3, jnp.ones([3, 7], bool), variables["params"]["cell"]
    found = jax.grad(lambda x: layer.apply(variables, x, mask)[0][0].sum())(x)  # of the last s

    def added(x):  # y_in g(net_c) of the first step
        net = x @ p["input"] + jnp.pad(p["bias"], (4, 0))
        return (jnp.repeat(jax.nn.sigmoid(net[:, 4:6]), 2, axis=1) * g(net[:, :4])).sum()

    close(found[:, 0], jax.grad(added)(x[:, 0]))


@pytest.mark.parametrize("every_step", [False, True])
def test_symbols_do_to_an_lstm_of_1997_what_their_one_hot_vectors_do(every_step):
    symbols = np.random.default_rng(0).integers(0, 9, [3, 20], dtype=np.int32)
    mask = np.arange(20) < np.array([[20], [13], [1]])
    options = dict(outputs=2, shortcut=True, every_step=every_step)
    one_hot = architectures.build("lstm1997", **options)
    weights = one_hot.init(jax.random.key(0), np.eye(9)[symbols], mask, train=False)

    def loss(weights, model, x):
        y = model.apply(weights, x, mask, train=True)
        y = jnp.where(mask[..., None], y, 0) if every_step else y  # padding is answered anyhow
        return (y**2).sum(), y

    (_, expected), slopes = jax.value_and_grad(loss, has_aux=True)(
        weights, one_hot, np.eye(9, dtype=np.float32)[symbols]
    )
    by_symbol = architectures.build("lstm1997", symbols=9, **options)
    (_, y), own = jax.value_and_grad(loss, has_aux=True)(weights, by_symbol, symbols)
    np.testing.assert_array_equal(y, expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), own, slopes)
    assert np.abs(own["params"]["hidden"]["cell"]["input"]).max() > 0.01


PAPER = pathlib.Path(__file__).parent / "lstm1997_weights.json"


@pytest.mark.parametrize("row", json.loads(PAPER.read_text()), ids=lambda row: row["task"])
def test_the_lstm_of_1997_has_as_many_weights_as_the_papers_table_10(row):
    options = {key: row[key] for key in ("blocks", "size", "bias")}
    if row["task"].startswith(("2a", "2b")):
        options |= dict(
            output_gate=False,
            connections="inputs",
            shortcut=True,
            squash_output="identity",
            squash_input="sigmoid",
        )
    model = architectures.build("lstm1997", outputs=row["outputs"], **options)
    variables = model.init(
        KEY, jnp.zeros([1, 2, row["inputs"]]), jnp.ones([1, 2], bool), train=False
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == row["weights"]


def test_gate_biases_of_1997_start_where_they_are_told_one_a_block():
    cell = LSTM1997Cell(4, size=2, input_gate_bias=(-1.0, -3.0), output_gate_bias=(-2.0, -4.0))
    assert recurrent(cell)[1]["params"]["cell"]["bias"].tolist() == [-1, -3, -2, -4]
    with pytest.raises(ValueError, match="input_gate_bias: .* must have 2 numbers, one per block"):
        recurrent(LSTM1997Cell(4, size=2, input_gate_bias=(1.0,)))


# layers and directions


@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_both_directions_are_the_two_layers_by_themselves(merge):
    x, mask = sequences()
    both = Bidirectional(GRUCell(5), merge)
    variables = both.init(KEY, x, mask)
    carries, outputs = both.apply(variables, x, mask)
    (there, f), (back, b) = (
        Recurrent(GRUCell(5), reverse).apply({"params": variables["params"][way]}, x, mask)
        for way, reverse in (("forward", False), ("backward", True))
    )
    close(carries, (there, back))
    close(outputs, dict(concat=jnp.concatenate([f, b], axis=-1), sum=f + b)[merge])
    close(last_step(f, mask), there)


def test_a_stack_drops_only_between_its_layers():
    x, mask = sequences()
    one, two = (Stack(LSTMCell(5), n, dropout=0.5) for n in (1, 2))
    variables = one.init(KEY, x, mask, train=False)
    close(one.apply(variables, x, mask, train=True), one.apply(variables, x, mask, train=False))
    variables = two.init(KEY, x, mask, train=False)
    with pytest.raises(flax.errors.InvalidRngError):
        two.apply(variables, x, mask, train=True)


def test_a_residual_stack_adds_what_its_upper_layer_is_given():
    x, mask = sequences()
    plain, residual = (Stack(LSTMCell(5), 2, residual=r) for r in (False, True))
    variables = plain.init(KEY, x, mask, train=False)
    lower = Stack(LSTMCell(5), 1).apply(
        {"params": {"layer_1": variables["params"]["layer_1"]}}, x, mask, train=False
    )[1]
    upper = plain.apply(variables, x, mask, train=False)[1]
    close(residual.apply(variables, x, mask, train=False)[1], lower + upper)


def test_a_delayed_network_answers_with_so_many_steps_of_what_is_to_come_and_no_more_whatever_the_padding():
    model = architectures.build("tagger", outputs=3, hidden=4, directions="forward", delay=2)
    x = jax.random.normal(jax.random.key(0), [1, 6, 2])
    variables = model.init(jax.random.key(1), x, jnp.ones([1, 6], bool), train=False)

    def answer(x, t, mask=None):
        mask = jnp.ones([1, x.shape[1]], bool) if mask is None else mask
        return model.apply(variables, x, mask, train=False)[0, t]

    for t in range(6):
        felt = jnp.abs(jax.jacobian(answer)(x, t)).sum(axis=(0, 1, 3)) > 0  # [6]
        assert felt.tolist() == [step <= t + 2 for step in range(6)]
    padded = jnp.concatenate([x, jnp.full([1, 3, 2], 7.0)], axis=1)
    mask = jnp.arange(9)[None] < 6
    np.testing.assert_allclose(answer(padded, slice(6), mask), answer(x, slice(6)), atol=1e-6)
    with pytest.raises(ValueError, match="delay: 2 must be 0, or more with directions='forward'"):
        architectures.build("tagger", outputs=3, delay=2).init(
            jax.random.key(0), x, jnp.ones([1, 6], bool), train=False
        )
