"""Makes the embedded data sets anew, the same arrays each time: python -m scripts.embed_data WHEEL_OF_AEON_1.6.0

Fashion-MNIST comes from Debian's package, JapaneseVowels from the wheel (pip download --no-deps aeon==1.6.0).
"""

import sys
import zipfile

import numpy as np

from scripts.prepare_data import fashion_mnist_from_debian
from train.data import files


def fashion_mnist() -> dict[str, np.ndarray]:
    """600 training and 100 test images of each class, drawn with a fixed seed, in a mixed order."""
    full, subset, rng = fashion_mnist_from_debian(), {}, np.random.default_rng(2017)
    for split, count in dict(train=600, test=100).items():
        label = full[f"{split}_label"]
        chosen = np.concatenate([rng.choice(np.flatnonzero(label == c), count, replace=False) for c in range(10)])
        rng.shuffle(chosen)
        subset |= {f"{split}_{part}": full[f"{split}_{part}"][chosen] for part in ("image", "label")}
    return subset


def japanese_vowels(wheel: str) -> dict[str, np.ndarray]:
    """A line of the .ts files is 12 series of one length, separated by colons, and the speaker, 1 to 9."""
    arrays = {}
    with zipfile.ZipFile(wheel) as archive:
        for split in ("train", "test"):
            text = archive.read(f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{split.upper()}.ts").decode()
            rows = [line.split(":") for line in text.split("@data")[1].split("\n") if line.strip()]
            series = [np.array([part.split(",") for part in row[:12]], np.float32).T for row in rows]  # [T, 12] each
            sequence = np.zeros([len(rows), 29, 12], np.float32)
            for padded, values in zip(sequence, series, strict=True):
                padded[: len(values)] = values
            arrays[f"{split}_sequence"] = sequence
            arrays[f"{split}_length"] = np.array([len(values) for values in series], np.int32)
            arrays[f"{split}_label"] = np.array([int(row[12]) - 1 for row in rows], np.uint8)
    return arrays


def main(wheel: str) -> None:
    for name, arrays in dict(fashion_mnist=fashion_mnist(), japanese_vowels=japanese_vowels(wheel)).items():
        files.write(files.EMBEDDED / f"{name}.npz", arrays, compress=True)
        print(f"{name}: {files.digest(files.read(files.EMBEDDED / f'{name}.npz', name))}")


if __name__ == "__main__":
    main(*sys.argv[1:])
