"""Keras's files: whole models and models in models are read, what a file points to is not, and what
the file says of a layer is heeded."""

import json
import zipfile

import numpy as np
import pytest

from architectures import convert, weight_files

h5py = pytest.importorskip("h5py")
KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def model_of(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": [*layers]}}


def layer_of(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def write_new(file, arrays):
    """Keras 3's file of {("name", ...): arrays}; several names: models in models."""
    for path, values in arrays.items():
        group = "/".join(f"layers/{name}" for name in path)
        for i in range(len(path)):
            place = "/".join(f"layers/{name}" for name in path[: i + 1])
            file.require_group(f"{place}/vars").attrs["name"] = f"my_{path[i]}"
        cell = "cell/" if len(values) and values[0].shape[1:] == (12,) else ""
        for i, value in enumerate(values):
            file[f"{group}/{cell}vars/{i}"] = value


def write_old(file, names, version="2.2.4"):
    """Keras 2's of {layer: {variable's name: array}}."""
    file.attrs["keras_version"], file.attrs["layer_names"] = version, [*names]
    for layer, arrays in names.items():
        group = file.create_group(layer)
        group.attrs["weight_names"] = [f"{name}:0" for name in arrays]
        for name, value in arrays.items():
            group[f"{name}:0"] = value


def save_keras(path, config, write, *arguments):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        write(file, *arguments)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(path.with_suffix(".h5"), "model.weights.h5")


def gru(units=4, inputs=3):
    rng = np.random.default_rng(0)
    shapes = [(inputs, 3 * units), (units, 3 * units)]
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


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
    with pytest.raises(ValueError, match="layers/dense/vars/0 grows from"):
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


def test_a_gru_without_biases_is_refused_unless_the_place_of_its_reset_gate_is_told():
    state = dict(zip(("kernel", "recurrent_kernel"), gru(), strict=True))
    ways = {f"{way}/{name}": a for way in ("forward", "backward") for name, a in state.items()}
    for source, arrays in {"keras/GRU": state, "keras/Bidirectional": ways}.items():
        with pytest.raises(ValueError, match="say --reset=after or --reset=before$"):
            convert.load(source, arrays)
        for reset in ("after", "before"):
            stack, variables = convert.load(source, arrays, reset=reset)
            assert stack.cell.reset == reset
            cells = str(variables)
            assert ("recurrent_bias" in cells) == (reset == "after")


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


@pytest.mark.parametrize("source", ["torch.nn/GRU", "keras/LSTM", "keras/SimpleRNN"])
def test_a_reset_gate_is_not_placed_in_a_layer_that_has_its_own(source):
    gates = dict(GRU=3, LSTM=4, SimpleRNN=1)[source.split("/")[1]]
    w, u = np.zeros([3, gates * 2]), np.zeros([2, gates * 2])
    state = dict(kernel=w, recurrent_kernel=u)
    if source == "torch.nn/GRU":
        state = dict(weight_ih_l0=w.T, weight_hh_l0=u.T)
    with pytest.raises(ValueError, match=f"reset: {source} has its own"):
        convert.load(source, state, reset="after")


@pytest.mark.parametrize(
    "config, expected",
    [
        (dict(recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (dict(inner_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (dict(activation="relu"), "activation='relu'; ours computes 'tanh'"),
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
        with pytest.raises(ValueError, match=f"Keras {version} wrote this, whose gates are 'hard_"):
            convert.load("keras/GRU", tmp_path / "x.h5")
    convert.load("keras/GRU", tmp_path / "x.h5", recurrent_activation="sigmoid")
    with pytest.raises(ValueError, match="computes 'sigmoid' alone, not 'hard_sigmoid'"):
        convert.load("keras/GRU", tmp_path / "x.h5", recurrent_activation="hard_sigmoid")


@pytest.mark.parametrize("kind, gates", [("LSTM", 4), ("GRU", 3)])
def test_cudnns_layouts_are_read_as_the_layer_that_computes_the_same(kind, gates):
    """CuDNN reads each gate's values as a [units, inputs] matrix, and has two biases in a row."""
    rng, units, inputs = np.random.default_rng(0), 2, 3
    w = rng.standard_normal((gates, units, inputs), np.float32)
    u = rng.standard_normal((gates, units, units), np.float32)
    biases = rng.standard_normal((2, gates * units), np.float32)
    state = dict(
        kernel=np.concatenate([gate.reshape(inputs, units) for gate in w], 1),
        recurrent_kernel=np.concatenate([gate.reshape(units, units) for gate in u], 1),
        bias=biases.reshape(-1),
    )
    plain = dict(
        kernel=np.concatenate([gate.T for gate in w], 1),
        recurrent_kernel=np.concatenate([gate.T for gate in u], 1),
        bias=biases if kind == "GRU" else biases.sum(0),
    )
    found, expected = (
        convert.load(f"keras/{kind}", arrays)[1]["params"]["layer_1"]["cell"]
        for arrays in (state, plain)
    )
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("source", ["torch.nn/LSTM", "keras/GRU"])
def test_recurrent_layers_are_float32_and_their_biases_are_summed_in_it(source, dtype):
    if source == "keras/GRU":
        w, u = gru()
        state = dict(kernel=w, recurrent_kernel=u, bias=np.full([2, 12], 2049.0))
    else:
        state = dict(weight_ih_l0=np.ones([8, 3]), weight_hh_l0=np.ones([8, 2]))
        state |= dict(bias_ih_l0=np.full(8, 2048.0), bias_hh_l0=np.full(8, 1.0))
    state = {name: a.astype(dtype) for name, a in state.items()}
    cell = convert.load(source, state)[1]["params"]["layer_1"]["cell"]
    assert {a.dtype for a in cell.values()} == {np.dtype(np.float32)}
    if source == "torch.nn/LSTM":
        np.testing.assert_array_equal(cell["bias"], 2049.0)  # in half: 2048


def test_arrays_of_whole_numbers_are_not_taken_for_weights():
    state = dict(weight_ih_l0=np.ones([8, 3], np.int8), weight_hh_l0=np.ones([8, 2], np.int8))
    with pytest.raises(ValueError, match="torch.nn/LSTM: weight_ih_l0 is int8, weights are float"):
        convert.load("torch.nn/LSTM", state)


@pytest.mark.parametrize("gone", ["bias_ih_l1", "bias_hh_l1", "weight_hh_l1", "both biases"])
def test_a_state_of_which_a_part_is_missing_is_refused_by_name(gone):
    shapes = dict(weight_ih_l0=[8, 3], weight_hh_l0=[8, 2], bias_ih_l0=[8], bias_hh_l0=[8])
    shapes |= dict(weight_ih_l1=[8, 2], weight_hh_l1=[8, 2], bias_ih_l1=[8], bias_hh_l1=[8])
    names = ["bias_ih_l1", "bias_hh_l1"] if gone == "both biases" else [gone]
    state = {name: np.zeros(shape) for name, shape in shapes.items() if name not in names}
    with pytest.raises(ValueError, match=f"torch.nn/LSTM: has no {names[0]}$"):
        convert.load("torch.nn/LSTM", state)


def test_biases_of_one_direction_alone_are_refused():
    w, u = gru()
    state = {
        f"{way}/{name}": a
        for way in ("forward", "backward")
        for name, a in dict(kernel=w, recurrent_kernel=u, bias=np.zeros([2, 12])).items()
    }
    del state["backward/bias"]
    with pytest.raises(ValueError, match="only one direction has a bias"):
        convert.load("keras/Bidirectional", state, reset="after")


def test_a_projected_lstm_is_refused_by_its_cause():
    state = dict(weight_ih_l0=np.zeros([8, 3]), weight_hh_l0=np.zeros([8, 1]))
    with pytest.raises(ValueError, match="weight_hr_l0 is a projection"):
        convert.load("torch.nn/LSTM", state | dict(weight_hr_l0=np.zeros([1, 2])))
