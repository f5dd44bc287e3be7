"""Weights out of ONNX and TensorFlow.js, and networks that are not quite the library's: read, or
refused by the true cause."""

import json

import numpy as np
import pytest

from architectures import convert, weight_files
from scripts import weights
from train.errors import BadInput

SMALL = "torchvision/resnet18"
VALUES = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def save_tfjs(folder, entries, contents, paths=("group1-shard1of1.bin",), **more):
    folder.mkdir(exist_ok=True)
    size = -(-len(contents) // len(paths))
    for i, name in enumerate(paths):
        (folder / name).write_bytes(contents[i * size : (i + 1) * size])
    manifest = [dict(paths=[*paths], weights=entries)]
    (folder / "model.json").write_text(json.dumps(dict(weightsManifest=manifest) | more))
    return folder / "model.json"


def entry(name="a/kernel", shape=(3, 4), dtype="float32", **more):
    return dict(name=name, shape=[*shape], dtype=dtype, **more)


def test_the_shards_of_tensorflow_js_are_read_as_one(tmp_path):
    entries = [entry(), entry("a/bias", [4])]
    contents = VALUES.tobytes() + VALUES[0].tobytes()
    path = save_tfjs(tmp_path, entries, contents, ("group1-shard1of2.bin", "group1-shard2of2.bin"))
    read = weight_files.read(path)
    np.testing.assert_array_equal(read["a/kernel"], VALUES)
    np.testing.assert_array_equal(read["a/bias"], VALUES[0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_quantised_arrays_of_tensorflow_js_are_multiplied_out(dtype, tmp_path):
    levels = dict(uint8=255, uint16=65535).get(dtype)
    how = dict(dtype=dtype, original_dtype="float32")
    if levels:
        how |= dict(scale=2 / levels, min=-1.0)
        stored = np.round((VALUES + 1) * levels / 2).astype(dtype)
    else:
        stored = VALUES.astype(np.float16)
    path = save_tfjs(tmp_path, [entry(quantization=how)], stored.tobytes())
    read = weight_files.read(path)["a/kernel"].astype(np.float32)
    assert np.abs(read - VALUES).max() <= (1 / levels if levels else 1e-3)


@pytest.mark.parametrize(
    "change, expected",
    [
        (dict(entries=[entry(shape=[3, 5])]), "a/kernel ends beyond the shards"),
        (dict(entries=[entry(shape=[3, 2])]), "its shards hold 48 bytes, must be 24"),
        (dict(entries=[entry(shape=[-3, 4])]), "a/kernel is float32 of shape [-3, 4]"),
        (dict(entries=[entry(dtype="string")]), "a/kernel is string"),
        (dict(entries=[{}]), "is not a model.json of TensorFlow.js"),
        (dict(paths=("../outside.bin",)), "its shard '../outside.bin' is not a file beside it"),
        (dict(gone=True), "its shard group1-shard1of1.bin is missing"),
        (dict(text="{"), "is not a model.json of TensorFlow.js"),
        (dict(text="[" * 100_000), "is damaged, or its ending is wrong"),
    ],
)
def test_what_is_wrong_with_a_model_of_tensorflow_js_is_one_line(change, expected, tmp_path):
    path = save_tfjs(
        tmp_path / "in",
        change.get("entries", [entry()]),
        VALUES.tobytes(),
        change.get("paths", ("group1-shard1of1.bin",)),
    )
    if "text" in change:
        path.write_text(change["text"])
    if "gone" in change:
        (path.parent / "group1-shard1of1.bin").unlink()
    with pytest.raises(ValueError) as error:
        weight_files.read(path)
    assert str(error.value).startswith(f"{path}: ") and expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["group1-shard1of2.bin", "group1-shard1of2"])
def test_a_shard_given_in_the_place_of_its_model_is_told_from_other_files(name, tmp_path):
    with pytest.raises(ValueError, match="is a shard of TensorFlow.js; give the model.json"):
        weight_files.read(tmp_path / name)


def onnx_model(*tensors):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "g", [], [], initializer=tensors)
    return onnx.helper.make_model(graph).SerializeToString()


def test_onnxs_initialisers_are_read_by_their_names(tmp_path):
    numpy_helper = pytest.importorskip("onnx.numpy_helper")
    (tmp_path / "x.onnx").write_bytes(onnx_model(numpy_helper.from_array(VALUES, "fc.weight")))
    read = weight_files.read(tmp_path / "x.onnx")
    assert [*read] == ["fc.weight"] and np.array_equal(read["fc.weight"], VALUES)


def test_onnxs_values_in_other_files_and_folded_ones_are_refused_by_name(tmp_path):
    onnx = pytest.importorskip("onnx")
    outside = onnx.TensorProto(name="a", dims=[3], data_type=1, data_location=1)
    outside.external_data.add(key="location", value="/etc/passwd")
    folded = onnx.numpy_helper.from_array(VALUES, "onnx::Conv_193")
    for tensor, expected in (
        (outside, "a is in another file"),
        (folded, "onnx::Conv_193 was comp"),
    ):
        (tmp_path / "x.onnx").write_bytes(onnx_model(tensor))
        with pytest.raises(ValueError, match=f"x.onnx: {expected}"):
            weight_files.read(tmp_path / "x.onnx")
    for contents in (b"nothing of the kind", onnx_model()):
        (tmp_path / "x.onnx").write_bytes(contents)
        with pytest.raises(ValueError, match=r"x.onnx: (is damaged|has no initialisers)"):
            weight_files.read(tmp_path / "x.onnx")


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(0)
    module = convert.build(SMALL, 3)
    shapes = convert._shapes(module)
    tensors = convert.weight_tensors.tensors(SMALL, module, shapes)
    return {t.theirs: rng.standard_normal(t.shape, np.float32) for t in tensors}


def test_a_network_for_images_of_one_channel_is_read_and_written(state):
    grey = state | {"conv1.weight": state["conv1.weight"][:, :1]}
    _, variables = convert.load(SMALL, grey)
    assert variables["params"]["conv1"]["kernel"].shape == (7, 7, 1, 64)
    back = convert.save(SMALL, variables)
    assert np.array_equal(back["conv1.weight"], grey["conv1.weight"])


def test_a_network_without_its_classifier_or_with_another_one_is_refused_by_that(state):
    headless = {name: a for name, a in state.items() if not name.startswith("fc.")}
    with pytest.raises(ValueError, match="no fc.weight .*: the file has no classifier .*=False or"):
        convert.load(SMALL, headless)
    other = headless | {"fc.1.weight": state["fc.weight"], "fc.1.bias": state["fc.bias"]}
    with pytest.raises(ValueError, match=r"the file has another classifier, fc.1.weight "):
        convert.load(SMALL, other)


def test_a_network_in_a_larger_model_is_taken_by_its_name_alone(state):
    inside = {f"backbone.{name}": a for name, a in state.items()}
    larger = inside | {"loss.weight": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match="backbone has it; use --layer to choose one$"):
        convert.load(SMALL, larger)
    lines = []
    for whole, layer in ((larger, "backbone"), (inside, None)):
        _, variables = convert.load(SMALL, whole, layer=layer, say=lines.append)
        expected = convert.load(SMALL, state)[1]["params"]["fc"]["kernel"]
        assert np.array_equal(variables["params"]["fc"]["kernel"], expected)
    assert lines == [f"{SMALL}: removed from the names: backbone"]


def test_numbers_beyond_float32_are_refused_by_name(state):
    with pytest.raises(ValueError, match="fc.bias has values beyond float32"):
        convert.load(SMALL, state | {"fc.bias": np.full(3, 1e300)})


def test_the_scripts_flags_choose_state_and_layer_and_say_what_was_taken(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    average = {f"rnn.{k}": v for k, v in torch.nn.GRU(3, 2).state_dict().items()}
    torch.save({"model_ema": average, "model": {"a": torch.zeros(2)}}, tmp_path / "x.pth")
    files = ["torch.nn/GRU", str(tmp_path / "x.pth"), str(tmp_path / "x.npz")]
    assert weights.main([*files, "--state=model_ema", "--layer=rnn"]) == 0
    assert f"{tmp_path}/x.pth: took the state model_ema" in capsys.readouterr().err
    ours = weight_files.read(tmp_path / "x.npz")
    assert np.array_equal(ours["params/layer_1/cell/input"], average["rnn.weight_ih_l0"].numpy().T)
    with pytest.raises(BadInput, match="has no weight_ih_l0 among 1 names"):
        weights.main(files)
    with pytest.raises(BadInput, match="--layer: is for another library's file, not with"):
        weights.main([*files, "--reverse", "--layer=rnn"])
