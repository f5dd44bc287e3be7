"""Converts weights of torchvision, timm and Keras to Canon's, and back.

python -m scripts.weights torchvision/resnet50 resnet50.pth resnet50.npz
python -m scripts.weights torchvision/resnet50 resnet50.npz resnet50.safetensors --reverse
python -m scripts.weights torchvision/resnet50 runs/resnet50 resnet50.pth --reverse --seed=0

IN and OUT are .npz, .safetensors, .pth or Keras's .weights.h5. Canon's own files, with names such
as "params/conv1/kernel", are .npz or .safetensors. IN may also be .pt, .pth.tar, .ckpt or .bin of
PyTorch, a whole Keras model in .h5, .hdf5 or .keras, .onnx, or the model.json of TensorFlow.js:
only the weights are read, and no code that a file names is run. With --reverse IN is Canon's, or a
run's workdir: the parameters it evaluates, of its newest checkpoint. `--list` lists the names.
"""

import dataclasses

from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict

import architectures
from architectures import convert, convert_recurrent, weight_files
from train import paths, run_flags, trained
from train.errors import BadInput, Parser, exit_with

OURS = (".npz", ".safetensors")
# fields that do not change what trained weights compute for images of the training size,
# except as `differences` says
FREE = {
    *(
        "outputs",
        "dtype",
        "axis_name",
        "dropout",
        "auxiliary_dropout",
        "shortcut_dropout",
        "initialiser",
        "bias",
        "gate_bias",
    ),
    *("batch_norm", "bn_momentum", "auxiliary", "scan_from", "remat", "parent", "name"),
    "other_sizes",
}


FLAGS = (  # about what IN leaves open
    ("state", "NAME", "which of several state dicts in a PyTorch file: model_ema"),
    ("layer", "NAME", "the arrays of this layer of a larger model alone: encoder.rnn"),
    ("reset", "WHERE", "after or before: the reset gate of a Keras GRU without biases"),
    ("recurrent_activation", "NAME", "sigmoid: of an LSTM or GRU in a file of Keras before 2.3"),
)


def our_file(path: str) -> str:
    if not path.endswith(OURS):
        raise BadInput(f"{path}: our own weights are {' or '.join(OURS)}")
    return path


def from_run(source: str, workdir: epath.Path, seed: int, **which) -> dict:
    """The variables that a run's checkpoint is evaluated with, for one seed.

    which: the checkpoint and the config's file, as in trained.load. Raises BadInput if there are
    none, or if the run's network differs from `source` in more than its weights.
    """
    if source in convert_recurrent.SOURCES:
        raise BadInput(
            f"{workdir}: {source} is one stack of layers, not a run's network; choose from "
            f"{', '.join(convert.SOURCES)}"
        )
    run = trained.load(workdir, **which)
    theirs = convert.build(source, outputs=1)
    ours = architectures.build(run.model, outputs=1, **run.options)
    model = convert.SOURCES[source].model
    if type(ours) is not type(theirs):
        raise BadInput(
            f"{workdir}: its network is a {type(ours).__name__}, {source} is a "
            f"{type(theirs).__name__} (model.name={model})"
        )
    differ = differences(ours, theirs)
    if differ:
        flags = " ".join(
            f"--config.model.{name}={as_flag(wanted)}" for name, (_, wanted) in differ.items()
        )
        has = ", ".join(f"model.{name}={as_flag(found)}" for name, (found, _) in differ.items())
        raise BadInput(
            f"{workdir}: computes something else than {source}, with {has}; to export a run, "
            f"train it with {flags}"
        )
    if not 0 <= seed < len(run.variables):
        raise BadInput(f"--seed: {seed} is none of the run's, 0 to {len(run.variables) - 1}")
    return run.variables[seed]


def differences(ours, theirs) -> dict[str, tuple]:
    """{key: (ours, theirs)}: how two modules of one class compute differently."""
    names = sorted({field.name for field in dataclasses.fields(theirs)} - FREE)
    found = {name: (getattr(ours, name), getattr(theirs, name)) for name in names}
    norms = getattr(ours, "batch_norm", "none"), getattr(theirs, "batch_norm", "none")
    found |= {"batch_norm": norms} if "none" in norms else {}
    heads = getattr(ours, "auxiliary", False), getattr(theirs, "auxiliary", False)
    found |= {"auxiliary": heads} if heads[0] else {}
    return {name: both for name, both in found.items() if both[0] != both[1]}


def as_flag(value) -> str:
    """A value as the command line accepts it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.weights", __doc__)
    parser.add_argument(
        "source", nargs="?", metavar="SOURCE", help="whose network: torchvision/resnet50"
    )
    parser.add_argument(
        "input", nargs="?", metavar="IN", help="the file to read, or with --reverse a run's workdir"
    )
    parser.add_argument("output", nargs="?", metavar="OUT", help="the file to write")
    parser.add_argument("--reverse", action="store_true", help="from ours to theirs")
    for flag, metavar, text in FLAGS:
        parser.add_argument(f"--{flag}", metavar=metavar, help=text)
    parser.add_argument(
        "--seed", type=int, metavar="I", help="which of a run's seeds, counted from 0 (default 0)"
    )
    parser.add_argument("--list", action="store_true", help="print the names of SOURCE")
    run_flags.add(parser)
    flags = parser.parse_args(arguments)
    if flags.list:
        print("\n".join((*convert.SOURCES, *convert_recurrent.SOURCES)))
        return 0
    if flags.output is None:
        raise BadInput("SOURCE, IN and OUT are needed")
    folder = paths.path_of(flags.input, "IN")
    flags.input, flags.output = str(folder), str(paths.file_of(flags.output, "OUT"))
    run = flags.reverse and folder.is_dir()
    if flags.seed is not None and not run:
        raise BadInput("--seed: only a run's workdir, with --reverse, has seeds")
    chosen = {flag: getattr(flags, flag) for flag, _, _ in FLAGS}
    given = next((flag for flag, value in chosen.items() if value is not None), None)
    if given and flags.reverse:
        raise BadInput(f"--{given}: is for another library's file, not with --reverse")
    if (flags.checkpoint or flags.config) and not run:
        raise BadInput("--checkpoint and --config: are of a run's workdir, with --reverse")
    try:
        convert.known(flags.source)
        output = flags.output if flags.reverse else our_file(flags.output)
        weight_files.check_output(output)
        if not flags.reverse:
            state = weight_files.read(flags.input, state=flags.state)
            options = {name: value for name, value in chosen.items() if name != "state"}
            _, variables = convert.load(flags.source, state, **options)
            arrays = flatten_dict(variables, sep="/")
        else:
            if run:
                workdir, which = paths.run_of(flags.input, "IN"), run_flags.chosen(flags)
                variables = from_run(flags.source, workdir, flags.seed or 0, **which)
            else:
                variables = unflatten_dict(weight_files.read(our_file(flags.input)), sep="/")
            arrays = convert.save(flags.source, variables)
        weight_files.write(output, arrays)
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(error) from None
    print(f"{output}: {len(arrays)} arrays")
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.weights")
