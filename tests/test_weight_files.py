"""Files of weights: they keep names, shapes and bits, execute nothing, and lose no array; what is
wrong is one line."""

import argparse
import zipfile

import numpy as np
import pytest

from architectures import weight_archive, weight_files


def same(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a
    )


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pth", ".weights.h5"])
def test_a_file_gives_back_names_shapes_and_bits(ending, tmp_path):
    package = {".safetensors": "safetensors", ".pth": "torch", ".weights.h5": "h5py"}.get(ending)
    if package:
        pytest.importorskip(package)
    rng = np.random.default_rng(0)
    state = {} if ending == ".weights.h5" else {"b/batches": np.zeros([], np.int64)}
    state |= {
        "a/kernel": rng.standard_normal((3, 3, 2, 4), np.float32),
        "a/bias": rng.standard_normal(4, np.float32),
    }
    state |= {
        f"b/{name}": rng.standard_normal(4, np.float32)
        for name in ("beta", "moving_mean", "moving_variance")
    }
    state |= {"c/kernel": rng.standard_normal((4, 2), np.float32).T.copy().T}
    weight_files.write(tmp_path / f"x{ending}", state)
    read = weight_files.read(tmp_path / f"x{ending}")
    assert same(read, state)


@pytest.mark.parametrize(
    "ways", [(), ("forward/", "backward/")], ids=["one direction", "both directions"]
)
def test_all_arrays_of_a_recurrent_layer_are_in_kerass_file_and_come_back(ways, tmp_path):
    pytest.importorskip("h5py")
    arrays = dict(
        kernel=np.ones([3, 16], np.float32), recurrent_kernel=np.ones([4, 16]), bias=np.arange(16.0)
    )
    state = {way + name: value for way in ways or [""] for name, value in arrays.items()}
    weight_files.write(tmp_path / "x.weights.h5", state)
    read = weight_files.read(tmp_path / "x.weights.h5")
    layer = "bidirectional" if ways else "lstm"
    assert same(read, {f"{layer}/{name}": value for name, value in state.items()})


@pytest.mark.parametrize(
    "name",
    [
        "conv1.weight",
        "b/scale",
        "b/bias",
        "lstm/recurrent_kernel",
        "a/moving_mean",
        "a/more/kernel/x",
    ],
)
def test_an_array_without_a_place_in_kerass_file_is_named_and_no_file_is_written(name, tmp_path):
    pytest.importorskip("h5py")
    state = {"a/kernel": np.zeros([3, 4], np.float32), name: np.zeros([4, 4], np.float32)}
    with pytest.raises(ValueError) as error:
        weight_files.write(tmp_path / "x.weights.h5", state)
    assert str(error.value).endswith(
        f"x.weights.h5: {name} has no place in Keras's file; use .npz, .safetensors or .pth"
    )
    assert not list(tmp_path.iterdir())


def test_a_layer_of_another_kind_in_kerass_file_is_named_and_not_passed_over(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers/attention/query_dense/vars/0"] = np.zeros([3, 4])
    with pytest.raises(
        ValueError, match="/layers/attention/query_dense/vars: layers of this kind cannot be read"
    ):
        weight_files.read(tmp_path / "x.weights.h5")


def test_an_npz_file_with_pickled_objects_is_refused_and_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    np.savez(tmp_path / "x.npz", a=np.array([Evil()], dtype=object))
    with pytest.raises(ValueError, match=r"x.npz: is not a file of plain arrays"):
        weight_files.read(tmp_path / "x.npz")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_bfloat16_values_are_read_as_what_they_are(ending, tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([1.0, -2.5, 3e38], ml_dtypes.bfloat16)
    if ending == ".npz":
        np.savez(tmp_path / "x.npz", a=values)
    else:
        pytest.importorskip("safetensors.numpy").save_file({"a": values}, tmp_path / f"x{ending}")
    read = weight_files.read(tmp_path / f"x{ending}")["a"]
    np.testing.assert_array_equal(read.astype(np.float32), values.astype(np.float32))


def test_float8_values_are_read_where_the_file_says_so_and_refused_by_name_where_not(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([1.0, -2.5, 448.0], ml_dtypes.float8_e4m3fn)
    np.savez(tmp_path / "x.npz", a=values)
    with pytest.raises(ValueError, match="x.npz: a has values of 1 bytes without a type"):
        weight_files.read(tmp_path / "x.npz")
    torch = pytest.importorskip("torch")
    tensors = {"a": torch.tensor([1.0, -2.5, 448.0]).to(torch.float8_e4m3fn)}
    pytest.importorskip("safetensors.torch").save_file(tensors, tmp_path / "x.safetensors")
    torch.save(tensors, tmp_path / "x.pth")
    for ending in (".safetensors", ".pth"):
        read = weight_files.read(tmp_path / f"x{ending}")["a"]
        np.testing.assert_array_equal(read.astype(np.float32), [1.0, -2.5, 448.0])


@pytest.mark.parametrize(
    "contents, cause",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"", "is empty"),
    ],
)
def test_what_a_file_really_is_is_said(contents, cause, tmp_path):
    for ending in (".npz", ".safetensors", ".pth.tar", ".bin", ".keras", ".onnx"):
        (tmp_path / f"x{ending}").write_bytes(contents)
        with pytest.raises(ValueError, match=f"x{ending}: {cause}"):
            weight_files.read(tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", [".npz", ".keras", ".pth"])
def test_a_zip_file_that_grows_out_of_all_proportion_is_refused_before_it_is_read(
    ending, tmp_path, monkeypatch
):
    if ending == ".pth":
        pytest.importorskip("torch")
    monkeypatch.setattr(weight_archive, "LARGE", 10**6)
    with zipfile.ZipFile(tmp_path / f"x{ending}", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.npy", "config.json", "model.weights.h5", "x/data.pkl"):
            archive.writestr(name, bytes(10**6))
    with pytest.raises(ValueError, match=f"x{ending}: expands from \\d+ bytes to 4000000; refused"):
        weight_files.read(tmp_path / f"x{ending}")


def test_the_parameters_of_a_pytorch_module_are_read_as_its_state_dict_is(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 3)
    torch.save(dict(module.named_parameters()), tmp_path / "x.pth")
    assert same(
        weight_files.read(tmp_path / "x.pth"),
        {name: v.numpy() for name, v in module.state_dict().items()},
    )


@pytest.mark.parametrize("ending", weight_files.WRITERS)
def test_where_a_file_cannot_be_written_that_is_one_line(ending, tmp_path):
    package = {".safetensors": "safetensors", ".pth": "torch", ".pt": "torch", ".h5": "h5py"}.get(
        ending
    )
    if package:
        pytest.importorskip(package)
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / f"full{ending}").symlink_to("/dev/full")
    lines = {
        f"no/x{ending}": rf"no/x{ending}: there is no folder \S*/no; make it first$",
        f"folder{ending}": f"folder{ending}: is a folder, must be a file$",
        f"full{ending}": f"full{ending}: is a device, must be a file$",
    }
    for name, expected in lines.items():
        with pytest.raises(ValueError, match=expected) as error:
            weight_files.write(tmp_path / name, {"a/kernel": np.zeros([300, 400], np.float32)})
        assert "\n" not in str(error.value)


def write_for_damage(path, ending, state):
    """A small file of this kind, of which most bytes are not values."""
    if ending == ".npz":
        np.savez_compressed(path, **state)
    elif ending == ".ckpt":  # as before PyTorch 1.6, with something beside the weights
        import torch

        tensors = {name: torch.from_numpy(value) for name, value in state.items()}
        contents = dict(state_dict=tensors, args=argparse.Namespace(lr=0.1))
        torch.save(contents, path, _use_new_zipfile_serialization=False)
    elif ending == ".keras":
        weight_files.write(path.with_suffix(".h5"), state)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", '{"config": {"layers": [{"name": "a", "config": {}}]}}')
            archive.write(path.with_suffix(".h5"), "model.weights.h5")
    elif ending == ".onnx":
        import onnx

        tensors = [onnx.numpy_helper.from_array(value, name) for name, value in state.items()]
        graph = onnx.helper.make_graph([], "g", [], [], initializer=tensors)
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    else:
        weight_files.write(path, state)


@pytest.mark.parametrize(
    "ending", [".npz", ".safetensors", ".pth", ".ckpt", ".weights.h5", ".keras", ".onnx"]
)
def test_a_file_with_damage_anywhere_is_read_or_refused_in_one_line(ending, tmp_path):
    for package in {
        ".safetensors": ["safetensors"],
        ".pth": ["torch"],
        ".ckpt": ["torch"],
        ".weights.h5": ["h5py"],
        ".keras": ["h5py"],
        ".onnx": ["onnx"],
    }.get(ending, []):
        pytest.importorskip(package)
    rng, path = np.random.default_rng(0), tmp_path / f"x{ending}"
    state = {
        "a/kernel": rng.standard_normal((3, 3, 2, 4), np.float32),
        "a/bias": rng.standard_normal(4, np.float32),
    }
    write_for_damage(path, ending, state)
    whole, refused = path.read_bytes(), 0
    for _ in range(100):
        at, damage = rng.integers(len(whole)), rng.bytes(rng.integers(1, 9))
        path.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
        try:
            weight_files.read(path)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    assert refused


@pytest.mark.parametrize(
    "name, contents, expected",
    [
        (
            "x.tar",
            b"",
            "unknown ending '.tar'; choose from .npz, .safetensors, .pth, .pt, .pth.tar, ",
        ),
        ("none.npz", None, "No such file"),
        ("x.npz", b"PK\x03\x04 cut", "x.npz: "),
        ("x.npz", b"nothing of the kind", "x.npz: is not a file of plain arrays"),
        ("x.npz", b"\x93NUMPY\x01\x00", "x.npz: is a single array"),
        ("x.safetensors", b"nothing of the kind", "x.safetensors: "),
        ("x.pth", b"nothing of the kind", "x.pth: "),
        ("x.weights.h5", b"nothing of the kind", "x.weights.h5: "),
    ],
)
def test_an_unreadable_file_is_one_line(name, contents, expected, tmp_path):
    package = {"safetensors": "safetensors", "pth": "torch", "h5": "h5py"}.get(
        name.rpartition(".")[2]
    )
    if package:
        pytest.importorskip(package)
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    with pytest.raises(ValueError) as error:
        weight_files.read(tmp_path / name)
    assert expected in str(error.value) and "\n" not in str(error.value)
