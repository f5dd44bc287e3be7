"""Files of weights: they keep names, shapes and bits, execute nothing, and lose no array; what is
wrong is one line."""

import numpy as np
import pytest

from architectures import weight_files


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
        f"x.weights.h5: {name} has no place in Keras's file; write .npz, .safetensors or .pth"
    )
    assert not list(tmp_path.iterdir())


def test_a_layer_of_another_kind_in_kerass_file_is_named_and_not_passed_over(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file["layers/functional/layers/dense/vars/0"] = np.zeros([3, 4])
    with pytest.raises(
        ValueError, match="/layers/functional/layers/dense/vars: a layer of this kind is not read"
    ):
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
            f"{path}: is no state dict of arrays; it was cut off, is of another kind, or holds "
            "more, as a whole module does "
            "(save its state_dict() alone)"
        )


def test_the_parameters_of_a_pytorch_module_are_read_as_its_state_dict_is(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Linear(2, 3)
    torch.save(dict(module.named_parameters()), tmp_path / "x.pth")
    assert same(
        weight_files.read(tmp_path / "x.pth"),
        {name: v.numpy() for name, v in module.state_dict().items()},
    )


@pytest.mark.parametrize("ending", weight_files.ENDINGS)
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
        f"full{ending}": f"full{ending}: .+",
    }
    if ending == ".safetensors":  # puts a new file in the place of the device
        lines.popitem()
    for name, expected in lines.items():
        with pytest.raises(ValueError, match=expected) as error:
            weight_files.write(tmp_path / name, {"a/kernel": np.zeros([300, 400], np.float32)})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pth", ".weights.h5"])
def test_a_file_with_damage_anywhere_is_read_or_refused_in_one_line(ending, tmp_path):
    package = {".safetensors": "safetensors", ".pth": "torch", ".weights.h5": "h5py"}.get(ending)
    if package:
        pytest.importorskip(package)
    rng, path = np.random.default_rng(0), tmp_path / f"x{ending}"
    state = {
        "a/kernel": rng.standard_normal((3, 3, 2, 4), np.float32),
        "a/bias": rng.standard_normal(4, np.float32),
    }
    np.savez_compressed(path, **state) if ending == ".npz" else weight_files.write(path, state)
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
        ("x.tar", b"", "unknown ending '.tar'; have .npz, .safetensors, .pth, .pt, .h5"),
        ("none.npz", None, "No such file"),
        ("x.npz", b"PK\x03\x04 cut", "x.npz: "),
        ("x.npz", b"nothing of the kind", "x.npz: no file of plain arrays"),
        ("x.npz", b"\x93NUMPY\x01\x00", "x.npz: no file of plain arrays"),
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
