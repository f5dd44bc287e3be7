"""Data: every order and every augmentation is a function of (seed, step)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import build

from train.data import DATASETS
from train.data.source import Source, evaluation_order, hold_out, training_order
from train.loop import fresh_state
from train.parallel import Program

SOURCE = Source(10, {}, None)


def batch(_, source, index, key=0):
    index = jnp.asarray(index)
    arrays = {name: jnp.asarray(array) for name, array in source.arrays.items()}
    return source.batch(
        arrays, dict(index=index, valid=index >= 0), jax.random.key(key), jnp.arange(len(index))
    )


def index(*order, **named):
    return training_order(*order, **named)[0]["index"]


def test_each_epoch_takes_each_example_once_also_when_batches_straddle_its_end():
    order = index(SOURCE, seed=3, step=0, steps=20, batch_size=4).reshape(-1)
    epochs = order.reshape(-1, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_the_order_from_any_step_is_the_tail_of_the_order_from_the_start():
    whole = index(SOURCE, 3, 0, 20, 4)
    assert (index(SOURCE, 3, 7, 5, 4) == whole[7:12]).all()
    assert (index(SOURCE, 4, 0, 20, 4) != whole).any()


@pytest.mark.parametrize("size", [1, 3, 10, 16])
def test_evaluation_takes_each_example_once_and_marks_the_padding(size):
    index, valid = evaluation_order(SOURCE, size, size)[0].values()
    assert sorted(index[valid]) == list(range(10)) and index.shape[1] == size


def test_the_embedded_images_are_padded_with_background_and_scaled_as_said():
    data = DATASETS["fashion_mnist"](source="embedded", scale="lecun")
    image = batch(data, data.train, range(50))["input"]
    assert image.shape == (50, 32, 32, 1)
    np.testing.assert_allclose(image[:, :2], -0.1, rtol=1e-6)
    assert image.min() == pytest.approx(-0.1) and image.max() == pytest.approx(1.175)


def test_standardised_pixels_have_mean_0_and_deviation_1_over_the_training_set():
    data = DATASETS["fashion_mnist"](source="embedded", pad=0)
    image = batch(data, data.train, range(6000))["input"]
    assert abs(float(image.mean())) < 1e-3 and float(image.std()) == pytest.approx(1, abs=1e-3)


def test_shift_moves_an_image_by_whole_pixels_within_its_range_and_only_in_training():
    data = DATASETS["fashion_mnist"](source="embedded", shift=2, scale="unit")
    plain = DATASETS["fashion_mnist"](source="embedded", scale="unit")
    index = [5] * 200
    moved, still = (
        batch(data, data.train, index)["input"],
        batch(plain, plain.train, [5])["input"][0],
    )
    rolled = {
        (dy, dx): np.roll(still, (dy, dx), (0, 1)) for dy in range(-2, 3) for dx in range(-2, 3)
    }
    seen = {
        next(k for k, image in rolled.items() if np.array_equal(image, m))
        for m in np.asarray(moved)
    }
    assert seen == set(rolled)
    assert np.array_equal(
        batch(data, data.evals["test"], [5])["input"],
        batch(plain, plain.evals["test"], [5])["input"],
    )


def test_flip_mirrors_about_half_of_the_training_images():
    data = DATASETS["fashion_mnist"](source="embedded", flip=True)
    plain = DATASETS["fashion_mnist"](source="embedded")
    image = batch(plain, plain.train, [5])["input"][0]
    flipped = [
        np.array_equal(m, image[:, ::-1])
        for m in np.asarray(batch(data, data.train, [5] * 200)["input"])
    ]
    assert 60 < sum(flipped) < 140


def test_augmentation_is_the_same_for_the_same_key_and_row_and_differs_between_keys():
    data = DATASETS["fashion_mnist"](source="embedded", shift=2)
    one, same, other = (batch(data, data.train, range(20), key)["input"] for key in (0, 0, 1))
    assert (one == same).all() and (one != other).any()


def test_held_out_images_are_not_trained_on():
    data = DATASETS["fashion_mnist"](source="embedded", validation=1000)
    assert (
        data.train.examples,
        data.evals["validation"].examples,
        data.evals["test"].examples,
    ) == (5000, 1000, 1000)
    assert data.examples == dict(train=5000, validation=1000, test=1000)
    train, held_out = hold_out(6000, 1000)
    assert sorted([*train, *held_out]) == list(range(6000))
    assert next(iter(data.evals)) == "validation"


def test_japanese_vowels_is_padded_after_its_end_and_masked():
    data = DATASETS["japanese_vowels"]()
    b = batch(data, data.train, range(270))
    lengths = b["mask"].sum(1)
    assert b["input"].shape == (270, 29, 12) and (lengths.min(), lengths.max()) == (7, 26)
    frames = b["input"][b["mask"]]
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(frames.std(0), 1, rtol=1e-4)
    assert np.bincount(b["target"]).tolist() == [30] * 9


def test_the_adding_problem_sums_one_marked_value_of_each_half():
    data = DATASETS["adding"](T=20, examples=300)
    b = batch(data, data.train, range(300))
    value, marker = np.moveaxis(np.asarray(b["input"]), -1, 0)
    assert (marker[:, :10].sum(1) == 1).all() and (marker[:, 10:].sum(1) == 1).all()
    np.testing.assert_allclose(b["target"][:, 0], (value * marker).sum(1), rtol=1e-6)
    assert 0 <= value.min() and value.max() < 1 and abs(value.mean() - 0.5) < 0.02
    assert len(set(marker.argmax(1).tolist())) == 10
    assert float(((b["target"] - 1) ** 2).mean()) == pytest.approx(1 / 6, abs=0.03)


def test_generated_examples_differ_within_a_batch_between_steps_and_between_seeds():
    e = build(seeds=(0, 1), optim__lr=1e-12)
    program, state, curve = Program(e), fresh_state(e), []
    # one network
    carry = program.start(
        state.replace(params=jax.tree.map(lambda x: np.stack([x[0]] * 2), state.params))
    )
    for step in range(3):
        carry, _ = program.train(carry, step, 1)
        carry, sums = program.take_sums(carry)
        curve += program.fetch(sums)["loss"].tolist()
    assert len(set(curve)) == 6
    data = DATASETS["adding"](T=20)
    assert (
        len({row.tobytes() for row in np.asarray(batch(data, data.train, range(50))["input"])})
        == 50
    )
