"""LeNet-5: sizes as printed, C3's table, the bitmaps of its output."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from networks import KEY, example, initialised, sizes

import architectures
from architectures import convolution, layers, lenet


def test_todays_lenet5_has_61_706_parameters():
    counts = sizes(initialised("lenet5")[1])
    assert (
        counts == dict(C1=156, C3=2416, C5=48120, F6=10164, OUTPUT=850)
        and sum(counts.values()) == 61_706
    )


def test_a_lenet5_with_batch_norm_has_one_before_each_activation_and_none_before_its_answer():
    counts = sizes(initialised("lenet5", batch_norm="synchronised")[1])
    norms = {name: count for name, count in counts.items() if name.endswith("_bn")}
    assert norms == dict(C1_bn=2 * 6, C3_bn=2 * 16, C5_bn=2 * 120, F6_bn=2 * 84)


def test_a_c3_map_sees_exactly_its_inputs_in_table_1():
    assert [len(seen) for seen in lenet.LENET5_C3] == [3] * 6 + [4] * 9 + [6]
    assert np.bincount(np.concatenate(lenet.LENET5_C3)).tolist() == [10] * 6
    c3, x = (
        lenet.SparseConv(lenet.LENET5_C3, layers.uniform_fan_in, jnp.float32),
        jnp.ones([1, 5, 5, 6]),
    )
    variables = c3.init(KEY, x)
    slopes = jax.jacobian(lambda x: c3.apply(variables, x)[0, 0, 0])(x)[:, 0]  # [16, 5, 5, 6]
    seen = [tuple(np.flatnonzero(np.abs(map_).max(axis=(0, 1)))) for map_ in slopes]
    assert seen == [tuple(sorted(inputs)) for inputs in lenet.LENET5_C3]


def test_the_sparse_c3_equals_a_dense_one_with_zeros_in_the_missing_places():
    c3, x = (
        lenet.SparseConv(lenet.LENET5_C3, layers.uniform_fan_in, jnp.float32),
        jax.random.normal(KEY, (2, 14, 14, 6)),
    )
    variables = c3.init(KEY, x)
    kernel, column = np.zeros([5, 5, 6, 16], np.float32), 0
    for map_, inputs in enumerate(lenet.LENET5_C3):
        for s2 in inputs:
            kernel[:, :, s2, map_], column = variables["params"]["kernel"][..., column], column + 1
    dense = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=convolution.NHWC
    )
    close(c3.apply(variables, x), dense)


def test_a_c3_map_draws_its_weights_by_the_fan_in_of_its_own_unit():
    kernel = np.abs(initialised("lenet5_1998")[1]["params"]["C3"]["kernel"])
    first = np.cumsum([0, *map(len, lenet.LENET5_C3)])
    largest = [kernel[..., a:b].max() * 25 * (b - a) / 2.4 for a, b in itertools.pairwise(first)]
    assert max(largest) <= 1 + 1e-6 and min(largest) > 0.9


def test_the_bitmaps_are_plus_and_minus_one_and_as_far_apart_as_the_transcription():
    centres = lenet.rbf_centres()
    apart = (centres[:, :, None] != centres[:, None]).sum(axis=0)  # [10, 10]
    assert centres.shape == (84, 10) and set(np.unique(centres)) == {-1, 1}
    assert (apart[6, 8], apart[~np.eye(10, dtype=bool)].min(), apart[1, 4], apart.max()) == (
        12,
        12,
        50,
        50,
    )


def test_rbf_logits_are_the_negative_squared_distances_to_the_bitmaps():
    model, variables, x, mask = initialised("lenet5_1998")
    logits, state = model.apply(variables, x, mask, train=False, capture_intermediates=True)
    f6 = np.asarray(layers.scaled_tanh(state["intermediates"]["F6"]["__call__"][0]))
    close(
        logits,
        np.stack([-np.square(f6 - centre).sum(axis=1) for centre in lenet.rbf_centres().T], axis=1),
    )


def test_rbf_for_other_than_ten_classes_is_refused_in_one_line():
    x, mask = example("lenet5")
    with pytest.raises(
        ValueError, match="has the ten digits' bitmaps .* not 7 outputs of LeNet-5; use 'dense'"
    ):
        architectures.build("lenet5_1998", outputs=7).init(KEY, x, mask, train=False)


def test_an_image_that_is_not_32_by_32_is_refused_in_one_line():
    with pytest.raises(
        ValueError, match="takes images of 32 x 32 x 1, not 28 x 28 x 1; LeNet-5 pads"
    ):
        architectures.build("lenet5", outputs=10).init(
            KEY, jnp.zeros([1, 28, 28, 1]), jnp.ones([1], bool), train=False
        )
