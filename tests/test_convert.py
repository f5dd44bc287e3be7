"""Weights in and out: every network's table of names is whole, what does not fit is named, the
script, runs."""

import json
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict

import architectures
from architectures import convert, weight_files, weight_tensors
from configs import base
from configs.cnn_imagenet import recipe
from scripts import weights
from train.checkpoint import Checkpoints
from train.errors import BadInput
from train.state import TrainState

PAGE = pathlib.Path(__file__).parents[1] / "architectures" / "WEIGHTS.md"
SMALL = "torchvision/resnet18"


def variables_of(source, outputs=3, **fields):
    """Random variables of a network, as a training run leaves them."""
    rng = np.random.default_rng(0)
    shapes = convert._shapes(convert.build(source, outputs, **fields))
    return unflatten_dict(
        {path: rng.standard_normal(shape, np.float32) for path, shape in shapes.items()}
    )


def same(a, b):
    a, b = flatten_dict(a, sep="/"), flatten_dict(b, sep="/")
    return a.keys() == b.keys() and all(
        np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a
    )


@pytest.fixture(scope="module")
def state():
    return convert.save(SMALL, variables_of(SMALL))


@pytest.mark.parametrize("source", convert.SOURCES)
def test_each_leaf_of_each_network_has_one_name_and_no_name_has_two(source):
    module = convert.build(source, 3)
    shapes = convert._shapes(module)
    tensors = list(weight_tensors.tensors(source, module, shapes))
    assert len({tensor.theirs for tensor in tensors}) == len(tensors)
    places = {(tensor.ours, tensor.layer.index) for tensor in tensors}
    assert len(places) == len(tensors)
    for path, shape in shapes.items():
        assert {i for ours, i in places if ours == path} in ({None}, set(range(shape[0]))), path
    assert sum(np.prod(tensor.shape) for tensor in tensors) == sum(map(np.prod, shapes.values()))


@pytest.mark.parametrize(
    "source", [SMALL, "torchvision/googlenet", "timm/resnetv2_50", "keras/ResNet50V2"]
)
def test_variables_that_went_out_and_in_have_the_same_bits(source):
    variables = variables_of(source)
    module, back = convert.load(source, convert.save(source, variables))
    assert same(back, variables) and module.outputs == 3


def test_pytorchs_batch_counters_are_written_and_passed_over(state):
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    assert len(counters) == 20 and all(
        state[name].dtype == np.int64 and state[name].shape == () for name in counters
    )
    without = {name: value for name, value in state.items() if name not in counters}
    assert same(convert.load(SMALL, without)[1], convert.load(SMALL, state)[1])


def test_a_googlenet_without_auxiliary_heads_is_loaded_without_them():
    source = "torchvision/googlenet"
    state = convert.save(source, variables_of(source))
    module, variables = convert.load(
        source, {name: v for name, v in state.items() if not name.startswith("aux")}
    )
    assert not module.auxiliary and not any("auxiliary" in name for name in variables["params"])
    assert not any(name.startswith("aux") for name in convert.save(source, variables))


def test_inception_v3_of_keras_may_be_numbered_from_any_number_on():
    source = "keras/InceptionV3"
    variables = variables_of(source)
    state = convert.save(source, variables)

    def later(name):
        layer, _, variable = name.rpartition("/")
        kind, _, number = layer.rpartition("_") if layer[-1].isdigit() else (layer, "", "0")
        return (
            name
            if layer == "predictions"
            else f"{kind}_{int(number) + (94 if kind == 'conv2d' else 7)}/{variable}"
        )

    renamed = {later(name): value for name, value in state.items()}
    assert "conv2d_94/kernel" in renamed and "conv2d/kernel" not in renamed
    assert same(convert.load(source, renamed)[1], variables)


def test_a_missing_a_left_over_and_a_misshapen_name_are_all_named_in_one_line(state):
    changed = dict(state)
    changed["layer9.weight"] = changed.pop("layer1.0.conv1.weight")
    changed["layer1.0.bn1.bias"] = np.zeros(5, np.float32)
    with pytest.raises(ValueError) as error:
        convert.load(SMALL, changed)
    assert str(error.value) == (
        "torchvision/resnet18: missing: layer1.0.conv1.weight; left over: layer9.weight; "
        "misshapen: layer1.0.bn1.bias is [5], must be [64]"
    )


def test_of_many_wrong_names_the_first_three_are_named_and_the_others_counted(state):
    cut = {name: value for name, value in state.items() if not name.startswith("layer4.1")}
    with pytest.raises(ValueError) as error:
        convert.load(SMALL, cut)
    assert str(error.value) == (
        "torchvision/resnet18: missing: layer4.1.conv1.weight, layer4.1.bn1.weight, "
        "layer4.1.bn1.bias and 7 more"
    )


def torch_lstm(**shapes):
    """The state of torch.nn.LSTM(3, 2), some arrays of other shapes."""
    return {
        name: np.zeros(shape)
        for name, shape in (dict(weight_ih_l0=[8, 3], weight_hh_l0=[8, 2]) | shapes).items()
    }


@pytest.mark.parametrize(
    "source, state, expected",
    [
        (
            "torchvision/resnet19",
            {},
            "unknown network 'torchvision/resnet19'; choose from torchvision/alexnet",
        ),
        (SMALL, {}, "torchvision/resnet18: no fc.weight among 0 names"),
        (
            "keras/ResNet50",
            {"a/kernel": np.zeros([3])},
            "keras/ResNet50: no predictions/kernel among 1 names, as a/kernel",
        ),
        (
            "torch.nn/LSTM",
            torch_lstm(weight_hh_l0=[8]),
            "torch.nn/LSTM: weight_ih_l0 and weight_hh_l0 of shapes (8, 3) and (8,)",
        ),
        (
            "torch.nn/LSTM",
            torch_lstm(bias_ih_l0=[5], bias_hh_l0=[5]),
            "torch.nn/LSTM: layer_1/cell/bias is (5,), must be",
        ),
        (
            "torch.nn/LSTM",
            torch_lstm(weight_ih_l1=[8, 77], weight_hh_l1=[8, 2]),
            "torch.nn/LSTM: layer_2/cell/input is (77, 8), must be (2, 8)",
        ),
        (
            "keras/LSTM",
            dict(kernel=np.zeros([3, 8]), recurrent_kernel=np.zeros([2, 8]), bias=np.zeros([2, 8])),
            "keras/LSTM: layer_1/cell/recurrent_bias is (4,), must be nothing",
        ),
    ],
)
def test_what_is_no_state_of_the_network_is_one_line(source, state, expected):
    with pytest.raises(ValueError) as error:
        convert.load(source, state)
    assert str(error.value).startswith(expected) and "\n" not in str(error.value)


def test_variables_of_another_network_are_not_written_and_named():
    with pytest.raises(
        ValueError,
        match=r"^torchvision/resnet34: misshapen: \S*/conv2_x_rest/bn1/mean is \[1, 64\], must be \[2, 64\], ",
    ):
        convert.save("torchvision/resnet34", variables_of(SMALL))


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        ("torch.nn/LSTM", {}, "torch.nn/LSTM: needs a Stack's layer_1, ..., not nothing"),
        (
            "torch.nn/LSTM",
            {"params": {"conv1": {}}},
            "torch.nn/LSTM: needs a Stack's layer_1, ..., not conv1",
        ),
        (
            "torchvision/googlenet",
            {"params": {"classifier": {"kernel": np.zeros([2, 3])}}, "x": np.zeros(1)},
            "torchvision/googlenet: missing: ",
        ),
        (
            "keras/VGG16",
            {"params": {"fc8": {"kernel": np.zeros([2, 3])}, "fc6": {"kernel": np.zeros([])}}},
            "keras/VGG16: missing: ",
        ),
    ],
)
def test_variables_of_nothing_of_the_kind_are_refused_in_one_line(source, variables, expected):
    with pytest.raises(ValueError) as error:
        convert.save(source, variables)
    assert str(error.value).startswith(expected) and "\n" not in str(error.value)


def script(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "scripts.weights", *map(str, arguments)],
        capture_output=True,
        text=True,
    )


def test_the_script_brings_weights_in_and_out(state, tmp_path):
    weight_files.write(tmp_path / "theirs.npz", state)
    done = script(SMALL, tmp_path / "theirs.npz", tmp_path / "ours.npz")
    assert done.returncode == 0, done.stderr
    ours = weight_files.read(tmp_path / "ours.npz")
    assert (
        ours["params/conv3_x_rest/conv1/kernel"].shape == (1, 3, 3, 128, 128)
        and "batch_stats/bn1/mean" in ours
    )
    done = script(SMALL, tmp_path / "ours.npz", tmp_path / "back.npz", "--reverse")
    assert done.returncode == 0 and same(weight_files.read(tmp_path / "back.npz"), state), (
        done.stderr
    )


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ((SMALL, "{}/none.npz", "{}/out.npz"), "No such file"),
        (
            ("torchvision/resnet5", "{}/none.npz", "{}/out.npz"),
            "unknown network 'torchvision/resnet5'; choose from torchvision/alexnet",
        ),
        (
            ("torchvision/resnet5", "{}/none.npz", "{}/out.npz", "--reverse"),
            "unknown network 'torchvision/resnet5'; choose from",
        ),
        ((SMALL, "{}/none.npz", "{}/no/out.npz", "--reverse"), "/no; make it first"),
        ((SMALL, "{}/theirs.npz", "{}/out.weights.h5"), "our own weights are .npz or .safetensors"),
        ((SMALL, "{}/theirs.npz", "{}/out.npz", "--seed=1"), "--seed: only a run's workdir"),
        (("torchvision/resnet34", "{}/theirs.npz", "{}/out.npz"), "missing: layer1.2.conv1.weight"),
        ((SMALL, "{}", "{}/out.npz", "--reverse"), "no run with a readable config.json"),
        ((SMALL,), "SOURCE, IN and OUT are needed"),
    ],
)
def test_a_mistake_on_the_scripts_command_line_is_one_line_and_exit_code_2(
    arguments, expected, state, tmp_path
):
    weight_files.write(tmp_path / "theirs.npz", state)
    done = script(*(argument.format(tmp_path) for argument in arguments))
    assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1, (
        done.stderr
    )
    assert not done.stdout and not list(tmp_path.glob("out*"))


@pytest.fixture
def run(tmp_path):
    """The workdir of a run of two seeds whose network is torchvision's resnet18, and the variables
    it ended with."""
    variables = [variables_of(SMALL), jax.tree.map(np.negative, variables_of(SMALL))]
    averages = jax.tree.map(lambda *leaves: 2 * np.stack(leaves), *(v["params"] for v in variables))
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *variables)
    statistics = {"batch_stats": both["batch_stats"]}
    state = TrainState(
        np.zeros(2, np.int32), both["params"], statistics, {"inner": {}, "average": averages}
    )
    with Checkpoints(epath.Path(tmp_path / "run" / "checkpoints"), 1) as checkpoints:
        checkpoints.save(7, (state, {}), {})
    model = dict(name="resnet", depth=18, stride_in="3x3", pool="padded", scan_from=4)
    (tmp_path / "run" / "config.json").write_text(
        json.dumps(dict(seeds=[5, 9], model=model, data={}))
    )
    return tmp_path / "run", variables


def test_the_parameters_that_a_run_evaluates_are_taken_of_the_seed_asked_for(run):
    workdir, variables = run
    found = weights.from_run(SMALL, epath.Path(workdir), 1)
    assert same(
        found,
        {
            "params": jax.tree.map(lambda x: 2 * x, variables[1]["params"]),
            "batch_stats": variables[1]["batch_stats"],
        },
    )


@pytest.mark.parametrize(
    "change, seed, expected",
    [
        (
            dict(stride_in="1x1"),
            0,
            "with model.stride_in=1x1; to export a run, train it with --config.model.stride_in=3x3",
        ),
        (
            dict(bn_epsilon=1e-3),
            0,
            "with model.bn_epsilon=0.001; to export a run, train it with "
            "--config.model.bn_epsilon=1e-05",
        ),
        (
            dict(depth=50, pool="ceil", stride_in="1x1"),
            0,
            ": computes something else than torchvision/resnet18, with model.depth=50, "
            "model.pool=ceil, model.stride_in=1x1; "
            "to export a run, train it with --config.model.depth=18 --config.model.pool=padded "
            "--config.model.stride_in=3x3",
        ),
        (
            dict(name="vgg"),
            0,
            "run: its network is a VGG, torchvision/resnet18 is a ResNet (model.name=resnet)",
        ),
        (dict(), 2, "--seed: 2 is none of the run's, 0 to 1"),
    ],
)
def test_a_run_that_computes_something_else_than_the_library_is_refused(
    run, change, seed, expected
):
    workdir, _ = run
    config = json.loads((workdir / "config.json").read_text())
    model = change if "name" in change else config["model"] | change
    (workdir / "config.json").write_text(json.dumps(config | dict(model=model)))
    with pytest.raises(BadInput) as error:
        weights.from_run(SMALL, epath.Path(workdir), seed)
    assert str(error.value).endswith(expected)


@pytest.mark.parametrize("source", convert.SOURCES)
def test_the_flags_of_a_refused_run_make_the_network_that_is_taken(source):
    theirs = convert.build(source, outputs=1)
    own = [
        name
        for name, make in architectures.MODELS.items()
        if getattr(make, "func", make) is type(theirs)
    ]
    for name in own:
        config = base.override(base.get_config(), {"model.name": name})

        def network(config=config):
            options = {key: value for key, value in config.model.items() if key != "name"}
            return architectures.build(config.model.name, outputs=1, **options)

        differ = weights.differences(network(), theirs)
        base.override(
            config, {f"model.{key}": weights.as_flag(wanted) for key, (_, wanted) in differ.items()}
        )
        assert not weights.differences(network(), theirs)
        if convert.SOURCES[source].auxiliary is None:
            assert not getattr(network(), "auxiliary", False)


@pytest.mark.parametrize("source", ["torchvision/resnet50", "keras/ResNet50"])
def test_the_keys_that_the_page_names_make_a_resnet_that_can_be_exported(source):
    (flags,) = re.findall(
        rf"`{source}`: ((?:`--config\.\S+`[, ]*)+)", PAGE.read_text().replace("\n", " ")
    )
    changes = dict(re.findall(r"--config\.([\w.]+)=([\w.-]+)", flags))
    config = base.override(base.override(base.get_config(), recipe("resnet")), changes)
    options = {key: value for key, value in config.model.items() if key != "name"}
    ours = architectures.build(config.model.name, outputs=1, **options)
    assert not weights.differences(ours, convert.build(source, outputs=1)) and set(changes) >= {
        "model.pool"
    }
