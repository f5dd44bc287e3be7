"""Weights in and out: every network's table of names is whole, what does not fit is named, files keep bits, the script."""

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
from architectures import convert, weight_files
from configs import base
from configs.cnn_imagenet import recipe
from scripts import weights
from train.checkpoint import Checkpoints
from train.errors import BadInput
from train.state import TrainState

README = pathlib.Path(__file__).parents[1] / "README.md"
SMALL = "torchvision/resnet18"


def variables_of(source, outputs=3, **fields):
    """Random variables of a network, as a training run leaves them."""
    rng = np.random.default_rng(0)
    shapes = convert._shapes(convert.build(source, outputs, **fields))
    return unflatten_dict({path: rng.standard_normal(shape, np.float32) for path, shape in shapes.items()})


def same(a, b):
    a, b = flatten_dict(a, sep="/"), flatten_dict(b, sep="/")
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


@pytest.fixture(scope="module")
def state():
    return convert.save(SMALL, variables_of(SMALL))


@pytest.mark.parametrize("source", convert.SOURCES)
def test_each_leaf_of_each_network_has_one_name_and_no_name_has_two(source):
    module = convert.build(source, 3)
    shapes = convert._shapes(module)
    tensors = list(convert._tensors(source, module, shapes))
    assert len({tensor.theirs for tensor in tensors}) == len(tensors)
    places = {(tensor.ours, tensor.layer.index) for tensor in tensors}
    assert len(places) == len(tensors)
    for path, shape in shapes.items():
        assert {i for ours, i in places if ours == path} in ({None}, set(range(shape[0]))), path
    assert sum(np.prod(tensor.shape) for tensor in tensors) == sum(map(np.prod, shapes.values()))


@pytest.mark.parametrize("source", [SMALL, "torchvision/googlenet", "timm/resnetv2_50", "keras/ResNet50V2"])
def test_variables_that_went_out_and_in_have_the_same_bits(source):
    variables = variables_of(source)
    module, back = convert.load(source, convert.save(source, variables))
    assert same(back, variables) and module.outputs == 3


def test_pytorchs_batch_counters_are_written_and_passed_over(state):
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    assert len(counters) == 20 and all(state[name].dtype == np.int64 and state[name].shape == () for name in counters)
    without = {name: value for name, value in state.items() if name not in counters}
    assert same(convert.load(SMALL, without)[1], convert.load(SMALL, state)[1])


def test_a_googlenet_without_auxiliary_heads_is_loaded_without_them():
    source = "torchvision/googlenet"
    state = convert.save(source, variables_of(source))
    module, variables = convert.load(source, {name: v for name, v in state.items() if not name.startswith("aux")})
    assert not module.auxiliary and not any("auxiliary" in name for name in variables["params"])
    assert not any(name.startswith("aux") for name in convert.save(source, variables))


def test_inception_v3_of_keras_may_be_numbered_from_any_number_on():
    source = "keras/InceptionV3"
    variables = variables_of(source)
    state = convert.save(source, variables)

    def later(name):
        layer, _, variable = name.rpartition("/")
        kind, _, number = layer.rpartition("_") if layer[-1].isdigit() else (layer, "", "0")
        return name if layer == "predictions" else f"{kind}_{int(number) + (94 if kind == 'conv2d' else 7)}/{variable}"

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
        "torchvision/resnet18: missing: layer4.1.conv1.weight, layer4.1.bn1.weight, layer4.1.bn1.bias and 7 more"
    )


@pytest.mark.parametrize(
    "source, state, expected",
    [
        ("torchvision/resnet19", {}, "unknown network 'torchvision/resnet19'; have torchvision/alexnet"),
        (SMALL, {}, "torchvision/resnet18: no fc.weight among 0 names"),
        ("keras/ResNet50", {"a/kernel": np.zeros([3])}, "keras/ResNet50: no predictions/kernel among 1 names, as a/kernel"),
    ],
)
def test_what_is_no_state_of_the_network_is_one_line(source, state, expected):
    with pytest.raises(ValueError) as error:
        convert.load(source, state)
    assert str(error.value).startswith(expected) and "\n" not in str(error.value)


def test_variables_of_another_network_are_not_written_and_named():
    with pytest.raises(
        ValueError, match=r"^torchvision/resnet34: misshapen: \S*/conv2_x_rest/bn1/mean is \[1, 64\], must be \[2, 64\], "
    ):
        convert.save("torchvision/resnet34", variables_of(SMALL))


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pth", ".weights.h5"])
def test_a_file_gives_back_names_shapes_and_bits(ending, tmp_path):
    package = {".safetensors": "safetensors", ".pth": "torch", ".weights.h5": "h5py"}.get(ending)
    if package:
        pytest.importorskip(package)
    rng = np.random.default_rng(0)
    state = {} if ending == ".weights.h5" else {"b/batches": np.zeros([], np.int64)}
    state |= {"a/kernel": rng.standard_normal((3, 3, 2, 4), np.float32), "a/bias": rng.standard_normal(4, np.float32)}
    state |= {f"b/{name}": rng.standard_normal(4, np.float32) for name in ("beta", "moving_mean", "moving_variance")}
    state |= {"c/kernel": rng.standard_normal((4, 2), np.float32).T.copy().T}
    weight_files.write(tmp_path / f"x{ending}", state)
    read = weight_files.read(tmp_path / f"x{ending}")
    assert same(read, state)


@pytest.mark.parametrize("ways", [(), ("forward/", "backward/")], ids=["one direction", "both directions"])
def test_all_arrays_of_a_recurrent_layer_are_in_kerass_file_and_come_back(ways, tmp_path):
    pytest.importorskip("h5py")
    arrays = dict(kernel=np.ones([3, 16], np.float32), recurrent_kernel=np.ones([4, 16]), bias=np.arange(16.0))
    state = {way + name: value for way in ways or [""] for name, value in arrays.items()}
    weight_files.write(tmp_path / "x.weights.h5", state)
    read = weight_files.read(tmp_path / "x.weights.h5")
    layer = "bidirectional" if ways else "lstm"
    assert same(read, {f"{layer}/{name}": value for name, value in state.items()})


@pytest.mark.parametrize(
    "name", ["conv1.weight", "b/scale", "b/bias", "lstm/recurrent_kernel", "a/moving_mean", "a/more/kernel/x"]
)
def test_an_array_without_a_place_in_kerass_file_is_named_and_no_file_is_written(name, tmp_path):
    pytest.importorskip("h5py")
    state = {"a/kernel": np.zeros([3, 4], np.float32), name: np.zeros([4, 4], np.float32)}
    with pytest.raises(ValueError) as error:
        weight_files.write(tmp_path / "x.weights.h5", state)
    assert str(error.value).endswith(f"x.weights.h5: {name} has no place in Keras's file; write .npz, .safetensors or .pth")
    assert not list(tmp_path.iterdir())


def test_a_layer_of_another_kind_in_kerass_file_is_named_and_not_passed_over(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers/functional/layers/dense/vars/0"] = np.zeros([3, 4])
    with pytest.raises(ValueError, match="/layers/functional/layers/dense/vars: a layer of this kind is not read"):
        weight_files.read(tmp_path / "x.weights.h5")


def test_a_file_with_pickled_objects_is_refused_and_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    np.savez(tmp_path / "x.npz", a=np.array([Evil()], dtype=object))
    with pytest.raises(ValueError, match=r"x.npz: no file of plain arrays"):
        weight_files.read(tmp_path / "x.npz")
    torch = pytest.importorskip("torch")
    torch.save({"a": Evil()}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x.pth: is no state dict of arrays"):
        weight_files.read(tmp_path / "x.pth")
    assert not (tmp_path / "executed").exists()


def test_what_is_wrong_with_a_pth_file_is_said_without_torchs_advice_to_execute_it(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "module.pth")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    torch.save({"epoch": 3, "weight": torch.zeros(2)}, tmp_path / "more.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "module.pth").read_bytes()[:600])
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError) as error:
            weight_files.read(path)
        assert str(error.value) == (
            f"{path}: is no state dict of arrays; it was cut off, is of another kind, or holds more, as a whole module does "
            "(save its state_dict() alone)"
        )


def test_the_parameters_of_a_pytorch_module_are_read_as_its_state_dict_is(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 3)
    torch.save(dict(module.named_parameters()), tmp_path / "x.pth")
    assert same(weight_files.read(tmp_path / "x.pth"), {name: v.numpy() for name, v in module.state_dict().items()})


@pytest.mark.parametrize("ending", weight_files.ENDINGS)
def test_where_a_file_cannot_be_written_that_is_one_line(ending, tmp_path):
    package = {".safetensors": "safetensors", ".pth": "torch", ".pt": "torch", ".h5": "h5py"}.get(ending)
    if package:
        pytest.importorskip(package)
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / f"full{ending}").symlink_to("/dev/full")
    lines = {
        f"no/x{ending}": rf"no/x{ending}: there is no folder \S*/no; make it first$",
        f"folder{ending}": f"folder{ending}: is a folder, must be a file$",
        f"full{ending}": f"full{ending}: .+",
    }
    if ending == ".safetensors":  # puts a new file in the place of the device
        lines.popitem()
    for name, expected in lines.items():
        with pytest.raises(ValueError, match=expected) as error:
            weight_files.write(tmp_path / name, {"a/kernel": np.zeros([300, 400], np.float32)})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name, contents, expected",
    [
        ("x.tar", b"", "unknown ending '.tar'; have .npz, .safetensors, .pth, .pt, .h5"),
        ("none.npz", None, "No such file"),
        ("x.npz", b"PK\x03\x04 cut", "x.npz: "),
        ("x.npz", b"nothing of the kind", "x.npz: no file of plain arrays"),
        ("x.safetensors", b"nothing of the kind", "x.safetensors: "),
        ("x.pth", b"nothing of the kind", "x.pth: "),
        ("x.weights.h5", b"nothing of the kind", "x.weights.h5: "),
    ],
)
def test_an_unreadable_file_is_one_line(name, contents, expected, tmp_path):
    package = {"safetensors": "safetensors", "pth": "torch", "h5": "h5py"}.get(name.rpartition(".")[2])
    if package:
        pytest.importorskip(package)
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError) as error:
        weight_files.read(tmp_path / name)
    assert expected in str(error.value) and "\n" not in str(error.value)


def script(*arguments):
    return subprocess.run([sys.executable, "-m", "scripts.weights", *map(str, arguments)], capture_output=True, text=True)


def test_the_script_brings_weights_in_and_out(state, tmp_path):
    weight_files.write(tmp_path / "theirs.npz", state)
    done = script(SMALL, tmp_path / "theirs.npz", tmp_path / "ours.npz")
    assert done.returncode == 0, done.stderr
    ours = weight_files.read(tmp_path / "ours.npz")
    assert ours["params/conv3_x_rest/conv1/kernel"].shape == (1, 3, 3, 128, 128) and "batch_stats/bn1/mean" in ours
    done = script(SMALL, tmp_path / "ours.npz", tmp_path / "back.npz", "--reverse")
    assert done.returncode == 0 and same(weight_files.read(tmp_path / "back.npz"), state), done.stderr


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ((SMALL, "{}/none.npz", "{}/out.npz"), "No such file"),
        (
            ("torchvision/resnet5", "{}/none.npz", "{}/out.npz"),
            "unknown network 'torchvision/resnet5'; have torchvision/alexnet",
        ),
        (("torchvision/resnet5", "{}/none.npz", "{}/out.npz", "--reverse"), "unknown network 'torchvision/resnet5'; have"),
        ((SMALL, "{}/none.npz", "{}/no/out.npz", "--reverse"), "/no; make it first"),
        ((SMALL, "{}/theirs.npz", "{}/out.weights.h5"), "our own weights are .npz or .safetensors"),
        ((SMALL, "{}/theirs.npz", "{}/out.npz", "--seed=1"), "--seed: only a run's workdir"),
        (("torchvision/resnet34", "{}/theirs.npz", "{}/out.npz"), "missing: layer1.2.conv1.weight"),
        ((SMALL, "{}", "{}/out.npz", "--reverse"), "no run with a readable config.json"),
        ((SMALL,), "SOURCE, IN and OUT are needed"),
    ],
)
def test_a_mistake_on_the_scripts_command_line_is_one_line_and_exit_code_2(arguments, expected, state, tmp_path):
    weight_files.write(tmp_path / "theirs.npz", state)
    done = script(*(argument.format(tmp_path) for argument in arguments))
    assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not done.stdout and not list(tmp_path.glob("out*"))


@pytest.fixture
def run(tmp_path):
    """The workdir of a run of two seeds whose network is torchvision's resnet18, and the variables it ended with."""
    variables = [variables_of(SMALL), jax.tree.map(np.negative, variables_of(SMALL))]
    averages = jax.tree.map(lambda *leaves: 2 * np.stack(leaves), *(v["params"] for v in variables))
    both = jax.tree.map(lambda *leaves: np.stack(leaves), *variables)
    statistics = {"batch_stats": both["batch_stats"]}
    state = TrainState(np.zeros(2, np.int32), both["params"], statistics, {"inner": {}, "average": averages})
    with Checkpoints(epath.Path(tmp_path / "run" / "checkpoints"), 1) as checkpoints:
        checkpoints.save(7, (state, {}), 0.5, {})
    model = dict(name="resnet", depth=18, stride_in="3x3", pool="padded", scan_from=4)
    (tmp_path / "run" / "config.json").write_text(json.dumps(dict(seeds=[5, 9], model=model, data={})))
    return tmp_path / "run", variables


def test_the_parameters_that_a_run_evaluates_are_taken_of_the_seed_asked_for(run):
    workdir, variables = run
    found = weights.from_run(SMALL, epath.Path(workdir), 1)
    assert same(
        found, {"params": jax.tree.map(lambda x: 2 * x, variables[1]["params"]), "batch_stats": variables[1]["batch_stats"]}
    )


@pytest.mark.parametrize(
    "change, seed, expected",
    [
        (dict(stride_in="1x1"), 0, "with model.stride_in=1x1; to export a run, train it with --config.model.stride_in=3x3"),
        (
            dict(bn_epsilon=1e-3),
            0,
            "with model.bn_epsilon=0.001; to export a run, train it with --config.model.bn_epsilon=1e-05",
        ),
        (
            dict(depth=50, pool="ceil", stride_in="1x1"),
            0,
            ": computes something else than torchvision/resnet18, with model.depth=50, model.pool=ceil, model.stride_in=1x1; "
            "to export a run, train it with --config.model.depth=18 --config.model.pool=padded --config.model.stride_in=3x3",
        ),
        (dict(name="vgg"), 0, "run: its network is a VGG, torchvision/resnet18 is a ResNet (model.name=resnet)"),
        (dict(), 2, "--seed: 2 is none of the run's, 0 to 1"),
    ],
)
def test_a_run_that_computes_something_else_than_the_library_is_refused(run, change, seed, expected):
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
    own = [name for name, make in architectures.MODELS.items() if getattr(make, "func", make) is type(theirs)]
    for name in own:
        config = base.override(base.get_config(), {"model.name": name})

        def network(config=config):
            options = {key: value for key, value in config.model.items() if key != "name"}
            return architectures.build(config.model.name, outputs=1, **options)

        differ = weights.differences(network(), theirs)
        base.override(config, {f"model.{key}": weights.as_flag(wanted) for key, (_, wanted) in differ.items()})
        assert not weights.differences(network(), theirs)
        if convert.SOURCES[source].auxiliary is None:
            assert not getattr(network(), "auxiliary", False)


@pytest.mark.parametrize("source", ["torchvision/resnet50", "keras/ResNet50"])
def test_the_keys_that_the_readme_names_make_a_resnet_that_can_be_exported(source):
    (flags,) = re.findall(rf"`{source}`: ((?:`--config\.\S+`[, ]*)+)", README.read_text().replace("\n", " "))
    changes = dict(re.findall(r"--config\.([\w.]+)=([\w.-]+)", flags))
    config = base.override(base.override(base.get_config(), recipe("resnet")), changes)
    options = {key: value for key, value in config.model.items() if key != "name"}
    ours = architectures.build(config.model.name, outputs=1, **options)
    assert not weights.differences(ours, convert.build(source, outputs=1)) and set(changes) >= {"model.pool"}
