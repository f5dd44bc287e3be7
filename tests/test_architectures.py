"""architectures/: sizes as printed, convolutions equal to stock, padding and devices without influence."""

import functools
import inspect
import itertools

import flax
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import architectures
from architectures import layers, lenet
from architectures.cells import LSTMCell
from architectures.layers import Conv, Dropout, Subsample, convolve
from architectures.recurrent import Recurrent, Stack

KEY = jax.random.key(0)
PLAIN = (str, int, float, bool, tuple)


def example(name, batch=3):
    """Inputs and mask that the model `name` takes."""
    if architectures.takes(name) == "image":
        return jax.random.normal(KEY, (batch, 32, 32, 1)), jnp.ones([batch], bool)
    return jax.random.normal(KEY, (batch, 6, 4)), jnp.arange(6) < jnp.array([6, 4, 1])[:, None]


def initialised(name, **hyperparameters):
    model, (x, mask) = architectures.build(name, outputs=10, **hyperparameters), example(name)
    return model, model.init(KEY, x, mask, train=False), x, mask


def sizes(variables) -> dict[str, int]:
    return {name: sum(p.size for p in jax.tree.leaves(tree)) for name, tree in variables["params"].items()}


def close(a, b, tolerance=1e-5):
    """Equal to `tolerance` of the largest value, leaf by leaf."""
    for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(1, np.abs(y).max()))


# every model


@pytest.mark.parametrize("name", architectures.MODELS)
def test_a_constructor_shows_plain_types_and_a_default_for_every_hyperparameter(name):
    parameters = dict(inspect.signature(architectures.MODELS[name]).parameters)
    assert parameters.pop("outputs").default is inspect.Parameter.empty
    assert parameters.pop("dtype").default == jnp.float32 and parameters.pop("axis_name").default is None
    for key in set(parameters) - {"parent", "name"}:
        assert parameters[key].annotation in PLAIN and type(parameters[key].default) in PLAIN, key


@pytest.mark.parametrize("name", architectures.MODELS)
def test_bfloat16_is_for_computing_and_leaves_parameters_and_logits_float32(name):
    model, variables, x, mask = initialised(name, dtype=jnp.bfloat16)
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    logits = model.apply(variables, x, mask, train=False)
    assert logits.shape == (3, 10) and logits.dtype == jnp.float32
    assert "bf16" in str(jax.make_jaxpr(lambda x: model.apply(variables, x, mask, train=False))(x))
    close(logits, initialised(name)[0].apply(variables, x, mask, train=False), 0.05)


@pytest.mark.parametrize(
    ("name", "choice", "valid"),
    [
        ("lenet", {}, "lenet5, lenet5_1998, lstm"),
        ("lenet5", {"c3": "x"}, "dense, sparse"),
        ("lenet5", {"subsampling": "x"}, "average, max, trainable"),
        ("lenet5", {"activation": "x"}, "relu, scaled_tanh, tanh"),
        ("lenet5", {"output": "x"}, "dense, rbf"),
        ("lenet5", {"initialiser": "x"}, "lecun, lecun_1998"),
        ("lstm", {"cell": "x"}, "lstm"),
    ],
)
def test_a_wrong_choice_is_answered_in_one_line_with_the_valid_ones(name, choice, valid):
    with pytest.raises(ValueError, match=f"unknown .*; have {valid}") as error:
        initialised(name, **choice)
    assert "\n" not in str(error.value)


# LeNet-5


def test_lenet5_1998_has_the_papers_60_000_parameters_layer_by_layer():
    counts = sizes(initialised("lenet5_1998")[1])
    assert counts == dict(C1=156, S2=12, C3=1516, S4=32, C5=48120, F6=10164) and sum(counts.values()) == 60_000


def test_todays_lenet5_has_61_706_parameters():
    counts = sizes(initialised("lenet5")[1])
    assert counts == dict(C1=156, C3=2416, C5=48120, F6=10164, OUTPUT=850) and sum(counts.values()) == 61_706


def test_a_c3_map_sees_exactly_its_inputs_in_table_1():
    assert [len(seen) for seen in lenet.C3_INPUTS] == [3] * 6 + [4] * 9 + [6]
    assert np.bincount(np.concatenate(lenet.C3_INPUTS)).tolist() == [10] * 6
    c3, x = lenet.SparseC3(layers.uniform_fan_in, jnp.float32), jnp.ones([1, 5, 5, 6])
    variables = c3.init(KEY, x)
    slopes = jax.jacobian(lambda x: c3.apply(variables, x)[0, 0, 0])(x)[:, 0]  # [16, 5, 5, 6]
    seen = [tuple(np.flatnonzero(np.abs(map_).max(axis=(0, 1)))) for map_ in slopes]
    assert seen == [tuple(sorted(inputs)) for inputs in lenet.C3_INPUTS]


def test_the_sparse_c3_equals_a_dense_one_with_zeros_in_the_missing_places():
    c3, x = lenet.SparseC3(layers.uniform_fan_in, jnp.float32), jax.random.normal(KEY, (2, 14, 14, 6))
    variables = c3.init(KEY, x)
    kernel, column = np.zeros([5, 5, 6, 16], np.float32), 0
    for map_, inputs in enumerate(lenet.C3_INPUTS):
        for s2 in inputs:
            kernel[:, :, s2, map_], column = variables["params"]["kernel"][..., column], column + 1
    close(c3.apply(variables, x), stock(x, kernel, (1, 1), "VALID"))


def test_a_c3_map_draws_its_weights_by_the_fan_in_of_its_own_unit():
    kernel = np.abs(initialised("lenet5_1998")[1]["params"]["C3"]["kernel"])
    first = np.cumsum([0, *map(len, lenet.C3_INPUTS)])
    largest = [kernel[..., a:b].max() * 25 * (b - a) / 2.4 for a, b in itertools.pairwise(first)]
    assert max(largest) <= 1 + 1e-6 and min(largest) > 0.9


def test_subsampling_is_coefficient_times_the_sum_of_four_plus_bias():
    x = jnp.arange(32.0).reshape(1, 4, 4, 2)
    y = Subsample().apply({"params": dict(coefficient=jnp.array([0.5, 2.0]), bias=jnp.array([1.0, -1.0]))}, x)
    assert y[0, 0, 0].tolist() == [0.5 * (0 + 2 + 8 + 10) + 1, 2 * (1 + 3 + 9 + 11) - 1]


def test_scaled_tanh_passes_through_plus_and_minus_one():
    close(layers.scaled_tanh(jnp.array([-1.0, 0.0, 1.0, 99.0])), np.array([-1, 0, 1, 1.7159]))


def test_the_bitmaps_are_plus_and_minus_one_and_as_far_apart_as_the_transcription():
    centres = lenet.rbf_centres()
    apart = (centres[:, :, None] != centres[:, None]).sum(axis=0)  # [10, 10]
    assert centres.shape == (84, 10) and set(np.unique(centres)) == {-1, 1}
    assert (apart[6, 8], apart[~np.eye(10, dtype=bool)].min(), apart[1, 4], apart.max()) == (12, 12, 50, 50)


def test_rbf_logits_are_the_negative_squared_distances_to_the_bitmaps():
    model, variables, x, mask = initialised("lenet5_1998")
    logits, state = model.apply(variables, x, mask, train=False, capture_intermediates=True)
    f6 = np.asarray(layers.scaled_tanh(state["intermediates"]["F6"]["__call__"][0]))
    close(logits, np.stack([-np.square(f6 - centre).sum(axis=1) for centre in lenet.rbf_centres().T], axis=1))


def test_rbf_for_other_than_ten_classes_is_refused_in_one_line():
    x, mask = example("lenet5")
    with pytest.raises(ValueError, match="has the ten digits' bitmaps as centres, not 7; have output='dense'"):
        architectures.build("lenet5_1998", outputs=7).init(KEY, x, mask, train=False)


def test_an_image_that_is_not_32_by_32_is_refused_in_one_line():
    with pytest.raises(ValueError, match="takes images of 32 x 32 x 1, not 28 x 28 x 1; pad 28 x 28 by 2"):
        architectures.build("lenet5", outputs=10).init(KEY, jnp.zeros([1, 28, 28, 1]), jnp.ones([1], bool), train=False)


# convolution

stock = functools.partial(jax.lax.conv_general_dilated, dimension_numbers=layers.NHWC)
WIDE, NARROW = (2, 9, 11, 10), (2, 9, 11, 3)  # on either side of BANDED_ROW: 110 and 33 numbers in a row
SHAPES = pytest.mark.parametrize("shape", [WIDE, NARROW], ids=["canonical", "banded"])


def operands(shape, side=(3, 2), outputs=4):
    return jax.random.normal(KEY, shape), jax.random.normal(jax.random.key(1), (*side, shape[-1], outputs))


def with_gradients(conv, x, kernel, *how):
    y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, *how), x, kernel)
    return y, pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))


@SHAPES
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("padding", ["SAME", "VALID", "SAME_LOWER", ((1, 2), (0, 3)), ((2, 0), (1, 1))])
def test_a_convolution_and_both_its_gradients_equal_stock(shape, strides, padding):
    x, kernel = operands(shape)
    close(with_gradients(convolve, x, kernel, strides, padding), with_gradients(stock, x, kernel, strides, padding))


@SHAPES
def test_a_convolution_mapped_over_seeds_equals_stock_one_by_one(shape):
    x, kernel = jax.random.normal(KEY, (3, *shape)), jax.random.normal(KEY, (3, 3, 2, shape[-1], 4))
    mapped = jax.vmap(lambda x, kernel: with_gradients(convolve, x, kernel, (2, 1), "SAME"))(x, kernel)
    for seed in range(3):
        one = with_gradients(stock, x[seed], kernel[seed], (2, 1), "SAME")
        close(jax.tree.map(lambda a, seed=seed: a[seed], mapped), one)


@SHAPES
def test_descent_inside_a_loop_equals_descent_with_stock_outside(shape):
    x, kernel = operands(shape)

    def descend(conv, kernel):
        return kernel - 1e-3 * jax.grad(lambda k: jnp.square(conv(x, k, (2, 2), "SAME")).sum())(kernel)

    outside = kernel
    for _ in range(3):
        outside = descend(stock, outside)
    inside = jax.jit(lambda kernel: jax.lax.fori_loop(0, 3, lambda _, k: descend(convolve, k), kernel))(kernel)
    close(inside, outside)


@SHAPES
def test_a_bfloat16_convolution_stays_bfloat16_and_near_stock(shape):
    x, kernel = (a.astype(jnp.bfloat16) for a in operands(shape))
    ours = with_gradients(convolve, x, kernel, (1, 1), "SAME")
    assert {a.dtype for a in jax.tree.leaves(ours)} == {jnp.dtype("bfloat16")}
    close(ours, with_gradients(stock, x, kernel, (1, 1), "SAME"), 0.02)


def convolutions(jaxpr):
    """Every convolution in a jaxpr, also in the inner ones."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "conv_general_dilated":
            yield eqn.params["dimension_numbers"]
        for inner in jax.extend.core.jaxprs_in_params(eqn.params):
            yield from convolutions(inner)


def test_every_convolution_of_the_gradients_has_the_canonical_layout():
    traced = jax.make_jaxpr(lambda x, kernel: with_gradients(convolve, x, kernel, (2, 2), "SAME"))(*operands(WIDE))
    found = list(convolutions(traced.jaxpr))
    assert len(found) == 3
    assert {(d.lhs_spec, d.rhs_spec, d.out_spec) for d in found} == {((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))}


@SHAPES
def test_away_from_the_cpu_a_convolution_is_stock(shape, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, kernel = operands(shape)
    traced = [str(jax.make_jaxpr(lambda x, k, c=c: c(x, k, (1, 1), "SAME"))(x, kernel)) for c in (convolve, stock)]
    assert traced[0] == traced[1]


OPTIONS = [{"feature_group_count": 2}, {"kernel_dilation": 2}, {"input_dilation": 2, "padding": 0}, {"strides": 2}]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_shared_conv_layer_equals_flaxs_with_every_option(options):
    x = operands(WIDE)[0]
    ours, flaxs = (kind(6, (3, 3), **options) for kind in (Conv, nn.Conv))
    variables = flaxs.init(KEY, x)
    close(ours.apply(variables, x), flaxs.apply(variables, x))


# recurrence

LENGTHS = np.array([7, 4, 1])
CELL = LSTMCell(5)


def sequences(time=7):
    """x [3, T, 4] with large numbers in the padding, and its mask."""
    mask = np.arange(time) < LENGTHS[:, None]
    return jnp.where(mask[..., None], jax.random.normal(KEY, (3, time, 4)), 1e3), jnp.asarray(mask)


def recurrent(cell=CELL, reverse=False):
    layer = Recurrent(cell, reverse=reverse)
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


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_does_not_change_the_final_state_and_its_outputs_are_zero(reverse):
    layer, variables = recurrent(reverse=reverse)
    x, mask = sequences()
    carry, outputs = layer.apply(variables, x, mask)
    assert not np.asarray(outputs)[~np.asarray(mask)].any()
    for row, length in enumerate(LENGTHS):
        alone = layer.apply(variables, x[row : row + 1, :length], jnp.ones([1, length], bool))
        here = jax.tree.map(lambda a, row=row: a[row : row + 1], (carry, outputs[:, :length]))
        close(here, alone)


def test_reverse_is_forward_over_the_flipped_sequence():
    layer, variables = recurrent()
    x, mask = sequences()[0], jnp.ones([3, 7], bool)
    carry, outputs = layer.apply(variables, x[:, ::-1], mask)
    close(Recurrent(CELL, reverse=True).apply(variables, x, mask), (carry, outputs[:, ::-1]))


def test_the_carry_is_float32_under_bfloat16_compute():
    layer, variables = recurrent(LSTMCell(5, dtype=jnp.bfloat16))
    carry, _ = layer.apply(variables, *sequences())
    assert [a.dtype for a in carry] == [jnp.float32] * 2


def test_an_lstm_starts_with_its_forget_bias_and_a_recurrent_matrix_orthogonal_per_gate():
    p = recurrent(LSTMCell(5, forget_bias=3.0))[1]["params"]["cell"]
    assert p["bias"].tolist() == [0] * 5 + [3] * 5 + [0] * 10
    for gate in jnp.split(p["recurrent"], 4, axis=1):
        close(gate.T @ gate, np.eye(5))
    assert p["input"].shape == (4, 20) and p["recurrent"].shape == (5, 20)


def test_a_stack_drops_only_between_its_layers():
    x, mask = sequences()
    one, two = (Stack(tuple(LSTMCell(5) for _ in range(n)), dropout=0.5) for n in (1, 2))
    variables = one.init(KEY, x, mask, train=False)
    close(one.apply(variables, x, mask, train=True), one.apply(variables, x, mask, train=False))
    variables = two.init(KEY, x, mask, train=False)
    with pytest.raises(flax.errors.InvalidRngError):
        two.apply(variables, x, mask, train=True)


# dropout


def test_a_dropout_mask_is_the_same_on_one_device_and_split_over_eight():
    x = jnp.ones([16, 50])
    one = Dropout(0.3).apply({}, x, train=True, rngs={"dropout": KEY})
    split = jax.pmap(lambda x: Dropout(0.3, "d").apply({}, x, train=True, rngs={"dropout": KEY}), axis_name="d")
    np.testing.assert_array_equal(split(x.reshape(8, 2, 50)).reshape(16, 50), one)
    assert len(np.unique(np.asarray(one), axis=0)) == 16
    assert set(np.unique(np.asarray(one))) == {0, np.float32(1 / np.float32(0.7))}
    assert (np.asarray(one) == 0).mean() == pytest.approx(0.3, abs=0.06)


def test_a_model_with_dropout_gives_the_same_logits_on_one_device_and_split_over_eight():
    x, mask = jax.random.normal(KEY, (16, 6, 4)), jnp.ones([16, 6], bool)
    build = functools.partial(architectures.build, "lstm", outputs=10, hidden=8, layers=2, dropout=0.5)
    variables = build().init(KEY, x, mask, train=False)

    def logits(x, mask, axis_name=None):
        return build(axis_name=axis_name).apply(variables, x, mask, train=True, rngs={"dropout": KEY})

    split = jax.pmap(functools.partial(logits, axis_name="d"), axis_name="d")
    close(split(x.reshape(8, 2, 6, 4), mask.reshape(8, 2, 6)).reshape(16, 10), logits(x, mask))


def test_dropout_does_nothing_in_evaluation():
    x = jnp.ones([4, 5])
    assert (Dropout(0.9).apply({}, x, train=False) == x).all()


@pytest.mark.parametrize(("join", "stock"), [(jnp.maximum, nn.max_pool), (lambda a, b: (a + b) / 2, nn.avg_pool)])
def test_pooling_two_by_two_and_its_gradient_equal_flaxs(join, stock):
    x, dy = jax.random.normal(KEY, (2, 6, 8, 3)), jax.random.normal(jax.random.key(1), (2, 3, 4, 3))
    ours, gradient = jax.vjp(lambda x: layers.pool_2x2(x, join), x)
    theirs, expected = jax.vjp(lambda x: stock(x, (2, 2), (2, 2)), x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient(dy)[0], expected(dy)[0], rtol=1e-6)


@pytest.mark.parametrize("depth", [1, 3])
def test_an_lstm_has_4h_times_i_plus_h_plus_1_parameters_a_layer(depth):
    model = architectures.build("lstm", outputs=10, hidden=8, layers=depth)
    variables = model.init(KEY, jnp.ones([1, 4, 12]), jnp.ones([1, 4], bool), train=False)
    expected = 4 * 8 * (12 + 8 + 1) + (depth - 1) * 4 * 8 * (8 + 8 + 1) + 10 * 9
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == expected
