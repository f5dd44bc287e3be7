"""Fetches a full data set: the one command that goes on the network.

python -m scripts.prepare_data fashion_mnist [--origin=auto|debian|tfds]    python -m scripts.prepare_data NAME --check
"""

import argparse
import gzip
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

from train.data import files
from train.errors import BadInput

INSTALLED = pathlib.Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts it
GZIP_TIMES = dict(train=1504176606, t10k=1504176627)  # of Zalando's files; Debian packs the same bytes without name and time
SHA256 = {  # of Zalando's own .gz files
    "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


def original(packed: bytes, name: str) -> bytes:
    """Zalando's .gz from Debian's: the header gets back its file name and time."""
    time = GZIP_TIMES[name.split("-")[0]].to_bytes(4, "little")
    return b"\x1f\x8b\x08\x08" + time + packed[8:10] + name.encode() + b"\0" + packed[10:]


def read_idx(folder: pathlib.Path, name: str) -> np.ndarray:
    """An idx file, [N, 28, 28] or [N] uint8. Raises BadInput where it is not the published one."""
    packed = (folder / f"{name}.gz").read_bytes()
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
            _run("apt-get", "download", "-qq", "dataset-fashion-mnist", cwd=temporary)
            _run("dpkg-deb", "-x", next(pathlib.Path(temporary).glob("*.deb")).name, ".", cwd=temporary)
            folder = pathlib.Path(temporary, *INSTALLED.parts[1:])
        names = dict(train="train", test="t10k")
        images = {f"{split}_image": read_idx(folder, f"{file}-images-idx3-ubyte") for split, file in names.items()}
        return images | {f"{split}_label": read_idx(folder, f"{file}-labels-idx1-ubyte") for split, file in names.items()}


def _run(*command: str, cwd: str) -> None:
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise BadInput(f"{command[0]} is not on this machine; use --origin=tfds") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())[-200:]
        raise BadInput(f"{command[0]} failed ({reason}); 'apt-get update' may help, or use --origin=tfds") from None


def prepare_tfds(name: str) -> None:
    """TFDS downloads and prepares `name` as array_record. Needs TensorFlow, from the extra `prepare`."""
    try:
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise BadInput(f"--origin=tfds needs {error.name}: pip install -e '.[prepare]' -c constraints.txt") from None
    builder = tfds.builder(name, data_dir=str(files.tfds_folder()), file_format="array_record")
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises whatever its downloader does
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"TFDS could not prepare {name} ({type(error).__name__}: {reason})") from None


def check(name: str) -> str:
    """One line on what is prepared. Raises BadInput where it is missing or wrong."""
    errors = []
    for source in ("tfds", "files"):
        try:
            arrays, origin = files.load(name, source)
        except BadInput as error:
            errors.append(error)
            continue
        for split, examples in dict(train=60_000, test=10_000).items():
            labels = np.bincount(arrays[f"{split}_label"], minlength=10)
            if labels.tolist() != [examples // 10] * 10:
                raise BadInput(f"{origin.note}: {split} has {labels.tolist()} examples per class, must be {examples // 10} each")
        examples = ", ".join(f"{count:,} {split}" for split, count in origin.examples.items())
        return f"{name}: {origin.note}: {examples}; digest {origin.digest[:12]}"
    raise errors[-1]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.prepare_data", description=__doc__)
    parser.error = _refuse
    parser.add_argument("name", choices=sorted(files.SETS))
    parser.add_argument("--origin", choices=("auto", "debian", "tfds"), default="auto")
    parser.add_argument("--check", action="store_true", help="only say what is prepared; exit with 1 if nothing sound is")
    flags = parser.parse_args(arguments)
    if files.SETS[flags.name].complete:
        print(f"{flags.name} is complete as it is embedded; nothing to prepare")
        return 0
    if flags.check:
        try:
            print(check(flags.name))
        except BadInput as error:
            print(f"python -m scripts.prepare_data: {error}", file=sys.stderr)
            return 1
        return 0
    origin = flags.origin
    if origin == "auto":
        origin = "debian" if INSTALLED.exists() or shutil.which("apt-get") and shutil.which("dpkg-deb") else "tfds"
    path = files.folder() / f"{flags.name}.npz"
    if origin == "tfds":
        prepare_tfds(flags.name)
    elif path.exists():
        print(f"already prepared: {path}")
    else:
        files.write(path, fashion_mnist_from_debian())
    print(check(flags.name))
    return 0


def _refuse(message: str):
    raise BadInput(message)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BadInput as error:
        print(f"python -m scripts.prepare_data: {error}", file=sys.stderr)
        sys.exit(2)
