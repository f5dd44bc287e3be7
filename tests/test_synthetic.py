"""Synthetic tasks: what the papers say of their distributions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import drawn

from train.data import DATASETS


def test_copy_memory_shows_ten_symbols_waits_and_wants_them_back_at_the_end():
    batch = drawn("copy_memory", T=30)
    tokens = batch["input"].argmax(-1)
    assert tokens.shape == (4000, 50) and (batch["input"].sum(-1) == 1).all()
    assert (
        tokens[:, :10].min() == 1
        and tokens[:, :10].max() == 8
        and (np.bincount(tokens[:, :10].ravel())[1:] > 4500).all()
    )
    assert (
        (tokens[:, 10:39] == 0).all() and (tokens[:, 39] == 9).all() and (tokens[:, 40:] == 0).all()
    )
    assert (batch["target"][:, :40] == 0).all() and (
        batch["target"][:, 40:] == tokens[:, :10]
    ).all()
    assert (batch["scored"] == (np.arange(50) >= 40)).all()


@pytest.mark.parametrize(("bits", "tenths"), [(2, (1, 5)), (3, (1, 3, 6))])
def test_the_class_of_a_temporal_order_says_which_of_a_and_b_stood_in_each_tenth(bits, tenths):
    batch = drawn("temporal_order", T=50, bits=bits)
    tokens = batch["input"].argmax(-1)
    said = tokens < 2
    assert (said.sum(1) == bits).all()
    places = np.array([np.flatnonzero(row) for row in said])
    for i, tenth in enumerate(tenths):
        assert places[:, i].min() == tenth * 5 and places[:, i].max() == tenth * 5 + 4
    values = np.take_along_axis(tokens, places, axis=1)
    assert (batch["target"] == values @ 2 ** np.arange(bits)).all()
    assert (np.bincount(batch["target"]) > 0.7 * 4000 / 2**bits).all()


def test_a_product_is_of_the_two_marked_values_within_the_length_and_a_constant_is_off_by_7_144ths():
    batch = drawn("multiplication", T=40)
    lengths = batch["mask"].sum(1)
    assert set(lengths) == {40, 41, 42, 43}
    assert not batch["input"][~batch["mask"]].any()
    for inputs, target, n in zip(batch["input"], batch["target"], lengths, strict=True):
        first, second = np.flatnonzero(inputs[:, 0])
        assert first < n // 10 <= second < n // 2
        assert target[0] == pytest.approx(inputs[first, 1] * inputs[second, 1], rel=1e-6)
    assert batch["target"].var() == pytest.approx(7 / 144, rel=0.05)


def test_a_mean_is_of_the_two_marked_values_and_a_constant_is_off_by_a_24th():
    batch = drawn("addition", T=40)
    value, marker = batch["input"][..., 1], batch["input"][..., 0]
    np.testing.assert_allclose(batch["target"][:, 0], (value * marker).sum(1) / 2, rtol=1e-6)
    assert (marker.sum(1) == 2).all() and batch["target"].var() == pytest.approx(1 / 24, rel=0.05)


def test_memorisation_wants_the_ten_symbols_from_the_trigger_on_and_blanks_before():
    batch = drawn("memorisation", T=15)
    tokens = batch["input"].argmax(-1)
    assert tokens.shape == (4000, 35) and batch["input"].shape[-1] == 7
    assert (np.bincount(tokens[:, :10].ravel()) > 7500).all() and tokens[:, :10].max() == 4
    assert (tokens[:, 25] == 6).all() and (np.delete(tokens[:, 10:], 15, axis=1) == 5).all()
    assert (batch["target"][:, :25] == 5).all() and (
        batch["target"][:, 25:] == tokens[:, :10]
    ).all()
    assert (batch["scored"] == (np.arange(35) >= 25)).all()


def test_a_random_permutation_is_named_by_its_first_symbol_which_never_comes_again():
    batch = drawn("random_permutation", T=20)
    tokens = batch["input"].argmax(-1)
    assert tokens.shape == (4000, 20) and (tokens[:, 0] == batch["target"]).all()
    assert set(tokens[:, 0]) == {0, 1} and set(tokens[:, 1:].ravel()) == set(range(2, 100))
    assert 0.47 < batch["target"].mean() < 0.53


def test_pixels_in_order_are_the_image_and_permuted_ones_the_same_for_all_images():
    plain, permuted, rows = (
        DATASETS["sequential_fashion_mnist"](source="embedded", **options)
        for options in ({}, dict(permuted=True), dict(pixels_per_step=28))
    )
    images = DATASETS["fashion_mnist"](source="embedded").train.arrays["image"]
    assert (plain.train.arrays["pixels"].reshape(images.shape) == images).all()
    one, other = plain.train.arrays["pixels"], permuted.train.arrays["pixels"]
    order = np.random.default_rng(0).permutation(784)
    assert (one[:, order] == other).all() and (one != other).any()
    index = jnp.arange(3)
    arrays = {k: jnp.asarray(v) for k, v in rows.train.arrays.items()}
    batch = rows.train.batch(arrays, dict(index=index, valid=index >= 0), jax.random.key(0), index)
    assert batch["input"].shape == (3, 28, 28) and float(batch["input"].max()) == 1.0
    np.testing.assert_allclose(batch["input"], images[:3].reshape(3, 28, 28) / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("copy_memory", dict(T=0), "T: 0 must be at least 1"),
        ("temporal_order", dict(T=55), "T: 55 must be a multiple of 10"),
        ("temporal_order", dict(bits=4), "bits: 4 must be 2 or 3"),
        ("multiplication", dict(T=9), "T: 9 must be at least 10"),
        ("addition", dict(T=9), "T: 9 must be at least 10"),
        ("memorisation", dict(T=-1), "T: -1 must be at least 0"),
        ("random_permutation", dict(T=0), "T: 0 must be at least 1"),
        ("copy_memory", dict(examples=0), "examples: 0 must be at least 1"),
        (
            "sequential_fashion_mnist",
            dict(source="embedded", pixels_per_step=5),
            "pixels_per_step: 5 must divide 784",
        ),
    ],
)
def test_a_task_that_cannot_be_is_refused_with_the_keys_name_first(name, options, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        DATASETS[name](**options)
