"""Layers: convolutions equal to stock, pooling, dropout masks."""

import functools

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import close

from architectures import layers
from architectures.layers import Conv, Subsample, convolve

KEY = jax.random.key(0)
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


@pytest.mark.parametrize(("join", "stock"), [(jnp.maximum, nn.max_pool), (lambda a, b: (a + b) / 2, nn.avg_pool)])
def test_pooling_two_by_two_and_its_gradient_equal_flaxs(join, stock):
    x, dy = jax.random.normal(KEY, (2, 6, 8, 3)), jax.random.normal(jax.random.key(1), (2, 3, 4, 3))
    ours, gradient = jax.vjp(lambda x: layers.pool_2x2(x, join), x)
    theirs, expected = jax.vjp(lambda x: stock(x, (2, 2), (2, 2)), x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient(dy)[0], expected(dy)[0], rtol=1e-6)


def test_subsampling_is_coefficient_times_the_sum_of_four_plus_bias():
    x = jnp.arange(32.0).reshape(1, 4, 4, 2)
    y = Subsample().apply({"params": dict(coefficient=jnp.array([0.5, 2.0]), bias=jnp.array([1.0, -1.0]))}, x)
    assert y[0, 0, 0].tolist() == [0.5 * (0 + 2 + 8 + 10) + 1, 2 * (1 + 3 + 9 + 11) - 1]


def test_scaled_tanh_passes_through_plus_and_minus_one():
    close(layers.scaled_tanh(jnp.array([-1.0, 0.0, 1.0, 99.0])), np.array([-1, 0, 1, 1.7159]))
