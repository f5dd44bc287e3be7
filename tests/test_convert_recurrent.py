"""Recurrent layers of other libraries: in float32, whole, and never by a guess of what the arrays
do not show."""

import numpy as np
import pytest
from keras_files import gru

from architectures import convert


def test_a_gru_without_biases_is_refused_unless_the_place_of_its_reset_gate_is_told():
    state = dict(zip(("kernel", "recurrent_kernel"), gru(), strict=True))
    ways = {f"{way}/{name}": a for way in ("forward", "backward") for name, a in state.items()}
    for source, arrays in {"keras/GRU": state, "keras/Bidirectional": ways}.items():
        with pytest.raises(ValueError, match="pass --reset=after or --reset=before$"):
            convert.load(source, arrays)
        for reset in ("after", "before"):
            stack, variables = convert.load(source, arrays, reset=reset)
            assert stack.cell.reset == reset
            cells = str(variables)
            assert ("recurrent_bias" in cells) == (reset == "after")


@pytest.mark.parametrize("source", ["torch.nn/GRU", "keras/LSTM", "keras/SimpleRNN"])
def test_a_reset_gate_is_not_placed_in_a_layer_that_has_its_own(source):
    gates = dict(GRU=3, LSTM=4, SimpleRNN=1)[source.split("/")[1]]
    w, u = np.zeros([3, gates * 2]), np.zeros([2, gates * 2])
    state = dict(kernel=w, recurrent_kernel=u)
    if source == "torch.nn/GRU":
        state = dict(weight_ih_l0=w.T, weight_hh_l0=u.T)
    with pytest.raises(ValueError, match=f"reset: {source} fixes it; leave it out"):
        convert.load(source, state, reset="after")


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
    with pytest.raises(
        ValueError, match="torch.nn/LSTM: weight_ih_l0 is int8, weights must be floating"
    ):
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
