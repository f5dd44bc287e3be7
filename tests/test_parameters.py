"""Ordinary Python in a file of one's own: annotations and defaults become keys, and text is read in
one way."""

import json

import pytest

from configs import base, load
from train.errors import BadInput

STYLES = """
import dataclasses
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union
import flax.linen as nn
import numpy as np
from configs import base
from train.duration import Duration

if TYPE_CHECKING:
    from elsewhere import Unknown

{made}

def get_config():
    base.TABLES["{kind}"]["mine"] = mine
    return base.override(base.get_config(), {{"{kind}.name": "mine"}})
"""
PARAMETERS = {  # annotation and default -> the value, and what a text of the command line gives
    "a: Optional[int] = None": (None, "3", 3),
    "b: int | None = None": (None, "3", 3),
    "c: Union[float, None] = 2": (2.0, "none", None),
    "d: tuple[int, ...] | None = None": (None, "(3, 4)", (3, 4)),
    "e: Optional[Tuple[float, float]] = None": (None, "0.5,2", (0.5, 2)),
    "f: int = np.int64(10)": (10, "3", 3),
    "g: float = np.float32(0.5)": (0.5, "1", 1.0),
    "h: bool = np.bool_(True)": (True, "false", False),
    "i: float = 1": (1.0, "0.5", 0.5),
    "j: Duration = 5": (5, "3 epochs", "3 epochs"),
    "k: Optional[Union[int, str]] = None": (None, "7", 7),
    "l: Optional[str] = None": (None, "word", "word"),
    "m: str | None = 'word'": ("word", "none", None),
    "n: 'Unknown' = 3": (3, "4", 4),
    "o: Any = (np.int32(1), 2)": ((1, 2), "5", (5,)),
    "p: List[int] | None = None": (None, "1,2", (1, 2)),
    "q: str = 'none'": ("none", "none", "none"),
}
KINDS = ("model", "data", "task", "optim", "schedule")
AS = {  # ways in which a file makes an entry
    "function": "def mine(*, {0}, **others):\n    pass",
    "class": "class mine:\n    def __init__(self, {0}):\n        pass",
    "dataclass": "@dataclasses.dataclass(frozen=True)\nclass mine:\n    {1}",
    "module": "class mine(nn.Module):\n    {1}",
}


@pytest.fixture
def file_with(tmp_path, monkeypatch):
    """A function that writes a file with an entry of its own, and gives its name."""

    def write(kind, made, *head):
        monkeypatch.setitem(base.TABLES[kind], "mine", None)  # so that it goes again
        file = tmp_path / "own.py"
        file.write_text("\n".join([*head, STYLES.format(kind=kind, made=made)]))
        return str(file)

    return write


@pytest.mark.parametrize("future", [True, False])
@pytest.mark.parametrize(
    ("kind", "way"),
    [("model", "module"), *((kind, way) for kind in KINDS for way in AS if way != "module")],
)
def test_ordinary_annotations_and_defaults_become_keys_and_are_set_by_text(
    file_with, kind, way, future
):
    written = AS[way].format(", ".join(PARAMETERS), "\n    ".join(PARAMETERS))
    head = ["from __future__ import annotations"] if future else []
    file = file_with(kind, written, *head)
    keys = {f"{kind}.{text[0]}": case for text, case in PARAMETERS.items()}
    flat = base.flatten(load.load(file)[1])
    assert {key: flat[key] for key in keys} == {key: case[0] for key, case in keys.items()}
    assert {key: type(flat[key]) for key in keys} == {key: type(c[0]) for key, c in keys.items()}
    config = load.load(file, {key: case[1] for key, case in keys.items()})[1]
    flat = base.flatten(config)
    assert {key: flat[key] for key in keys} == {key: case[2] for key, case in keys.items()}
    json.loads(load.as_json(config))


@pytest.mark.parametrize("way", ["dataclass", "module"])
def test_a_default_factory_gives_the_default_and_a_list_is_a_tuple(file_with, way):
    field = "n: list = dataclasses.field(default_factory=lambda: [1, 2])"
    file = file_with("model", AS[way].format("", field))
    assert load.load(file)[1].model.n == (1, 2)
    assert load.load(file, {"model.n": "3,4"})[1].model.n == (3, 4)


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("n: int", "model.n: a key needs a default; the default of a key is a number"),
        ("n=None", "model.n: its default is None, and its type is not said; the default"),
        ("n: Unknown | None = None", "model.n: its default is None, and its type is not said"),
        ("n: int | float | None = None", "model.n: its default is None, and its type is not said"),
        ("n: Any = nn.relu", "model.n: its default is a "),
        ("n: Any = np.float32", "model.n: its default is a type; the default of a key"),
        ("n: Any = np.arange(3)", "model.n: its default is a ndarray; the default of a key"),
        ("n: dict = {}", "model.n: its default is a dict; the default of a key"),
    ],
)
def test_a_parameter_that_cannot_be_a_key_is_one_line_that_says_the_rule(
    file_with, parameter, says
):
    made = AS["function"].format(parameter)
    file = file_with("model", made, "from __future__ import annotations")
    with pytest.raises(BadInput) as error:
        load.load(file)
    assert says in str(error.value) and "int | None" in str(error.value)


def test_numpys_numbers_and_lists_in_a_file_are_plain_numbers_and_tuples_in_the_config(tmp_path):
    file = tmp_path / "numpys.py"
    body = """
    c = base.get_config()
    c.seeds = tuple(np.arange(3))
    c.model.c3 = np.str_("dense")
    return base.override(c, {"optim.lr": np.float32(0.5), "data.distort": list(np.ones(4)),
                             "optim.steps": np.int64(7)})
"""
    file.write_text(f"import numpy as np\nfrom configs import base\n\ndef get_config():{body}")
    config = load.load(str(file))[1]
    values = (config.seeds, config.optim.lr, config.data.distort, config.optim.steps)
    assert values == ((0, 1, 2), 0.5, (1.0,) * 4, 7)
    assert type(config.seeds[0]) is int and type(config.model.c3) is str
    json.loads(load.as_json(config))


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("x=false", True, False),
        ("x=True", False, True),
        ("x=3", None, 3),
        ("x=0.5", None, 0.5),
        ("x=word", None, "word"),
        ("x=none", None, None),
        ("", None, None),
        ("x=3,4", (1, 2), (3, 4)),
        ("x=(3, 4),y=5", (), (3, 4)),
        ("y=5,x=a", ("b",), ("a",)),
        ("x=none", "additive", "none"),
        ("x=7", 1, 7),
        ("x=7", 1.0, 7.0),
    ],
)
def test_an_argument_after_the_colon_is_read_as_a_key_with_that_default_is(text, default, value):
    read = load.arguments(text, x=default, y=1)["x"]
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x=maybe", "argument x: 'maybe' must be true or false"),
        ("x", "argument x: needs a value: x=VALUE"),
        ("x=none", "argument x: none is not possible"),
        ("xx=true", "unknown argument 'xx'; "),
    ],
)
def test_an_argument_that_cannot_be_read_is_refused_with_what_it_must_be(text, says):
    with pytest.raises(BadInput) as error:
        load.arguments(text, x=True)
    assert says in str(error.value)
