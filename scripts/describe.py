"""A model's layers: output shapes, parameters, multiply-adds, receptive fields, and known counts.

python -m scripts.describe MODEL [--KEY=VALUE ...] [--outputs=N]
    [--image=HxWxC | --sequence=TxI | --tokens=TxV | --pair=SxT] [--levels=N] [--csv]

KEY is a hyper-parameter of MODEL, one of architectures.MODELS. Multiply-adds are those of one
example's evaluation. Receptive fields are in pixels a side (height x width where they differ).
Padding counts in both. Nothing is computed, only traced.
"""

import csv
import pathlib
import re
import signal
import sys

import jax
from ml_collections import ConfigDict

import architectures
from configs import base
from train import anatomy
from train.errors import BadInput, Parser, exit_with

# counts of whole models, and, where the column `layer` says so, of layers
COUNTS = pathlib.Path(__file__).parent / "counts.csv"
COLUMNS = ("layer", "times", "output", "parameters", "multiply-adds", "receptive field", "stride")
NEUTRAL = (  # hyper-parameters that no count depends on
    *(
        "activation",
        "auxiliary_dropout",
        "bias",
        "bn_epsilon",
        "bn_momentum",
        "dropout",
        "forget_bias",
        "gate_bias",
    ),
    *("initialiser", "remat", "scan_from", "shortcut_dropout"),
)


def hyperparameters(name: str, changes: dict[str, str]) -> dict:
    """All hyper-parameters of the model `name`, some changed by text as on the command line.

    Raises BadInput, naming the key.
    """
    section = base.section("model", name)
    have = [key for key in section if key != "name"]
    for key in changes:
        if key not in have:
            raise BadInput(f"--{key}: no hyper-parameter of {name}; {base.nearest(key, have)}")
    config = base.override(
        ConfigDict(dict(model=section)), {f"model.{key}": text for key, text in changes.items()}
    )
    return {key: value for key, value in config.model.items() if key != "name"}


def describe(model, shape: tuple[int, ...], levels: int = 0) -> anatomy.Anatomy:
    """`anatomy.anatomy`, with BadInput, one line, for refused hyper-parameters or shapes."""
    try:
        return anatomy.anatomy(model, shape, levels)
    except (ValueError, OverflowError) as error:
        raise BadInput(str(error).splitlines()[0]) from error


def default_outputs(name: str, options: dict, symbols: int | None) -> int:
    """The number of outputs that a model gets without --outputs.

    1000, as in ImageNet, where the model takes large images; 30,000, as in Bahdanau et al. 2014,
    for pairs; for a stream of tokens, where the next one is predicted, its symbols; else 10.
    """
    shown = kind(architectures.takes(name))
    if shown == "pair":
        return 30_000
    if symbols is not None and "stream" in architectures.takes(name):
        return symbols
    return 1000 if shown == "image" and build(name, 10, options).image[0] > 32 else 10


def build(name: str, outputs: int, options: dict, symbols: int | None = None):
    """The model, for `symbols` tokens if given; for pairs, both vocabularies have one size."""
    symbols = outputs if "pair" in architectures.takes(name) else symbols
    return architectures.build(
        name, outputs=outputs, **options, **({} if symbols is None else {"symbols": symbols})
    )


def kind(takes: tuple[str, ...]) -> str:
    """The kind of input for a model that takes these: "image", "pair" or "sequence".

    A sequence has real vectors or tokens.
    """
    return next((kind for kind in ("image", "pair") if kind in takes), "sequence")


NUMBERS = dict(image=3, sequence=2, tokens=2, pair=2)  # in a flag's value


def default_shape(model) -> tuple[int, ...]:
    return dict(image=getattr(model, "image", None), sequence=(50, 1), pair=(50, 50))[
        kind(model.takes)
    ]


def counts() -> list[dict[str, str]]:
    with COUNTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same(row: dict[str, str], name: str, options: dict, outputs: int) -> bool:
    """Whether a row of `counts` describes this model."""
    if (row["model"], row["outputs"]) != (name, str(outputs)):
        return False
    theirs = hyperparameters(name, dict(word.split("=") for word in row["hyperparameters"].split()))
    return all(theirs[key] == value for key, value in options.items() if key not in NEUTRAL)


def cells(layer: anatomy.Layer) -> tuple[str, ...]:
    if layer.training_only:
        return (layer.name, "", "training only", f"{layer.parameters:,}", "", "", "")
    field, stride = ("-", "-") if layer.fields is None else map(_sides, _seen(layer.fields))
    shape = " x ".join(map(str, layer.output))
    times = f"x {layer.times}" if layer.times > 1 else ""
    return (
        layer.name,
        times,
        shape,
        f"{layer.parameters:,}",
        f"{layer.multiply_adds:,}",
        field,
        stride,
    )


def _seen(fields) -> tuple[list[str], list[str]]:
    """Sizes and strides along height and width."""
    return ["all" if f is None else str(f.size) for f in fields], [
        "-" if f is None else str(f.stride) for f in fields
    ]


def _sides(sides: list[str]) -> str:
    return sides[0] if len(set(sides)) == 1 else " x ".join(sides)


def text(found: anatomy.Anatomy, row: dict[str, str] | None, comparable: bool) -> str:
    """The table, the totals, and a line of what `row` of `counts` has for them.

    comparable: whether the line includes multiply-adds.
    """
    lines = [COLUMNS, *map(cells, found.layers)]
    lines.append(("total", "", "", f"{found.parameters:,}", f"{found.multiply_adds:,}", "", ""))
    if found.training_only:
        lines.append(("... of which training only", "", "", f"{found.training_only:,}", "", "", ""))
    if row and row["source"]:
        products = _difference(found.multiply_adds, row["multiply_adds"]) if comparable else ""
        lines.append(
            (
                row["source"],
                "",
                "",
                _difference(found.parameters, row["parameters"]),
                products,
                "",
                "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(
            c.ljust(w) if i < 3 else c.rjust(w)
            for i, (c, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    totals = len(found.layers) + 1
    aligned.insert(totals, "")
    said = (("printed in the paper", "printed" if comparable else ""), ("note", "note"))
    notes = [f"{what}: {row[key]}" for what, key in said if key and row and row[key]]
    return "\n".join(line.rstrip() for line in (*aligned, *notes))


def _difference(ours: int, theirs: str) -> str:
    if not theirs:
        return ""
    return "=" if ours == int(theirs) else f"{ours - int(theirs):+,}"


def write_csv(found: anatomy.Anatomy) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        (
            "layer",
            "times",
            "output",
            "parameters",
            "multiply_adds",
            "receptive_field",
            "stride",
            "training_only",
        )
    )
    for layer in found.layers:
        name, _, output, _, _, field, stride = cells(layer)
        shown = (
            "" if layer.training_only else output,
            layer.parameters,
            layer.multiply_adds,
            field,
            stride,
        )
        writer.writerow((name, layer.times, *shown, int(layer.training_only)))


def _shape(flag: str, written: str, count: int) -> tuple[int, ...]:
    if not re.fullmatch(r"[1-9][0-9]*" + r"x[1-9][0-9]*" * (count - 1), written):
        raise BadInput(
            f"{flag}: {written!r} must be {count} whole numbers from 1 up, such as "
            f"{'224x224x3' if count == 3 else '50x1'}"
        )
    return tuple(map(int, written.split("x")))


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.describe", __doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument(
        "--outputs",
        type=int,
        help="classes; default 1000 for images of more than 32 pixels, the symbols of a stream, "
        "else 10",
    )
    parser.add_argument("--image", metavar="HxWxC", help="default: what the model is made for")
    parser.add_argument("--sequence", metavar="TxI", help="steps and inputs of each; default 50x1")
    parser.add_argument(
        "--tokens", metavar="TxV", help="a sequence of so many tokens, each one of V symbols"
    )
    parser.add_argument(
        "--pair", metavar="SxT", help="tokens of the source and of the target; default 50x50"
    )
    parser.add_argument(
        "--levels", type=int, default=0, help="1: one row for each block; default: for each layer"
    )
    parser.add_argument("--csv", action="store_true", help="the layers as CSV")
    flags, rest = parser.parse_known_args(arguments)
    changes = {}
    for word in rest:
        key, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not equals:
            raise BadInput(f"{word}: hyper-parameters are written --KEY=VALUE")
        changes[key] = value
    options = hyperparameters(flags.model, changes)
    takes = kind(architectures.takes(flags.model))
    written = {each: value for each in NUMBERS if (value := getattr(flags, each)) is not None}
    fitting = ("sequence", "tokens") if takes == "sequence" else (takes,)
    for each in written:
        if each not in fitting:
            raise BadInput(f"--{each}: {flags.model} takes --{' or --'.join(fitting)}")
    if len(written) > 1:
        raise BadInput(
            "--sequence, --tokens: a sequence is of real vectors or of tokens; use one of the two"
        )
    shown, value = next(iter(written.items()), (takes, None))
    shape = None if value is None else _shape(f"--{shown}", value, NUMBERS[shown])
    shape, symbols = (shape[:1], shape[1]) if shown == "tokens" else (shape, None)
    outputs = (
        default_outputs(flags.model, options, symbols) if flags.outputs is None else flags.outputs
    )
    if outputs < 1 or flags.levels < 0:
        raise BadInput(
            f"--outputs={outputs} must be at least 1, --levels={flags.levels} at least 0"
        )
    model = build(flags.model, outputs, options, symbols)
    shape = shape or default_shape(model)
    found = describe(model, shape, flags.levels)
    if flags.csv:
        write_csv(found)
        return 0
    row = next(
        (r for r in counts() if not r["layer"] and same(r, flags.model, options, outputs)), None
    )
    size = " x ".join(map(str, shape))
    given = f"{takes} of {size}" if symbols is None else f"{size} tokens of {symbols} symbols"
    print(f"{flags.model}, {outputs} outputs, {given}\n")
    print(text(found, row, comparable=shape == default_shape(model)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as other programs do for `head`
    jax.config.update("jax_platforms", "cpu")  # tracing needs no accelerator
    exit_with(main, "python -m scripts.describe")
