"""Multiply-adds, against counts made by hand."""

import jax
import jax.numpy as jnp
import pytest
from helpers import build
from jax import lax

from architectures.convolution import NHWC
from train.flops import multiply_adds


@pytest.mark.parametrize(("padding", "outputs"), [("SAME", 14 * 14), ("VALID", 12 * 12)])
def test_a_convolution_counts_every_tap_of_every_output_padding_included(padding, outputs):
    x, k = jnp.ones([2, 14, 14, 6]), jnp.ones([3, 3, 6, 16])
    conv = lambda x, k: lax.conv_general_dilated(x, k, (1, 1), padding, dimension_numbers=NHWC)  # noqa: E731
    assert multiply_adds(conv, x, k) == 2 * outputs * 9 * 6 * 16


def test_a_grouped_convolution_counts_only_its_own_group():
    x, k = jnp.ones([1, 8, 8, 6]), jnp.ones([3, 3, 2, 12])
    conv = lambda x, k: lax.conv_general_dilated(  # noqa: E731
        x, k, (1, 1), "SAME", dimension_numbers=NHWC, feature_group_count=3
    )
    assert multiply_adds(conv, x, k) == 64 * 9 * 2 * 12


def test_a_scan_counts_every_iteration_and_a_jit_or_a_custom_gradient_hides_nothing():
    w = jnp.ones([5, 5])

    def twelve(x):
        step = jax.jit(lambda x, _: (jax.nn.relu(x @ w), None))
        return lax.scan(step, x, None, length=12)[0]

    assert multiply_adds(twelve, jnp.ones([3, 5])) == 12 * 3 * 25


def test_lenet5_needs_the_multiply_adds_of_the_paper_s_layers():
    dense_c3 = 10 * 10 * 16 * 25 * 6
    e = build("configs/lenet_fashion_mnist.py")
    assert e.multiply_adds == 117_600 + dense_c3 + 48_000 + 10_080 + 840


def test_an_lstm_needs_its_two_products_at_every_step():
    e = build("configs/lstm_japanese_vowels.py")
    assert e.multiply_adds == 29 * (12 + 64) * 4 * 64 + 64 * 9
