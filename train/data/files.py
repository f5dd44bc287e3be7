"""Small real data sets as numpy arrays: from a prepared TFDS folder, from prepared files, or embedded in this package.

Reading never goes on the network and never imports TensorFlow; `python -m scripts.prepare_data` fetches.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile

import numpy as np

from train.errors import BadInput

SOURCES = ("auto", "tfds", "files", "embedded")
EMBEDDED = pathlib.Path(__file__).parent / "embedded"


@dataclasses.dataclass(frozen=True)
class DataSet:
    """arrays: name -> (dtype, shape of one example). complete: whether the embedded copy is all there is."""

    arrays: dict[str, tuple[str, tuple[int, ...]]]
    complete: bool
    embedded_note: str


IMAGES = {
    f"{split}_{part}": ("uint8", shape) for split in ("train", "test") for part, shape in (("image", (28, 28)), ("label", ()))
}
VOWELS = {
    f"{split}_{part}": (dtype, shape)
    for split in ("train", "test")
    for part, dtype, shape in (("sequence", "float32", (29, 12)), ("length", "int32", ()), ("label", "uint8", ()))
}
SETS = dict(
    fashion_mnist=DataSet(IMAGES, False, "stratified subset of 60,000/10,000"),
    japanese_vowels=DataSet(VOWELS, True, "complete"),
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where arrays came from. digest: sha256 over names, dtypes, shapes and contents, the same for the same examples."""

    source: str
    note: str
    examples: dict[str, int]
    digest: str

    @property
    def metadata(self) -> dict:
        return dataclasses.asdict(self)


def folder() -> pathlib.Path:
    """Where prepared files lie: $CANON_DATA, or canon/data in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("CANON_DATA") or pathlib.Path(cache) / "canon" / "data")


def tfds_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR") or pathlib.Path.home() / "tensorflow_datasets")


def load(name: str, source: str = "auto") -> tuple[dict[str, np.ndarray], Origin]:
    """The arrays of a set in SETS and where they came from: "{train,test}_{image,label,...}", leading axis the examples.

    source: "auto" takes the first that is there of "tfds", "files", "embedded". Raises BadInput, one line, where the
    named source is not there or a file is damaged.
    """
    readers = dict(tfds=_from_tfds, files=_from_files, embedded=_from_embedded)
    if source not in SOURCES:
        raise BadInput(f"data.source: unknown {source!r}; have {', '.join(SOURCES)}")
    for candidate in readers if source == "auto" else (source,):
        found = readers[candidate](name)
        if found:
            arrays, note = found
            examples = {split: len(arrays[f"{split}_label"]) for split in ("train", "test")}
            return arrays, Origin(candidate, note, examples, digest(arrays))
    raise BadInput(
        f"data.source: {name} is not prepared as {source!r} (looked in {dict(tfds=tfds_folder(), files=folder())[source]}); "
        f"run python -m scripts.prepare_data {name} --origin={dict(tfds='tfds', files='auto')[source]}"
    )


def digest(arrays: dict[str, np.ndarray]) -> str:
    h = hashlib.sha256()
    for name in sorted(arrays):
        h.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        h.update(np.ascontiguousarray(arrays[name]))
    return h.hexdigest()


def read(path: pathlib.Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz of the set `name`. Raises BadInput for a damaged file or one with other contents."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} is damaged ({error}); delete it and run python -m scripts.prepare_data {name}") from None
    expected = SETS[name].arrays
    for key in sorted(expected.keys() | arrays.keys()):
        found = (str(arrays[key].dtype), arrays[key].shape[1:]) if key in arrays else None
        if found != expected.get(key):
            raise BadInput(f"{path}: {key} is {found}, must be {expected.get(key)}; delete it and prepare {name} again")
    return arrays


def write(path: pathlib.Path, arrays: dict[str, np.ndarray], compress: bool = False) -> None:
    """Writes an .npz, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    try:
        (np.savez_compressed if compress else np.savez)(part, **arrays)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _from_files(name: str):
    path = folder() / f"{name}.npz"
    return (read(path, name), f"prepared files in {folder()}") if path.exists() else None


def _from_embedded(name: str):
    return read(EMBEDDED / f"{name}.npz", name), SETS[name].embedded_note


def _from_tfds(name: str):
    """A folder that TFDS prepared as array_record. Decoding is slow, so the arrays are kept as a file of our own."""
    versions = sorted((tfds_folder() / name).glob("*/dataset_info.json")) if "train_image" in SETS[name].arrays else []
    for info in reversed(versions):
        if json.loads(info.read_text()).get("fileFormat") == "array_record":
            break
    else:
        return None
    fingerprint = hashlib.sha256(info.read_bytes()).hexdigest()[:12]
    cached = folder() / f"{name}-tfds-{fingerprint}.npz"
    if not cached.exists():
        write(cached, _decode(info.parent, name))
    return read(cached, name), f"TFDS {info.parent.name} in {info.parent.parent}"


def _decode(directory: pathlib.Path, name: str) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    arrays, builder = {}, tfds.builder_from_directory(str(directory))
    for split in ("train", "test"):
        source = builder.as_data_source(split)
        image = np.empty([len(source), *SETS[name].arrays[f"{split}_image"][1]], np.uint8)
        label = np.empty([len(source)], np.uint8)
        for i, example in enumerate(source):
            image[i], label[i] = example["image"][..., 0], example["label"]
        arrays |= {f"{split}_image": image, f"{split}_label": label}
    return arrays
