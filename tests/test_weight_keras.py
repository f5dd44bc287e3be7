"""Keras's files: whole models and models in models are read, what a file points to is not, and what
the file says of a layer is heeded."""

import zipfile

import numpy as np
import pytest
from keras_files import KERNEL, gru, layer_of, model_of, save_keras, write_new, write_old

from architectures import convert, weight_files

h5py = pytest.importorskip("h5py")


def test_a_model_in_a_model_is_read_under_its_name(tmp_path):
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        write_new(file, {("inner", "dense"): [KERNEL], ("head",): [KERNEL, KERNEL[0]]})
    read = weight_files.read(tmp_path / "x.weights.h5")
    assert {*read} == {"my_inner/my_dense/kernel", "my_head/kernel", "my_head/bias"}
    with h5py.File(tmp_path / "old.h5", "w") as file:
        inner = {"inner/conv/kernel": KERNEL, "inner/norm/gamma": KERNEL[0]}
        write_old(file.create_group("model_weights"), dict(inner=inner, head={"head/bias": KERNEL}))
    read = weight_files.read(tmp_path / "old.h5")
    assert {*read} == {"inner/conv/kernel", "inner/norm/gamma", "head/bias"}


def test_a_whole_keras_model_is_read_and_its_optimizer_is_not(tmp_path):
    def write(file):
        write_new(file, {("dense",): [KERNEL]})
        file["optimizer/vars/0"] = KERNEL

    save_keras(tmp_path / "x.keras", model_of(layer_of("Dense", "my_dense")), write)
    assert {*weight_files.read(tmp_path / "x.keras")} == {"my_dense/kernel"}
    (tmp_path / "x.hdf5").write_bytes((tmp_path / "x.h5").read_bytes())
    assert {*weight_files.read(tmp_path / "x.hdf5")} == {"my_dense/kernel"}


def test_a_batch_norms_variables_have_the_names_that_the_file_gives_them(tmp_path):
    """One without beta has as many as one without gamma."""
    names = [f"norm/{name}" for name in ("gamma", "moving_mean", "moving_variance")]
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_old(file, {"norm": {name: np.ones(3) for name in names}})
    assert [*weight_files.read(tmp_path / "x.h5")] == names


def external_storage(file, secret):
    file.create_dataset("layers/dense/vars/0", (3, 4), "f4", external=[(secret, 0, 48)])


def virtual(file, secret):
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource(secret, "a", (3, 4))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def external_link(file, secret):
    file["layers/dense/vars/0"] = h5py.ExternalLink(secret, "a")


def soft_link(file, secret):
    file["away"] = h5py.ExternalLink(secret, "/")
    file["layers/dense/vars/0"] = h5py.SoftLink("/away/a")


def group_link(file, secret):
    file["layers"] = h5py.ExternalLink(secret, "/layers")


def never_written(file, secret):
    file.create_dataset("layers/dense/vars/0", (10**6, 10**6), "f4")


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".keras"])
@pytest.mark.parametrize(
    "make, expected",
    [
        (external_storage, "is in external storage; only values of the file itself are read"),
        (virtual, "is a virtual data set; only values of the file itself are read"),
        (external_link, r"is a link, to \S*secret.h5:a; only values"),
        (soft_link, "away is a link, to "),
        (group_link, "layers is a link, to "),
        (never_written, "has a shape but no values"),
    ],
)
def test_an_hdf5_file_that_points_elsewhere_is_refused(make, expected, ending, tmp_path):
    secret = str(tmp_path / "secret.h5")
    with h5py.File(secret, "w") as file:
        file["a"] = KERNEL
        write_new(file, {("dense",): [KERNEL]})

    def write(file):
        write_new(file, {("head",): [KERNEL]}) if make is not group_link else None
        make(file, secret)
        file.require_group("layers/dense/vars").attrs["name"] = (
            "dense" if make is not group_link else ""
        )

    if ending == ".keras":
        save_keras(tmp_path / "x.keras", model_of(), write)
    else:
        with h5py.File(tmp_path / f"x{ending}", "w") as file:
            write(file)
    with pytest.raises(ValueError, match=f"x{ending}: .*{expected}") as error:
        weight_files.read(tmp_path / f"x{ending}")
    assert "\n" not in str(error.value)


def test_a_compressed_data_set_that_grows_out_of_all_proportion_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("architectures.weight_archive.LARGE", 10**6)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        zeros = np.zeros([1000, 1000], np.float32)
        file.create_dataset("layers/dense/vars/0", data=zeros, compression="gzip")
    with pytest.raises(ValueError, match="layers/dense/vars/0 expands from"):
        weight_files.read(tmp_path / "x.h5")


@pytest.mark.parametrize("name", ["../config.json", "/etc/passwd", "model.weights.h5/../../x"])
def test_nothing_of_a_keras_file_is_written_anywhere(name, tmp_path):
    (tmp_path / "in").mkdir()
    save_keras(tmp_path / "in" / "x.keras", model_of(), write_new, {("dense",): [KERNEL]})
    with zipfile.ZipFile(tmp_path / "in" / "x.keras", "a") as archive:
        archive.writestr(name, "{}")
    before = {*tmp_path.rglob("*")}
    assert {*weight_files.read(tmp_path / "in" / "x.keras")} == {"my_dense/kernel"}
    assert {*tmp_path.rglob("*")} == before


@pytest.mark.parametrize("config", ["[" * 100_000, "{}", "[1]", '{"config": {"layers": [3]}}', ""])
def test_a_configuration_that_makes_no_sense_is_one_line(config, tmp_path):
    save_keras(tmp_path / "y.keras", model_of(), write_new, {("dense",): [KERNEL]})
    with zipfile.ZipFile(tmp_path / "x.keras", "w") as archive:
        archive.writestr("config.json", config)
        archive.write(tmp_path / "y.h5", "model.weights.h5")
    with pytest.raises(ValueError, match="x.keras: the configuration of its model cannot be read$"):
        weight_files.read(tmp_path / "x.keras")


def test_a_whole_model_says_where_the_reset_gate_of_its_gru_is(tmp_path):
    for after in (True, False):
        layer = layer_of("GRU", "my_gru", activation="tanh", reset_after=after, use_bias=False)
        both = layer_of("Bidirectional", "my_gru", merge_mode="concat", layer=layer)
        save_keras(tmp_path / "x.keras", model_of(layer), write_new, {("gru",): gru()})
        stack, _ = convert.load("keras/GRU", tmp_path / "x.keras")
        assert stack.cell.reset == ("after" if after else "before")
        wrong = "before" if after else "after"
        with pytest.raises(ValueError, match=f"reset: the file says '{stack.cell.reset}', not"):
            convert.load("keras/GRU", tmp_path / "x.keras", reset=wrong)
        save_keras(tmp_path / "x.keras", model_of(both), write_new, {("gru",): gru()})
        stack, _ = convert.load("keras/GRU", tmp_path / "x.keras", layer="my_gru")
        assert stack.cell.reset == ("after" if after else "before")


@pytest.mark.parametrize(
    "config, expected",
    [
        (dict(recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (dict(inner_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (dict(activation="relu"), "activation='relu'; our layer computes 'tanh'"),
        (dict(go_backwards=True), "go_backwards=True"),
    ],
)
def test_a_layer_that_computes_something_else_is_refused_by_what_differs(
    config, expected, tmp_path
):
    layer = layer_of("GRU", "my_gru", **config)
    save_keras(tmp_path / "x.keras", model_of(layer), write_new, {("gru",): gru()})
    with pytest.raises(ValueError, match=f"keras/GRU: my_gru has {expected}"):
        convert.load("keras/GRU", tmp_path / "x.keras", reset="after")


def test_an_elman_network_of_a_whole_model_has_the_activation_that_the_model_says(tmp_path):
    layer = layer_of("SimpleRNN", "my_rnn", activation="relu")
    arrays = [np.zeros([12, 12], np.float32)] * 2
    save_keras(tmp_path / "x.keras", model_of(layer), write_new, {("rnn",): arrays})
    assert convert.load("keras/SimpleRNN", tmp_path / "x.keras")[0].cell.activation == "relu"


@pytest.mark.parametrize(
    "version, refused", [("2.2.4-tf", True), ("1.2.2", True), ("2.3.1", False)]
)
def test_gates_of_old_keras_are_refused_unless_told_to_be_sigmoid(version, refused, tmp_path):
    names = {"gru/kernel": gru()[0], "gru/recurrent_kernel": gru()[1], "gru/bias": np.zeros(12)}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        write_old(file, {"gru": names}, version)
    if refused:
        with pytest.raises(
            ValueError, match=f"was written by Keras {version}, whose gates are 'hard_"
        ):
            convert.load("keras/GRU", tmp_path / "x.h5")
    convert.load("keras/GRU", tmp_path / "x.h5", recurrent_activation="sigmoid")
    with pytest.raises(ValueError, match="only 'sigmoid' is supported, not 'hard_sigmoid'"):
        convert.load("keras/GRU", tmp_path / "x.h5", recurrent_activation="hard_sigmoid")
