"""ResNets: the units of both papers by their equations, loops over stacked units, shortcuts and
gates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close
from networks import initialised

import architectures
from architectures.convolution import convolve
from architectures.layers import INITIALISERS, BatchNorm
from architectures.residual_unit import ORDERS, Unit

KEY = jax.random.key(0)
relu = jax.nn.relu


def unit(
    width=4,
    *,
    stride=1,
    order="original",
    shortcut="identity",
    start="same",
    block="basic",
    **options,
):
    defaults = dict(
        stride_in="1x1",
        shortcut_scale=1.0,
        branch_scale=1.0,
        gate="none",
        gate_bias=0.0,
        shortcut_dropout=0.0,
    )
    fixed = dict(
        biases="none",
        norm=BatchNorm,
        kernel_init=INITIALISERS["he_fan_out"],
        dtype=jnp.float32,
        axis_name=None,
    )
    options = defaults | dict(train=False) | options
    return Unit(width, stride, block, order, shortcut, start, **options, **fixed)


def random_variables(module, x):
    """Variables of the module with nothing at its initial value."""
    shapes, draw = jax.eval_shape(module.init, KEY, x), np.random.default_rng(0)

    def random(path, leaf):
        positive = path[-1].key in ("scale", "var")
        return jnp.asarray(
            draw.uniform(0.5, 1.5, leaf.shape) if positive else draw.normal(size=leaf.shape),
            jnp.float32,
        )

    return jax.tree_util.tree_map_with_path(random, shapes)


def layers_of(variables):
    """(W, B): weight layer i and batch norm i as functions."""

    def weight(i, x, stride=1, name=None):
        kernel = variables["params"][name or f"conv{i}"]["kernel"]
        return convolve(x, kernel, (stride, stride), [(kernel.shape[0] // 2,) * 2] * 2)

    def norm(i, x, name=None):
        p, s = (variables[kind][name or f"bn{i}"] for kind in ("params", "batch_stats"))
        return p["scale"] * (x - s["mean"]) / jnp.sqrt(s["var"] + 1e-5) + p["bias"]

    return weight, norm


def by_equation(order, x, W, B):
    """Table 2 of He et al. 2016, a basic unit with an identity shortcut."""
    if order == "original":
        return relu(x + B(2, W(2, relu(B(1, W(1, x))))))
    if order == "bn_after_addition":
        return relu(B(0, x + W(2, relu(B(1, W(1, x)))), name="bn_out"))
    if order == "relu_before_addition":
        return x + relu(B(2, W(2, relu(B(1, W(1, x))))))
    if order == "relu_only_preactivation":
        return x + B(2, W(2, relu(B(1, W(1, relu(x))))))
    return x + W(2, relu(B(2, W(1, relu(B(1, x))))))


@pytest.mark.parametrize("order", ORDERS)
def test_a_unit_is_its_equation_in_table_2(order):
    module, x = unit(order=order), jax.random.normal(KEY, (2, 6, 6, 4))
    variables = random_variables(module, x)
    close(module.apply(variables, x), by_equation(order, x, *layers_of(variables)))


def test_a_preactivated_unit_that_changes_dimensions_projects_the_activated_signal_without_batch_norm():
    module, x = (
        unit(8, stride=2, order="full_preactivation", shortcut="B", start="changed"),
        jax.random.normal(KEY, (2, 6, 6, 4)),
    )
    variables = random_variables(module, x)
    W, B = layers_of(variables)
    activated = relu(B(1, x))
    branch = W(2, relu(B(2, W(1, activated, stride=2))))
    close(module.apply(variables, x), W(0, activated, stride=2, name="projection") + branch)


def test_option_a_subsamples_and_appends_zero_maps():
    module, x = (
        unit(6, stride=2, shortcut="A", start="changed", branch_scale=0.0),
        jnp.abs(jax.random.normal(KEY, (2, 6, 6, 4))),
    )
    y = module.apply(random_variables(module, x), x)
    close(y, jnp.concatenate([x[:, ::2, ::2], jnp.zeros([2, 3, 3, 2])], axis=-1), 0)


@pytest.mark.parametrize(("gate", "on_branch"), [("exclusive", True), ("shortcut_only", False)])
def test_a_gate_divides_the_signal_as_in_table_1(gate, on_branch):
    module, x = unit(gate=gate, gate_bias=-6.0), jax.random.normal(KEY, (2, 6, 6, 4))
    variables = module.init(KEY, x)
    assert np.unique(variables["params"]["gate"]["bias"]).tolist() == [-6.0]
    W, B = layers_of(variables)
    g = jax.nn.sigmoid(W(0, x, name="gate") - 6.0)
    branch = B(2, W(2, relu(B(1, W(1, x)))))
    close(module.apply(variables, x), relu(x * (1 - g) + (branch * g if on_branch else branch)))


def test_constant_scaling_and_dropout_act_on_the_shortcut_alone_or_on_both():
    x = jnp.abs(jax.random.normal(KEY, (2, 6, 6, 4)))
    half = unit(shortcut_scale=0.5, branch_scale=0.0)
    variables = random_variables(half, x)
    close(half.apply(variables, x), x / 2)
    dropped = unit(shortcut_dropout=0.5, branch_scale=0.0, train=True)
    y = dropped.apply(variables, x, rngs={"dropout": KEY}, mutable=["batch_stats"])[0]
    kept = np.asarray(y != 0)
    assert 0.3 < kept.mean() < 0.7
    close(y[kept], 2 * x[kept])


@pytest.mark.parametrize("name", ["resnet_cifar", "resnet_v2_cifar", "plain_cifar"])
def test_a_loop_over_stacked_units_equals_the_unrolled_units_with_the_same_variables(name):
    looped, variables, x, mask = initialised(name, scan_from=1)
    unrolled = looped.clone(scan_from=99)

    def value_and_gradients(model):
        def loss(params):
            y, state = model.apply(
                {**variables, "params": params}, x, mask, train=True, mutable=["batch_stats"]
            )
            return jnp.sin(y).sum(), (y, state)

        return jax.jit(jax.grad(loss, has_aux=True))(variables["params"])

    close(value_and_gradients(looped), value_and_gradients(unrolled), 1e-4)
    shapes = [
        jax.eval_shape(functools.partial(m.init, train=False), KEY, x, mask)
        for m in (looped, unrolled)
    ]
    assert shapes[0] == shapes[1]


def test_the_units_of_a_loop_start_with_weights_of_their_own():
    kernels = initialised("resnet_cifar")[1]["params"]["conv2_x_rest"]["conv1"]["kernel"]
    assert kernels.shape[0] == 2 and np.abs(kernels[0] - kernels[1]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "choice", "message"),
    [
        (
            "resnet",
            dict(depth=20),
            "depth: unknown 20; choose from 18, 34, 50, 101, 152, 200, or set stem='cifar'",
        ),
        ("resnet_cifar", dict(depth=21), "depth: 21 is not 6n \\+ 2, as basic units need"),
        (
            "resnet_v2_cifar",
            dict(depth=111),
            "depth: 111 is not 9n \\+ 2, as bottleneck units need",
        ),
        ("resnet", dict(shortcut="D"), "shortcut: unknown 'D'; choose from A, B, C, none"),
        (
            "resnet",
            dict(batch_norm="none"),
            "batch_norm: unknown 'none'; choose from per_device, synchronised",
        ),
    ],
)
def test_a_depth_or_choice_that_is_none_is_refused_in_one_line(name, choice, message):
    with pytest.raises(ValueError, match=message):
        model = architectures.build(name, outputs=10, **choice)
        jax.eval_shape(lambda: model.init(KEY, jnp.zeros([1, 32, 32, 3]), None, train=False))
