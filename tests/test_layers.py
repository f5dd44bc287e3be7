"""Layers: convolutions equal to stock, pooling, dropout masks."""

import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import close

from architectures import convolution, layers
from architectures.convolution import Conv, convolve
from architectures.layers import Subsample
from architectures.pooling import avg_pool, max_pool

KEY = jax.random.key(0)
stock = functools.partial(jax.lax.conv_general_dilated, dimension_numbers=convolution.NHWC)
# 93, 110 and 33 numbers in a row; FEW_MAPS in FEW alone
WIDE, FEW, NARROW = (2, 9, 31, 3), (2, 9, 11, 10), (2, 9, 11, 3)
SHAPES = pytest.mark.parametrize(
    "shape", [WIDE, FEW, NARROW], ids=["canonical", "product_gradient", "banded"]
)


def operands(shape, side=(3, 2), outputs=4):
    return jax.random.normal(KEY, shape), jax.random.normal(
        jax.random.key(1), (*side, shape[-1], outputs)
    )


def with_gradients(conv, x, kernel, *how):
    y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, *how), x, kernel)
    return y, pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))


@SHAPES
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize(
    "padding", ["SAME", "VALID", "SAME_LOWER", ((1, 2), (0, 3)), ((2, 0), (1, 1))]
)
def test_a_convolution_and_both_its_gradients_equal_stock(shape, strides, padding):
    x, kernel = operands(shape)
    close(
        with_gradients(convolve, x, kernel, strides, padding),
        with_gradients(stock, x, kernel, strides, padding),
    )


@pytest.mark.parametrize(("width", "tiles"), [(16, 4), (13, 1)])
def test_a_banded_product_of_several_tiles_and_of_one_equals_stock(width, tiles):
    x, kernel = operands((2, 9, width, 3), side=(3, 4))
    how = (1, 1), ((1, 1), (1, 2))  # as many columns as there are
    close(with_gradients(convolve, x, kernel, *how), with_gradients(stock, x, kernel, *how))
    *_, product = equations(
        jax.make_jaxpr(lambda *a: convolve(*a, *how))(x, kernel).jaxpr, "dot_general"
    )
    assert product.outvars[0].aval.shape == (2 * 9 * tiles, width // tiles * 4)


@pytest.mark.parametrize(("strides", "groups"), [((1, 1), 3), ((2, 2), 2)])
def test_a_gradient_summed_over_groups_of_images_equals_stock(strides, groups, monkeypatch):
    # bytes of two images at stride 1
    monkeypatch.setattr(convolution, "GROUP", 2 * 4 * 7 * 12 * (2 * 8 + 3 * 4))
    x, kernel = operands((6, 7, 12, 8))
    close(
        with_gradients(convolve, x, kernel, strides, "SAME"),
        with_gradients(stock, x, kernel, strides, "SAME"),
    )
    traced = jax.make_jaxpr(lambda x, kernel: with_gradients(convolve, x, kernel, strides, "SAME"))(
        x, kernel
    )
    assert f"length={groups}" in str(traced)


@SHAPES
def test_a_convolution_mapped_over_seeds_equals_stock_one_by_one(shape):
    x, kernel = jax.random.normal(KEY, (3, *shape)), jax.random.normal(KEY, (3, 3, 2, shape[-1], 4))
    mapped = jax.vmap(lambda x, kernel: with_gradients(convolve, x, kernel, (2, 1), "SAME"))(
        x, kernel
    )
    for seed in range(3):
        one = with_gradients(stock, x[seed], kernel[seed], (2, 1), "SAME")
        close(jax.tree.map(lambda a, seed=seed: a[seed], mapped), one)


@SHAPES
def test_descent_inside_a_loop_equals_descent_with_stock_outside(shape):
    x, kernel = operands(shape)

    def descend(conv, kernel):
        return kernel - 1e-3 * jax.grad(lambda k: jnp.square(conv(x, k, (2, 2), "SAME")).sum())(
            kernel
        )

    outside = kernel
    for _ in range(3):
        outside = descend(stock, outside)
    inside = jax.jit(
        lambda kernel: jax.lax.fori_loop(0, 3, lambda _, k: descend(convolve, k), kernel)
    )(kernel)
    close(inside, outside)


@SHAPES
def test_a_bfloat16_convolution_stays_bfloat16_and_near_stock(shape):
    x, kernel = (a.astype(jnp.bfloat16) for a in operands(shape))
    ours = with_gradients(convolve, x, kernel, (1, 1), "SAME")
    assert {a.dtype for a in jax.tree.leaves(ours)} == {jnp.dtype("bfloat16")}
    close(ours, with_gradients(stock, x, kernel, (1, 1), "SAME"), 0.02)


def equations(jaxpr, primitive: str):
    """Those of a primitive in a jaxpr, also in the inner ones."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == primitive:
            yield eqn
        for inner in jax.extend.core.jaxprs_in_params(eqn.params):
            yield from equations(inner, primitive)


def test_every_convolution_of_the_gradients_has_the_canonical_layout():
    traced = jax.make_jaxpr(lambda x, kernel: with_gradients(convolve, x, kernel, (2, 2), "SAME"))(
        *operands(WIDE)
    )
    found = [
        eqn.params["dimension_numbers"] for eqn in equations(traced.jaxpr, "conv_general_dilated")
    ]
    assert len(found) == 3
    assert {(d.lhs_spec, d.rhs_spec, d.out_spec) for d in found} == {
        ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
    }


@SHAPES
def test_away_from_the_cpu_a_convolution_is_stock(shape, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x, kernel = operands(shape)
    traced = [
        str(jax.make_jaxpr(lambda x, k, c=c: c(x, k, (1, 1), "SAME"))(x, kernel))
        for c in (convolve, stock)
    ]
    assert traced[0] == traced[1]


OPTIONS = [
    {"feature_group_count": 2},
    {"kernel_dilation": 2},
    {"input_dilation": 2, "padding": 0},
    {"strides": 2},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_shared_conv_layer_equals_flaxs_with_every_option(options):
    x = operands(FEW)[0]
    ours, flaxs = (kind(6, (3, 3), **options) for kind in (Conv, nn.Conv))
    variables = flaxs.init(KEY, x)
    close(ours.apply(variables, x), flaxs.apply(variables, x))


@pytest.mark.parametrize(
    ("kernel", "strides"), [((1, 1, 6, 8), (1, 1)), ((1, 1, 6, 8), (2, 2)), ((9, 11, 6, 8), (1, 1))]
)
def test_a_convolution_that_is_a_matrix_product_and_its_gradients_equal_stock(kernel, strides):
    x, kernel = jax.random.normal(KEY, (2, 9, 11, 6)), jax.random.normal(jax.random.key(1), kernel)
    close(
        with_gradients(convolve, x, kernel, strides, "VALID"),
        with_gradients(stock, x, kernel, strides, "VALID"),
    )
    assert "conv_general" not in str(
        jax.make_jaxpr(lambda x, k: convolve(x, k, strides, "VALID"))(x, kernel)
    )


@pytest.mark.parametrize("groups", [2, 6])
def test_a_grouped_convolution_and_its_gradients_equal_stock(groups):
    x, kernel = (
        jax.random.normal(KEY, (2, 9, 11, 6)),
        jax.random.normal(jax.random.key(1), (3, 3, 6 // groups, 12)),
    )
    options = dict(feature_group_count=groups)
    ours, stocks = (functools.partial(c, **options) for c in (convolve, stock))
    close(
        with_gradients(ours, x, kernel, (2, 2), "SAME"),
        with_gradients(stocks, x, kernel, (2, 2), "SAME"),
    )


POOLS = [
    (2, 2, 0),
    (3, 2, 0),
    (3, 2, 1),
    (3, 2, "ceil"),
    (3, 1, 1),
    (5, 3, 0),
    (3, 2, ((0, 1), (1, 0))),
]


@pytest.mark.parametrize(("window", "stride", "padding"), POOLS)
@pytest.mark.parametrize(
    "pool", [max_pool, avg_pool, functools.partial(avg_pool, count_padding=False)]
)
def test_a_pool_by_slices_and_its_gradient_equal_stock(pool, window, stride, padding):
    def value_and_gradient(x):
        y, gradient = jax.vjp(lambda x: pool(x, window, stride, padding), x)
        return y, gradient(jnp.sin(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape))

    x = jax.random.normal(KEY, (2, 8, 10, 3)) - 3  # padding must not win
    ours = value_and_gradient(x)
    with convolution.stock():
        close(ours, value_and_gradient(x))


def test_a_ceil_pool_has_a_window_wherever_one_begins_inside():
    assert [
        max_pool(jnp.zeros([1, n, n, 1]), 3, 2, "ceil").shape[1] for n in (112, 55, 14, 7, 3)
    ] == [56, 27, 7, 3, 1]


def test_response_normalisation_equals_the_printed_formula():
    a, k, n, alpha, beta = (
        np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32) * 50,
        2,
        5,
        1e-4,
        0.75,
    )
    expected = np.empty_like(a)
    for i in range(8):
        tower = range(0, 4) if i < 4 else range(4, 8)
        window = [j for j in tower if i - n // 2 <= j <= i + n // 2]
        expected[:, i] = a[:, i] / (k + alpha * np.square(a[:, window]).sum(axis=1)) ** beta
    close(layers.local_response_norm(jnp.asarray(a), groups=2), expected)


def normalised(x, variables=None, *, train=True, **options):
    module = layers.BatchNorm(**options)
    variables = variables or module.init(KEY, x, train=False)
    return module.apply(variables, x, train=train, mutable=["batch_stats"])


def test_batch_norm_and_its_gradient_equal_flaxs():
    x = 3 + 2 * jax.random.normal(KEY, (4, 5, 5, 3))

    def flaxs(x):
        module = nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5)
        return module.apply(module.init(KEY, x), x, mutable=["batch_stats"])

    for function in (lambda f, x: f(x), lambda f, x: jax.grad(lambda x: jnp.sin(f(x)[0]).sum())(x)):
        close(function(normalised, x), function(flaxs, x), 1e-4)


def test_batch_norm_at_evaluation_uses_the_moving_averages_alone():
    x = jax.random.normal(KEY, (4, 5, 5, 2))
    stats = dict(mean=jnp.array([1.0, -1.0]), var=jnp.array([4.0, 0.25]))
    variables = dict(
        batch_stats=stats, params=dict(scale=jnp.array([2.0, 3.0]), bias=jnp.array([0.5, 0.0]))
    )
    y, new = normalised(x, variables, train=False, epsilon=0.0)
    close(
        y,
        (x - stats["mean"]) / jnp.sqrt(stats["var"]) * variables["params"]["scale"]
        + variables["params"]["bias"],
    )
    close(new["batch_stats"], stats, 0)


def test_batch_norm_a_hundred_deviations_from_zero_is_off_by_a_hundredth_at_most():
    x = (100 + np.random.default_rng(0).normal(size=(128, 4, 4, 3))).astype(np.float32)
    y, stats = normalised(jnp.asarray(x))
    wide = x.astype(np.float64)
    mean, var = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
    np.testing.assert_allclose(y, (wide - mean) / np.sqrt(var + 1e-5), rtol=0.01, atol=1e-3)
    np.testing.assert_allclose((stats["batch_stats"]["var"] - 0.9) / 0.1, var, rtol=0.01)


@pytest.mark.parametrize("axis", ["devices", None])
def test_batch_norm_over_eight_devices_is_that_of_one_only_where_it_is_synchronised(axis):
    x = jax.random.normal(KEY, (8, 2, 3, 3, 2)) + jnp.arange(8.0)[:, None, None, None, None]
    whole = normalised(x.reshape(16, 3, 3, 2))
    y, stats = jax.pmap(functools.partial(normalised, axis_name=axis), axis_name="devices")(x)
    different = np.abs(y.reshape(16, 3, 3, 2) - whole[0]).max()
    assert (different < 1e-4) == (axis is not None)
    if axis:
        close(jax.tree.map(lambda s: s[3], stats), whole[1])


def test_subsampling_is_coefficient_times_the_sum_of_four_plus_bias():
    x = jnp.arange(32.0).reshape(1, 4, 4, 2)
    y = Subsample().apply(
        {"params": dict(coefficient=jnp.array([0.5, 2.0]), bias=jnp.array([1.0, -1.0]))}, x
    )
    assert y[0, 0, 0].tolist() == [0.5 * (0 + 2 + 8 + 10) + 1, 2 * (1 + 3 + 9 + 11) - 1]


def test_scaled_tanh_passes_through_plus_and_minus_one():
    close(layers.scaled_tanh(jnp.array([-1.0, 0.0, 1.0, 99.0])), np.array([-1, 0, 1, 1.7159]))
