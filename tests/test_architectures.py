"""What holds of every network, and the heads, dropout and pools of AlexNet, VGG, GoogLeNet and
Inception."""

import contextlib
import functools
import inspect
import re

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers import REDUCED, close
from networks import KEY, evaluated, example, initialised

import architectures
from architectures import cell_initialisers, cells, convolution, layers
from architectures.alexnet import fully_connected
from architectures.pooling import adaptive_avg_pool

PLAIN = (str, int, float, bool, tuple, str | None, float | None, tuple[float, ...], type(None))


# every model


@pytest.mark.parametrize("name", architectures.MODELS)
def test_a_constructor_shows_plain_types_and_a_default_for_every_hyperparameter(name):
    parameters = dict(inspect.signature(architectures.MODELS[name]).parameters)
    assert parameters.pop("outputs").default is inspect.Parameter.empty
    assert (
        parameters.pop("dtype").default == jnp.float32
        and parameters.pop("axis_name").default is None
    )
    for key in set(parameters) - {"parent", "name", "symbols"}:
        assert parameters[key].annotation in PLAIN and type(parameters[key].default) in PLAIN, key


@pytest.mark.parametrize("name", architectures.MODELS)
def test_bfloat16_is_for_computing_and_leaves_parameters_and_logits_float32(name):
    model, variables, x, mask = initialised(name, dtype=jnp.bfloat16)
    assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    logits = evaluated(model, variables, x, mask)
    assert logits.shape[0] == 3 and logits.shape[-1] == 10 and logits.dtype == jnp.float32
    assert "bf16" in str(jax.make_jaxpr(lambda x: model.apply(variables, x, mask, train=False))(x))
    close(logits, evaluated(model.clone(dtype=jnp.float32), variables, x, mask), 0.05)


@pytest.mark.parametrize(
    ("name", "choice", "valid"),
    [
        ("lenet", {}, ", ".join(sorted(architectures.MODELS))),
        ("lenet5", {"batch_norm": "x"}, "none, per_device, synchronised"),
        ("lenet5", {"c3": "x"}, "dense, sparse"),
        ("lenet5", {"subsampling": "x"}, "average, max, trainable"),
        ("lenet5", {"activation": "x"}, "relu, scaled_tanh, sigmoid, tanh"),
        ("lenet5", {"output": "x"}, "dense, rbf"),
        ("lenet5", {"initialiser": "x"}, ", ".join(sorted(layers.INITIALISERS))),
        ("sequence_readout", {"cell": "x"}, ", ".join(sorted(cells.CELLS))),
        ("tagger", {"initialiser": "x"}, ", ".join(sorted(cell_initialisers.INITIALISERS))),
        ("tagger", {"merge": "separate"}, "concat, sum"),
        ("language_model", {"scan": "x"}, "fused, plain"),
        ("seq2seq", {"attention": "x"}, "additive, concat, dot, general, location, none"),
        ("seq2seq", {"bridge": "x"}, "backward, copy, dense, zeros"),
    ],
)
def test_a_wrong_choice_is_answered_in_one_line_with_the_valid_ones(name, choice, valid):
    with pytest.raises(ValueError, match=f"unknown .*; choose from {valid}") as error:
        initialised(name, **choice)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("alexnet", dict(dropout=1.0), "dropout: 1.0 is outside [0, 1)"),
        (
            "alexnet",
            dict(groups=3),
            "maps: (96, 256, 384, 384, 256) must be multiples of groups=3, the first above 0",
        ),
        ("alexnet", dict(maps=(96, 256, -3, 384, 256)), "must be 5 whole numbers of at least 0"),
        (
            "alexnet",
            dict(conv1_padding=(0, -3)),
            "conv1_padding: (0, -3) must be 2 whole numbers of at least 0",
        ),
        ("alexnet_cifar", dict(width=0.0), "width: 0.0 must be above 0"),
        (
            "alexnet_cifar",
            dict(width=1e30),
            "width: 1e+30 must be above 0, and 64 times it below 2**31",
        ),
        ("vgg", dict(width=-1.0), "width: -1.0 must be at least 0"),
        ("vgg", dict(bn_momentum=7.0), "bn_momentum: 7.0 is outside [0, 1)"),
        ("googlenet", dict(auxiliary_dropout=1.0), "auxiliary_dropout: 1.0 is outside [0, 1)"),
        (
            "googlenet",
            dict(auxiliary_pool="paper"),
            "auxiliary_pool: 'paper' needs at least 5 x 5 places, this image leaves 2 x 2",
        ),
        ("resnet", dict(bn_epsilon=-1.0), "bn_epsilon: -1.0 must be at least 0"),
        ("resnet_cifar", dict(scan_from=0), "scan_from: 0 must be at least 1"),
        (
            "plain_cifar",
            dict(gate="exclusive"),
            "shortcut: 'none' cannot be used with gate, shortcut_dropout",
        ),
        (
            "plain_cifar",
            dict(shortcut_scale=0.5),
            "cannot be used with gate, shortcut_dropout or the two scales; choose from A, B, C",
        ),
        (
            "plain_cifar",
            dict(branch_scale=0.5),
            "cannot be used with gate, shortcut_dropout or the two scales; choose from A, B, C",
        ),
        (
            "resnet_v2",
            dict(order="original", activate="after_pool"),
            "'after_pool' does nothing with order='original'",
        ),
        ("googlenet", dict(pool4=1), "pool4: 1 must be at least 2"),
        (
            "resnet_cifar",
            dict(depth=8, stride_in="last_unit"),
            "'last_unit' needs more than the one unit of 'conv2_x'",
        ),
        ("lstm1997", dict(blocks=0), "blocks: 0 must be at least 1"),
        ("sequence_readout", dict(hidden=10**10), "hidden: 10000000000 must be below 2**31"),
        (
            "sequence_readout",
            dict(layers=2, residual=True),
            "residual: the last layer's state is read, so 2 layers have no shortcut",
        ),
        (
            "tagger",
            dict(init_scale=0.1),
            "init_scale: initialiser='orthogonal' has no scale; choose from cho, irnn, normal, uniform",
        ),
        ("seq2seq", dict(window=0, local="predictive"), "window: 0 must be at least 1"),
        (
            "seq2seq",
            dict(attention="none", local="monotonic"),
            "local: 'monotonic' needs attention",
        ),
        ("seq2seq", dict(maxout=5), "maxout: 5 needs attend='before'"),
    ],
)
def test_a_number_or_combination_that_cannot_work_is_answered_in_one_line_with_its_name(
    name, options, line
):
    symbols = dict(symbols=10) if name == "seq2seq" else {}
    model, (x, mask) = architectures.build(name, outputs=10, **options, **symbols), example(name)
    with pytest.raises(ValueError) as error:
        jax.eval_shape(lambda: model.init(KEY, x, mask, train=False))
    assert line in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    ["alexnet", "alexnet_cifar", "googlenet", "googlenet_torchvision", "bn_inception", "resnet"],
)
@pytest.mark.parametrize("stock", [False, True])
def test_images_that_are_smaller_than_a_window_are_answered_in_one_line(name, stock):
    model, x = architectures.build(name, outputs=10), jnp.ones([2, 1, 1, 3])
    with (
        convolution.stock() if stock else contextlib.nullcontext(),
        pytest.raises(ValueError) as error,
    ):
        jax.eval_shape(lambda: model.init(KEY, x, jnp.ones([2], bool), train=False))
    assert re.match(
        r"the images are too small: windows of (\d+) x \1 do not fit maps of 1 x 1",
        str(error.value),
    )


@pytest.mark.parametrize("depth", [1, 3])
def test_an_lstm_has_4h_times_i_plus_h_plus_1_parameters_a_layer(depth):
    model = architectures.build("sequence_readout", outputs=10, hidden=8, layers=depth)
    variables = model.init(KEY, jnp.ones([1, 4, 12]), jnp.ones([1, 4], bool), train=False)
    expected = 4 * 8 * (12 + 8 + 1) + (depth - 1) * 4 * 8 * (8 + 8 + 1) + 10 * 9
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == expected


# AlexNet, VGG, GoogLeNet, Inception


def test_fully_connected_layers_average_the_class_scores_of_every_window_of_a_larger_map():
    class Head(nn.Module):
        outputs = 4
        hidden = 6
        width = 1.0
        dropout = 0.0
        other_sizes = "dense"
        axis_name = None
        dtype = jnp.float32

        @nn.compact
        def __call__(self, x):
            init = (nn.initializers.normal(1.0), nn.initializers.normal(1.0))
            return fully_connected(
                self, x, 2, train=False, activation=nn.relu, init=lambda name: init
            )

    module, x = Head(), jax.random.normal(KEY, (1, 3, 3, 5))
    variables = module.init(KEY, x)
    windows = [
        module.apply(variables, x[:, i : i + 2, j : j + 2]) for i in range(2) for j in range(2)
    ]
    close(module.apply(variables, x), sum(windows) / 4)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_answer_in_training_alone(name):
    model, variables, x, mask = initialised(name)

    def run(train):
        return model.apply(
            variables, x, mask, train=train, rngs={"dropout": KEY}, mutable=["batch_stats"]
        )[0]

    answers = jax.eval_shape(functools.partial(run, True))
    assert [a.shape for a in answers] == [(3, 10)] * (3 if name == "googlenet" else 2)
    assert jax.eval_shape(functools.partial(run, False)).shape == (3, 10)


@pytest.mark.parametrize(
    ("name", "rate", "others"),
    [
        ("alexnet", "dropout", {}),
        ("vgg", "dropout", {}),
        ("bn_inception", "dropout", {}),
        ("inception_v3", "dropout", {}),
        ("googlenet", "dropout", dict(auxiliary_dropout=0.0)),
        ("googlenet", "auxiliary_dropout", dict(dropout=0.0)),
    ],
)
def test_dropout_is_there_in_training_and_gone_at_rate_0(name, rate, others):
    for share, differs in ((0.5, True), (0.0, False)):
        model, variables, x, mask = initialised(name, **{rate: share}, **others)

        @jax.jit
        def answer(key, model=model, variables=variables, x=x, mask=mask):
            answers, _ = model.apply(
                variables, x, mask, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
            )
            return jnp.concatenate(jax.tree.leaves(answers))

        assert bool((answer(jax.random.key(1)) != answer(jax.random.key(2))).any()) == differs


def test_an_average_pool_to_a_grid_takes_pytorchs_windows():
    x = jnp.arange(7.0)[None, :, None, None] * jnp.ones([1, 7, 7, 1])
    rows = adaptive_avg_pool(x, 4)[0, :, 0, 0]  # rows 0-1, 1-3, 3-5, 5-6
    close(rows, np.array([0.5, 2.0, 4.0, 5.5]))


def test_the_bias_that_alexnet_starts_with_is_in_conv2_conv4_conv5_and_the_hidden_layers():
    params = initialised("alexnet", bias=1.0)[1]["params"]
    assert {name for name, layer in params.items() if np.all(layer["bias"] == 1)} == {
        "conv2",
        "conv4",
        "conv5",
        "fc6",
        "fc7",
    }


@pytest.mark.parametrize(
    ("name", "side", "fields", "expected"),
    [
        ("alexnet", 40, {}, "the images are too small"),
        (
            "alexnet",
            64,
            dict(image_size=30),
            "image_size: 30 is too small for AlexNet's three pools",
        ),
        ("vgg", 16, {}, "image_size: .* at least 32 x 32"),
        ("inception_v3", 8, {}, "stem: .*at least 15 "),
    ],
)
def test_an_image_that_is_too_small_is_refused_in_one_line(name, side, fields, expected):
    model = architectures.build(name, outputs=10, **REDUCED[name][0] | fields)
    with pytest.raises(ValueError, match=expected) as error:
        jax.eval_shape(lambda: model.init(KEY, jnp.zeros([1, side, side, 3]), None, train=False))
    assert "\n" not in str(error.value)
