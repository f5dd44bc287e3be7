"""Fetches a full data set: the only command that uses the network.

python -m scripts.prepare_data fashion_mnist [--origin=auto|debian|tfds]
python -m scripts.prepare_data cifar10
python -m scripts.prepare_data brown
python -m scripts.prepare_data wmt14_translate/fr-en          any set of TFDS
python -m scripts.prepare_data imagenet2012 --manual_dir=DIR
    with ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar in DIR
python -m scripts.prepare_data imagenet2012 --tfrecord=DIR
    from a folder that TFDS prepared earlier; needs no TensorFlow
python -m scripts.prepare_data imagenet2012 --check

Exit codes: 0 the set is there and sound; 2 it is not, or could not be made, with one line on
stderr. Running the same command again resumes the preparation.
"""

import gzip
import hashlib
import pathlib
import shutil
import tempfile

import numpy as np

from scripts import prepare_text, prepare_tfds
from train import paths
from train.data import files, texts, tfds_text
from train.errors import BadInput, Parser, exit_with, reason

NAMES = sorted(files.SETS | texts.TEXTS | tfds_text.SETS)
COMMAND = "python -m scripts.prepare_data"
# where Debian's package dataset-fashion-mnist puts it
INSTALLED = pathlib.Path("/usr/share/datasets/fashion-mnist")
# of Zalando's files; Debian's have lost their name and time
GZIP_TIMES = dict(train=1504176606, t10k=1504176627)
SHA256 = {  # of Zalando's own .gz files
    "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
DIGESTS = dict(  # of the whole set's arrays, in the order of those files
    fashion_mnist="83df39efd2d53b60b1ed4952df7b6bf808b699562c23b3a7c2c3f0744ab0e894"
)


def original(packed: bytes, name: str) -> bytes:
    """Zalando's .gz from Debian's: the header gets back its file name and time."""
    time = GZIP_TIMES[name.split("-")[0]].to_bytes(4, "little")
    return b"\x1f\x8b\x08\x08" + time + packed[8:10] + name.encode() + b"\0" + packed[10:]


def read_idx(folder: pathlib.Path, name: str) -> np.ndarray:
    """An idx file, [N, 28, 28] or [N] uint8. Raises BadInput if it is not the published one."""
    try:
        packed = (folder / f"{name}.gz").read_bytes()
    except OSError as error:
        raise BadInput(
            f"{folder / name}.gz cannot be read ({reason(error)}); fetch it again"
        ) from None
    if SHA256[name] not in (
        hashlib.sha256(b).hexdigest() for b in (packed, original(packed, name))
    ):
        raise BadInput(
            f"{folder / name}.gz is not the published file (sha256 differs); fetch it again"
        )
    contents = gzip.decompress(packed)
    dimensions = contents[3]
    shape = [int.from_bytes(contents[4 * i + 4 : 4 * i + 8], "big") for i in range(dimensions)]
    return np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def fashion_mnist_from_debian() -> dict[str, np.ndarray]:
    """The full set from Debian's package, installed or fetched into a temporary folder.

    It does not need root.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = INSTALLED
        if not folder.exists():
            print("fetching Debian's package dataset-fashion-mnist (31 MB)", flush=True)
            prepare_text.fetch(
                "apt-get",
                "download",
                "-qq",
                "dataset-fashion-mnist",
                cwd=temporary,
                instead="; use --origin=tfds",
            )
            package = next(pathlib.Path(temporary).glob("*.deb"))
            prepare_text.fetch(
                "dpkg-deb", "-x", package.name, ".", cwd=temporary, instead="; use --origin=tfds"
            )
            folder = pathlib.Path(temporary, *INSTALLED.parts[1:])
        arrays = {}
        for split, file in dict(train="train", test="t10k").items():
            arrays[f"{split}_image"] = read_idx(folder, f"{file}-images-idx3-ubyte")
            arrays[f"{split}_label"] = read_idx(folder, f"{file}-labels-idx1-ubyte")
        return arrays


DEBIAN = dict(fashion_mnist=fashion_mnist_from_debian)  # name -> the arrays


def check(name: str, sources: tuple[str, ...] = ("tfds", "files")) -> str:
    """One line about the first of `sources` that is prepared.

    Raises BadInput where none is prepared, or where it is not the whole set.

    Reading has verified names, dtypes, shapes, labels and the zip file's checksums; the digest
    verifies every example.
    """
    where = dict(tfds=files.tfds_version(name), files=files.folder() / f"{name}.npz")
    sought = dict(tfds=f"{files.tfds_folder() / name} (array_record)", files=str(where["files"]))
    sources = [source for source in sources if source in files.SETS[name].sources]
    there = [source for source in sources if where[source] and where[source].exists()]
    if not there:
        looked = " and ".join(sought[source] for source in sources)
        raise BadInput(
            f"{name} is not prepared (looked for {looked}); run python -m scripts.prepare_data "
            f"{name}"
        )
    _, origin = files.load(name, there[0])
    if origin.examples != files.SETS[name].full:
        raise BadInput(
            f"{origin.path} has {origin.examples} examples, must be {files.SETS[name].full}; "
            "delete it"
        )
    if origin.digest != DIGESTS.get(name, origin.digest):
        raise BadInput(
            f"{origin.path} has digest {origin.digest[:12]}, must be {DIGESTS[name][:12]}; delete "
            "it"
        )
    examples = ", ".join(f"{count:,} {split}" for split, count in origin.examples.items())
    return f"{name}: {origin.path}: {examples}; digest {origin.digest[:12]}"


def prepare(name: str, origin: str) -> str:
    """Prepares a set unless it is prepared already; describes what is there now."""
    path, source = files.folder() / f"{name}.npz", "files"
    if origin == "auto":
        debian = (
            path.exists()
            or INSTALLED.exists()
            or (shutil.which("apt-get") and shutil.which("dpkg-deb"))
        )
        origin = "debian" if name in DEBIAN and debian else "tfds"
    if origin == "tfds":
        path, source = files.tfds_version(name), "tfds"
    elif name not in DEBIAN:
        raise BadInput(f"Debian has no {name}; use --origin=tfds")
    if path and path.exists():
        print(f"already prepared: {path}")
    elif source == "files":
        files.write(path, DEBIAN[name]())
    else:
        prepare_tfds.prepare(name)
    return check(name, (source,))


def prepare_lines(name: str, only_check: bool) -> str:
    """Prepares a set of text unless it is prepared already; describes what is there now."""
    path = files.folder() / f"{name}.txt.xz"
    if path.exists() and not only_check:
        print(f"already prepared: {path}")
    elif not only_check:
        texts.write(path, prepare_text.PACKAGES[name]())
    lines, origin = texts.load(name, "files")
    return f"{name}: {origin.path}: {len(lines):,} lines; digest {origin.digest[:12]}"


def main(arguments: list[str]) -> None:
    parser = Parser(COMMAND, __doc__)
    parser.add_argument(
        "name", nargs="?", help=f"one of {', '.join(NAMES)}, or any other set of TFDS"
    )
    parser.add_argument("--origin", choices=("auto", "debian", "tfds"), default="auto")
    parser.add_argument(
        "--check", action="store_true", help="only say what is prepared; exit 2 if nothing sound is"
    )
    parser.add_argument("--manual_dir", help="where files are that TFDS does not download itself")
    parser.add_argument("--tfrecord", help="a folder NAME/VERSION of TFRecord files to convert")
    flags = parser.parse_args(arguments)
    if not flags.name:
        raise BadInput(f"name a data set: {', '.join(NAMES)}, or any other of TFDS")
    if flags.check and (flags.origin != "auto" or flags.manual_dir or flags.tfrecord):
        raise BadInput(
            "--check: looks at what is prepared, so leave --origin, --manual_dir and --tfrecord out"
        )
    if flags.manual_dir and flags.tfrecord:
        raise BadInput("--manual_dir and --tfrecord: one or the other")
    if flags.name not in files.SETS | texts.TEXTS:
        prepare_tfds.known(flags.name, NAMES)
        if flags.origin == "debian":
            raise BadInput(f"Debian has no {flags.name}; use --origin=tfds")
        if flags.tfrecord:
            source = paths.file_of(flags.tfrecord, "--tfrecord")
            prepare_tfds.convert(source, files.tfds_folder() / flags.name / source.name)
        elif not flags.check:
            manual = flags.manual_dir and str(paths.file_of(flags.manual_dir, "--manual_dir"))
            prepare_tfds.prepare(flags.name, manual)
        print(prepare_tfds.check(flags.name))
    elif flags.manual_dir or flags.tfrecord:
        raise BadInput(f"--manual_dir and --tfrecord: not of {flags.name}")
    elif (files.SETS | texts.TEXTS)[flags.name].sources == ("embedded",):
        print(f"{flags.name} is complete as it is embedded; nothing to prepare")
    elif flags.name in texts.TEXTS:
        if flags.origin != "auto":
            raise BadInput(f"--origin: {flags.name} comes from its package alone; leave it out")
        print(prepare_lines(flags.name, flags.check))
    else:
        print(check(flags.name) if flags.check else prepare(flags.name, flags.origin))


if __name__ == "__main__":
    exit_with(main, COMMAND)
