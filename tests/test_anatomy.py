"""Layers as the papers print them, receptive fields as found by trying."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

import architectures
from architectures import convolution, pooling
from scripts import describe
from train import anatomy, flops, receptive_field

KEY = jax.random.key(0)


def layers(name, outputs, levels=0, shape=None, **options):
    model = architectures.build(name, outputs=outputs, **options)
    return {
        layer.name: layer
        for layer in anatomy.anatomy(model, shape or describe.default_shape(model), levels).layers
    }


def sizes(found) -> dict:
    """Receptive fields along the height, None for all."""
    return {name: layer.fields[0] and layer.fields[0].size for name, layer in found.items()}


def test_lenet5_1998_has_the_papers_layers_with_their_shapes_and_parameters():
    found = layers("lenet5_1998", 10)
    assert {name: (layer.output, layer.parameters) for name, layer in found.items()} == dict(
        C1=((28, 28, 6), 156),
        S2=((14, 14, 6), 12),
        C3=((10, 10, 16), 1516),
        S4=((5, 5, 16), 32),
        C5=((120,), 48120),
        F6=((84,), 10164),
    )


def test_a_unit_of_lenet5_sees_5_then_6_then_14_then_16_pixels_a_side_then_all():
    assert sizes(layers("lenet5_1998", 10)) == dict(C1=5, S2=6, C3=14, S4=16, C5=None, F6=None)


def test_the_last_unit_of_resnet_50_sees_483_pixels_in_steps_of_32():
    field = layers("resnet", 10, depth=50)["conv5_x_rest/conv3"].fields[0]
    assert (field.size, field.stride) == (483, 32)


class Crooked(nn.Module):
    """Strides, dilation, uneven padding, branches, slices, a transposition: what receptive fields
    can trip over."""

    @nn.compact
    def __call__(self, x, mask, *, train):
        def conv(window, name, **options):
            return convolution.Conv(
                2, window, kernel_init=nn.initializers.ones, name=name, **options
            )

        x = conv((4, 5), "a", strides=(2, 1), padding=((2, 0), (1, 3)))(x)
        one, other = (
            conv((1, 3), "b", padding="SAME")(x),
            conv((3, 1), "c", padding="SAME", kernel_dilation=(2, 1))(x),
        )
        x = pooling.avg_pool(jnp.concatenate([one, other], axis=-1), 3, 2, ((0, 1), (2, 0)))
        x = jnp.pad(x[:, 1:, ::2], ((0, 0), (0, 0), (1, 0), (0, 0))).transpose(0, 2, 1, 3)
        x = conv((2, 3), "d", padding="VALID")(x)
        x = nn.Dense(2, kernel_init=nn.initializers.ones, name="e")(x) @ jnp.ones([2, 2]) + conv(
            (3, 1), "f", padding="SAME"
        )(x)
        return nn.Dense(1, name="g")(x.reshape(len(x), -1))


@pytest.mark.parametrize("side", [0, 1])
def test_the_pixels_in_a_receptive_field_are_those_with_a_gradient(side):
    model, shape = Crooked(), (32, 36, 1)
    x, mask = jnp.ones((1, *shape)), jnp.ones([1], bool)
    variables = model.init(KEY, x, mask, train=False)

    def outputs(x):
        return model.apply(variables, x, mask, train=False, capture_intermediates=True)[1][
            "intermediates"
        ]

    found = {layer.name: layer for layer in anatomy.anatomy(model, shape).layers}
    assert list(found) == ["a", "b", "c", "avg_pool_1", "d", "e", "f", "g", "(model)"]
    assert (
        found["g"].fields == (None, None)
        and found["(model)"].multiply_adds == found["e"].multiply_adds
    )
    for name in "abcdef":
        field = found[name].fields[side]
        place = [0, *(n // 2 for n in found[name].output[:2]), 0]
        slope = jax.grad(
            lambda x, name=name, place=place: outputs(x)[name]["__call__"][0][tuple(place)]
        )(x)[0, ..., 0]
        first = field.low + place[field.axis] * field.stride
        assert np.flatnonzero(np.abs(slope).sum(axis=1 - side)).tolist() == _inside(
            field, first, shape[side]
        ), name


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.reshape(1, 4, 2, 8, 1),
        lambda x: x.transpose(0, 3, 1, 2).reshape(1, 64, 1) * 2,
        lambda x: x[:, ::-1] + x,
        lambda x: jnp.cumsum(x, axis=1),
        lambda x: x.sum(1),
        lambda x: jnp.broadcast_to(x[:, :1], x.shape),
        lambda x: x + x.mean((1, 2), keepdims=True),
        lambda x: jnp.concatenate([x[:, 4:], x[:, :4]], axis=1),
        lambda x: x + x.swapaxes(1, 2),
        lambda x: lax.scan(
            lambda above, row: (above + row, above + row), jnp.zeros([8]), x[0, :, :, 0]
        )[1],
        lambda x: lax.reduce(x, 0.0, lambda a, b: a + 1.0 * b, (1,)),
    ],
)
def test_what_no_window_describes_is_said_to_see_all_at_least_along_the_height(function):
    jaxpr = jax.make_jaxpr(function)(jnp.ones([1, 8, 8, 1])).jaxpr
    assert (
        receptive_field.fields(jaxpr, jaxpr.invars[0])[id(jaxpr.eqns[-1])][0] is receptive_field.ALL
    )


@pytest.mark.parametrize(
    ("function", "height", "width"),
    [
        (lambda x: lax.reduce_precision(x, 8, 7), (1, 1), (1, 1)),
        (
            lambda x: lax.reduce_window(
                x, 0.0, lambda a, b: a + 1.0 * b, (1, 3, 2, 1), (1, 2, 1, 1), "VALID"
            ),
            (3, 2),
            (2, 1),
        ),
    ],
)
def test_what_a_window_describes_is_seen_in_jax_s_rarer_primitives_too(function, height, width):
    jaxpr = jax.make_jaxpr(function)(jnp.ones([1, 8, 8, 1])).jaxpr
    both = receptive_field.fields(jaxpr, jaxpr.invars[0])[id(jaxpr.eqns[-1])]
    assert [(field.size, field.stride) for field in both] == [height, width]


def _inside(field, first: int, pixels: int) -> list[int]:
    """The pixels, those outside the image left out."""
    return list(range(max(0, first), min(pixels, first + field.size)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("alexnet_cifar", {}),
        ("resnet_cifar", dict(depth=14, width=2)),
        ("resnet_v2_cifar", dict(depth=20, width=2, remat=True)),
        ("inception_v3", dict(stem="small", width=0.05, auxiliary=False)),
    ],
)
def test_a_row_or_column_of_pixels_that_are_no_numbers_spoils_exactly_what_sees_it(name, options):
    model, side = architectures.build(name, outputs=2, **options), 24
    # row i of example i
    rows = np.eye(side, dtype=bool)[:, :, None, None] & np.ones([1, side, side, 3], bool)
    x = np.where(np.concatenate([rows, rows.swapaxes(1, 2)]), np.nan, 1.0).astype(np.float32)
    mask = jnp.ones([2 * side], bool)

    def outputs(x):
        shapes = jax.eval_shape(lambda x: model.init(KEY, x, mask[:1], train=False), x[:1])
        variables = jax.tree.map(lambda v: jnp.full(v.shape, 0.01), shapes)

        def keep(module, method):
            # a loop's values have no one place
            return method == "__call__" and "_rest" not in str(module.path)

        return model.apply(variables, x, mask, train=False, capture_intermediates=keep)[1][
            "intermediates"
        ]

    with convolution.stock():
        made = jax.jit(outputs)(x)
    seen = 0
    for layer in anatomy.anatomy(model, (side, side, 3)).layers:
        values = made
        for part in (*layer.name.split("/"), "__call__"):
            values = values.get(part, {})
        if not values or layer.fields[0] is None:
            continue
        place = [n // 2 for n in layer.output[:2]]
        spoilt = np.isnan(values[0][:, place[0], place[1]]).any(axis=-1).reshape(2, side)
        for i, field in enumerate(layer.fields):
            inside = _inside(field, field.low + place[i] * field.stride, side)
            assert np.flatnonzero(spoilt[i]).tolist() == inside, (layer.name, field)
        seen += 1
    assert seen >= 4


class Stacked(nn.Module):
    """Four convolutions of stride 1, in a loop or one by one."""

    loop: bool

    @nn.compact
    def __call__(self, x, mask, *, train):
        if not self.loop:
            for i in range(4):
                x = nn.Conv(3, (3, 5), name=f"unit_{i}")(x)
            return x
        axes = dict(variable_axes=dict(params=0), split_rngs=dict(params=True), length=4)
        return nn.scan(lambda unit, x, _: (unit(x), None), **axes)(
            nn.Conv(3, (3, 5), name="unit"), x, None
        )[0]


def test_a_loop_over_stacked_units_counts_what_the_units_one_by_one_do():
    loop, plain = (anatomy.anatomy(Stacked(loop), (16, 16, 3)) for loop in (True, False))
    assert loop[1:] == plain[1:] and loop.multiply_adds == 4 * 16 * 16 * 3 * 3 * 15
    (unit,), each = loop.layers, plain.layers
    assert (unit.name, unit.times, unit.fields) == ("unit", 4, each[-1].fields)
    assert unit.parameters == sum(layer.parameters for layer in each)
    assert unit.multiply_adds == sum(layer.multiply_adds for layer in each)


@pytest.mark.parametrize("name", architectures.MODELS)
def test_the_layers_add_up_to_the_whole(name):
    model = describe.build(name, 10, {})
    shape = describe.default_shape(model)
    x = jnp.zeros((1, *shape))
    if name == "seq2seq":
        x = {
            part: jnp.zeros((1, size), int)
            for part, size in zip(("source", "target"), shape, strict=True)
        }
    mask = jnp.ones([1] if len(shape) == 3 else [1, shape[0]], bool)
    variables = jax.eval_shape(lambda: model.init(KEY, x, mask, train=False))
    with convolution.stock():
        whole = flops.multiply_adds(lambda v: model.apply(v, x, mask, train=False), variables)
    everything = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    for found in anatomy.anatomy(model, shape), anatomy.anatomy(model, shape, levels=1):
        assert found.multiply_adds == whole == sum(layer.multiply_adds for layer in found.layers)
        assert found.parameters == everything == sum(layer.parameters for layer in found.layers)
        assert found.training_only == sum(
            layer.parameters for layer in found.layers if layer.training_only
        )


def test_layers_that_evaluation_does_not_run_are_training_only():
    found = layers("googlenet", 1000, levels=1)
    assert {name for name, layer in found.items() if layer.training_only} == {
        f"auxiliary{i}_{part}" for i in (1, 2) for part in ("conv", "fc", "classifier")
    }


def test_an_lstm_has_no_receptive_field_and_counts_every_step():
    (layer, head) = layers("sequence_readout", 5, shape=(7, 3), hidden=8).values()
    assert (layer.output, layer.multiply_adds, layer.fields) == ((7, 8), 7 * 4 * 8 * (3 + 8), None)
    assert (head.times, head.multiply_adds) == (1, 8 * 5)
