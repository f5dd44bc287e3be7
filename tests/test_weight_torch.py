"""Files as trainers of PyTorch write them: the weights are taken, what is taken is said, and no code
is run."""

import argparse
import functools
import os
import pathlib
import subprocess
import types
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

from architectures import convert, weight_files

torch = pytest.importorskip("torch")


class Settings(dict):
    """As EasyDict and CfgNode are: a dict that is a class of its own."""


def layers():
    torch.manual_seed(0)
    return torch.nn.Sequential(OrderedDict(conv=torch.nn.Conv2d(3, 4, 3), fc=torch.nn.Linear(2, 3)))


def read(tmp_path, contents, ending=".pth", state=None, **options):
    """(arrays, the lines said) of a file with these contents."""
    torch.save(contents, tmp_path / f"x{ending}", **options)
    lines = []
    arrays = weight_files.read(tmp_path / f"x{ending}", state=state, say=lines.append)
    return arrays, lines


def is_of(arrays, module, times=1):
    expected = {name: times * value.numpy() for name, value in module.state_dict().items()}
    return arrays.keys() == expected.keys() and all(
        np.array_equal(arrays[name], expected[name]) for name in expected
    )


BESIDE = {
    "arguments": dict(args=argparse.Namespace(lr=0.1, name="x")),
    "numbers of NumPy": dict(best=np.float64(0.5), epoch=np.int64(3)),
    "an array": dict(history=np.arange(3.0)),
    "a dict of its own class": dict(config=Settings(lr=0.1, inner=Settings(a=1))),
    "a defaultdict": dict(history=defaultdict(list, loss=[0.5])),
    "a path and a partial": dict(path=pathlib.Path("x"), make=functools.partial(max, 1)),
    "an optimizer": dict(optimizer={"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}),
}


@pytest.mark.parametrize("key", ["model", "net", "state_dict", "model_state_dict", "network"])
@pytest.mark.parametrize("ending", [".pth", ".pt", ".pth.tar", ".ckpt", ".bin"])
def test_the_state_is_found_under_the_usual_keys_and_endings(key, ending, tmp_path):
    module = layers()
    arrays, lines = read(tmp_path, {key: module.state_dict(), "epoch": 3}, ending)
    assert is_of(arrays, module)
    assert lines == [f"{tmp_path}/x{ending}: took the state {key}"]


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_what_trainers_write_beside_their_weights_does_not_keep_them_from_being_read(
    beside, zipped, tmp_path
):
    module = layers()
    contents = dict(model=module.state_dict()) | BESIDE[beside]
    arrays, _ = read(tmp_path, contents, _use_new_zipfile_serialization=zipped)
    assert is_of(arrays, module)


def test_of_several_states_the_usual_one_is_taken_and_the_others_are_named(tmp_path):
    module = layers()
    average = {name: 2 * value for name, value in module.state_dict().items()}
    contents = dict(model_ema=average, model=module.state_dict())
    arrays, lines = read(tmp_path, contents)
    assert is_of(arrays, module)
    assert lines == [
        f"{tmp_path}/x.pth: took the state model; use --state to choose from: model_ema"
    ]
    assert is_of(read(tmp_path, contents, state="model_ema")[0], module, times=2)
    nested = dict(ema=dict(shadow=average), state_dict=module.state_dict())
    assert is_of(read(tmp_path, nested, state="ema.shadow")[0], module, times=2)


def test_where_several_states_may_be_meant_or_another_is_asked_for_the_choices_are_named(tmp_path):
    state = layers().state_dict()
    with pytest.raises(ValueError, match="several states; use --state to choose from one, two$"):
        read(tmp_path, dict(one=state, two=state))
    with pytest.raises(ValueError, match="has no state 'three'; choose from one, two$"):
        read(tmp_path, dict(one=state, two=state), state="three")
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="x.npz: has one state; only .pth, .pt"):
        weight_files.read(tmp_path / "x.npz", state="model")


def test_what_is_not_a_tensor_is_passed_over_and_named(tmp_path):
    arrays, lines = read(tmp_path, {"epoch": 3, "weight": torch.ones(2)})
    assert [*arrays] == ["weight"]
    assert lines == [f"{tmp_path}/x.pth: ignored what is not a tensor: epoch"]


def test_a_whole_module_is_read_without_its_code(tmp_path, monkeypatch):
    name = "code_of_a_stranger"
    module = types.ModuleType(name)
    exec("import torch\nclass Net(torch.nn.Sequential): pass", module.__dict__)
    monkeypatch.setitem(__import__("sys").modules, name, module)
    net = module.Net(OrderedDict(layers().named_children()))
    torch.save(torch.nn.DataParallel(net), tmp_path / "x.pth")
    monkeypatch.delitem(__import__("sys").modules, name)
    read = weight_files.read(tmp_path / "x.pth", say=print)
    assert is_of({key.removeprefix("module."): a for key, a in read.items()}, net)


class Runs:
    """Runs a command where it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: Runs(os.system, f"touch {path}"),
        lambda path: Runs(subprocess.check_output, ["touch", str(path)]),
        lambda path: Runs(exec, f"open({str(path)!r}, 'w')"),
        lambda path: Runs(eval, f"open({str(path)!r}, 'w')"),
        lambda path: Runs(open, str(path), "w"),
        lambda path: Runs(getattr, Runs(__import__, "os"), "system"),
    ],
)
def test_a_malicious_pickle_runs_nothing_whether_its_weights_are_read_or_not(
    make, zipped, tmp_path
):
    module, path = layers(), tmp_path / "executed"
    contents = dict(args=make(path), model=module.state_dict())
    torch.save(contents, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    try:
        assert is_of(weight_files.read(tmp_path / "x.pth"), module)
    except ValueError as error:
        assert str(error).startswith(f"{tmp_path}/x.pth: cannot be read without running what it")
        assert "\n" not in str(error) and "weights_only" not in str(error)
    assert not path.exists()


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda path: torch.save([torch.zeros(2)], path), "holds no state dict"),
        (lambda path: torch.save(Runs(os.system, "true"), path), "posix.system, which was not run"),
        (lambda path: torch.jit.script(layers()).save(str(path)), "is a TorchScript archive"),
        (lambda path: path.write_bytes(b"nothing of the kind"), "was not written by torch.save"),
        (
            lambda path: torch.save({"a": torch.zeros(2).to_sparse()}, path),
            "a is sparse_coo; save its to_dense()",
        ),
        (lambda path: torch.save({"a": torch.zeros(2, device="meta")}, path), "a has no values"),
        (lambda path: torch.save({"a": torch.zeros(1).expand(10)}, path), "a has more elements"),
        (
            lambda path: torch.save(
                {"a": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, path
            ),
            "a is quantised",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_wrong_with_a_pytorch_file_is_said_without_advice_to_execute_it(
    make, expected, tmp_path
):
    make(tmp_path / "x.pth")
    with pytest.raises(ValueError) as error:
        weight_files.read(tmp_path / "x.pth")
    assert str(error.value).startswith(f"{tmp_path}/x.pth: ") and expected in str(error.value)
    assert "\n" not in str(error.value) and "weights_only" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_file_that_was_cut_off_is_said_to_be(zipped, tmp_path):
    path = tmp_path / "x.pth"
    torch.save(layers().state_dict(), path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="x.pth: was cut off"):
        weight_files.read(path)


def lstm():
    return {name: value.numpy() for name, value in torch.nn.LSTM(3, 2).state_dict().items()}


def test_what_wrappers_put_before_names_is_removed_and_said():
    state, lines = lstm(), []
    _, expected = convert.load("torch.nn/LSTM", state)
    wrapped = {f"module.model._orig_mod.{name}": value for name, value in state.items()}
    _, variables = convert.load("torch.nn/LSTM", wrapped, say=lines.append)
    found = variables["params"]["layer_1"]["cell"]
    assert all(
        np.array_equal(found[k], v) for k, v in expected["params"]["layer_1"]["cell"].items()
    )
    assert lines == ["torch.nn/LSTM: removed from the names: _orig_mod, module, model"]


def test_one_layer_is_taken_out_of_a_larger_model_by_its_name():
    state = {f"encoder.rnn.{name}": value for name, value in lstm().items()}
    state["head.weight"] = np.zeros([3, 2])
    with pytest.raises(ValueError, match="encoder.rnn has it; use --layer"):
        convert.load("torch.nn/LSTM", state)
    _, variables = convert.load("torch.nn/LSTM", state, layer="encoder.rnn")
    assert variables["params"]["layer_1"]["cell"]["input"].shape == (3, 8)
    with pytest.raises(
        ValueError, match="no name begins with 'rnn.'; there are encoder.rnn, head$"
    ):
        convert.load("torch.nn/LSTM", state, layer="rnn")
