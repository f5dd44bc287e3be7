"""Small real data sets as numpy arrays.

They come from a prepared TFDS folder, from prepared files, or from copies embedded in this package.

Reading never uses the network and never imports TensorFlow; scripts.prepare_data downloads.
"""

import dataclasses
import hashlib
import io
import os
import pathlib
import re

import numpy as np

from train import documents, paths
from train.errors import BadInput, reason
from train.log import write_whole

SOURCES = ("auto", "tfds", "files", "embedded")
SPLITS = ("train", "test")
EMBEDDED = pathlib.Path(__file__).parent / "embedded"


class DataError(BadInput):
    """A data file that is damaged, is not what its name says, or cannot be written.

    The message is one line with the file's path.
    """


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A set that fits in memory.

    arrays: name -> (dtype, shape of one example). sources: those it has, in the order in which
      "auto" tries them.
    full: split -> number of examples in the whole set. embedded_note: what part of the whole the
      embedded copy is.
    TFDS is asked for the set by the same name; it must have the features "image" and "label".
    tfds_splits: TFDS's names of our SPLITS. names: of the classes, in the order of their numbers.
    """

    arrays: dict[str, tuple[str, tuple[int, ...]]]
    classes: int
    full: dict[str, int]
    sources: tuple[str, ...] = ("tfds",)
    embedded_note: str = ""
    tfds_splits: tuple[str, ...] = SPLITS
    names: tuple[str, ...] = ()


def split_arrays(**parts: tuple[str, tuple[int, ...]]) -> dict:
    return {f"{split}_{part}": kind for split in SPLITS for part, kind in parts.items()}


_COLOUR = split_arrays(image=("uint8", (32, 32, 3)), label=("uint8", ()))
SETS = dict(
    cifar10=DataSet(
        _COLOUR,
        classes=10,
        full=dict(train=50_000, test=10_000),
        names=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
    ),
    # by the fine label
    cifar100=DataSet(_COLOUR, classes=100, full=dict(train=50_000, test=10_000)),
    fashion_mnist=DataSet(
        split_arrays(image=("uint8", (28, 28)), label=("uint8", ())),
        classes=10,
        full=dict(train=60_000, test=10_000),
        sources=("tfds", "files", "embedded"),
        embedded_note="stratified subset of 60,000/10,000",
        names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    japanese_vowels=DataSet(
        split_arrays(sequence=("float32", (29, 12)), length=("int32", ()), label=("uint8", ())),
        classes=9,
        full=dict(train=270, test=370),
        sources=("embedded",),
        embedded_note="complete",
    ),
)


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where arrays came from: one of SOURCES (never "auto"), the path, and examples per split.

    The path is the file or TFDS folder.
    digest: sha256 over names, dtypes, shapes and contents; the same for the same examples in the
      same order.
    """

    source: str
    path: str
    note: str
    examples: dict[str, int]
    digest: str

    @property
    def metadata(self) -> dict:
        return dataclasses.asdict(self)


def folder() -> pathlib.Path:
    """The folder of prepared files: $CANON_DATA, or canon/data in the user's cache folder."""
    return paths.folder("CANON_DATA", paths.cache(), "data")


def tfds_folder() -> pathlib.Path:
    return paths.folder("TFDS_DATA_DIR", paths.home(), "tensorflow_datasets")


def load(
    name: str, source: str = "auto", data_set: DataSet | None = None
) -> tuple[dict[str, np.ndarray], Origin]:
    """The arrays of a set, `data_set` or the one in SETS, and where they came from.

    Keys are "{train,test}_{image,label,...}"; axis 0 is the examples.

    source: "auto" takes the first of the set's sources that exists; it never skips one that exists
    but is damaged. Raises BadInput, one line, if the named source does not exist, and DataError if
    a file is damaged.
    """
    data_set = data_set or SETS.get(name)
    if data_set is None:
        raise BadInput(f"unknown data set {name!r}; choose from {', '.join(SETS)}")
    if source not in SOURCES:
        raise BadInput(f"data.source: unknown {source!r}; choose from {', '.join(SOURCES)}")
    sources = data_set.sources
    if source not in ("auto", *sources):
        raise BadInput(
            f"data.source: {name} has no source {source!r}; choose from auto, {', '.join(sources)}"
        )
    readers = dict(tfds=_from_tfds, files=_from_files, embedded=_from_embedded)
    for candidate in sources if source == "auto" else (source,):
        found = readers[candidate](name, data_set)
        if found:
            arrays, path, note = found
            examples = {split: len(arrays[f"{split}_label"]) for split in SPLITS}
            return arrays, Origin(candidate, str(path), note, examples, digest(arrays))
    sought = dict(tfds=f"{tfds_folder() / name}, as array_record", files=folder() / f"{name}.npz")
    where = ", ".join(str(sought[s]) for s in sources if source in ("auto", s))
    command = f"python -m scripts.prepare_data {name}" + " --origin=tfds" * (source == "tfds")
    raise BadInput(
        f"data.source: {name} is not prepared as {source!r} (looked for {where}); run {command}"
    )


def digest(arrays: dict[str, np.ndarray]) -> str:
    h = hashlib.sha256()
    for name in sorted(arrays):
        h.update(f"{name} {arrays[name].dtype} {arrays[name].shape}\n".encode())
        h.update(np.ascontiguousarray(arrays[name]))
    return h.hexdigest()


def read(path: pathlib.Path, data_set: DataSet, remedy: str) -> dict[str, np.ndarray]:
    """The arrays of a set's .npz.

    remedy: what the user should do about a bad file; ends the message. Raises DataError for a
    damaged file or one with other contents.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    # a flipped byte can make zipfile, zlib and numpy raise many different types
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split()).split(". ")[0][:200]
        raise DataError(f"{path} is damaged ({reason}); {remedy}") from None
    expected = data_set.arrays
    for key in sorted(expected.keys() | arrays.keys()):
        found = (str(arrays[key].dtype), arrays[key].shape[1:]) if key in arrays else None
        if found != expected.get(key):
            raise DataError(f"{path}: {key} is {found}, must be {expected.get(key)}; {remedy}")
    for split in SPLITS:
        counts = {key: len(array) for key, array in arrays.items() if key.startswith(f"{split}_")}
        if len(set(counts.values())) > 1 or 0 in counts.values():
            raise DataError(
                f"{path}: the numbers of examples {counts} must be equal and not 0; {remedy}"
            )
        check_range(path, f"{split}_label", arrays[f"{split}_label"], data_set.classes, remedy)
        if f"{split}_length" in arrays:
            steps = len(arrays[f"{split}_sequence"][0])
            check_range(path, f"{split}_length", arrays[f"{split}_length"], steps + 1, remedy)
    return arrays


def check_range(path, part: str, numbers: np.ndarray, bound: int, remedy: str) -> None:
    """Raises DataError if numbers of a file, labels or lengths, are outside [0, bound)."""
    low, high = int(np.min(numbers)), int(np.max(numbers))
    if low < 0 or high >= bound:
        raise DataError(
            f"{path}: {part} has numbers from {low} to {high}, must be from 0 to {bound - 1}; "
            f"{remedy}"
        )


def write(path: pathlib.Path, arrays: dict[str, np.ndarray], compress: bool = False) -> None:
    """Writes an .npz, all of it or nothing. Raises DataError if that is not possible."""
    contents = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(contents, **arrays)
    store(path, contents.getvalue())


def store(path: pathlib.Path, contents: bytes) -> None:
    """Writes a prepared file, all of it or nothing, even if several processes do so at once.

    Raises DataError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, contents, part=f".{os.getpid()}.part")
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({reason(error)}); set CANON_DATA to a writable folder"
        ) from None


def _from_files(name: str, data_set: DataSet):
    path = folder() / f"{name}.npz"
    remedy = f"delete it and run python -m scripts.prepare_data {name}"
    return (
        (read(path, data_set, remedy), path, f"prepared files in {folder()}")
        if path.exists()
        else None
    )


def _from_embedded(name: str, data_set: DataSet):
    path = EMBEDDED / f"{name}.npz"
    return read(path, data_set, "restore it from git"), path, data_set.embedded_note


def _from_tfds(name: str, data_set: DataSet):
    """Reads a folder that TFDS prepared as array_record.

    Decoding takes seconds, so the arrays are cached in `folder()`.
    """
    directory = tfds_version(name)
    if directory is None:
        return None
    info = (directory / "dataset_info.json").read_bytes()
    others = b"" if data_set.tfds_splits == SPLITS else repr(data_set.tfds_splits).encode()
    fingerprint = hashlib.sha256(info + others).hexdigest()[:12]
    cached = folder() / f"{name}-tfds-{directory.name}-{fingerprint}.npz"
    if not cached.exists():
        write(cached, _decode(directory, name, data_set))
    return (
        read(cached, data_set, "delete it; it is made again"),
        directory,
        f"TFDS {directory.name} in {directory.parent}",
    )


def tfds_version(name: str, file_format: str = "array_record") -> pathlib.Path | None:
    """The folder of the newest version of `name` that TFDS has finished preparing in a format.

    Imports nothing of TFDS.
    """
    found = {}
    for info in (tfds_folder() / name).glob("*/dataset_info.json"):
        # while TFDS prepares a folder, its name is incomplete.*
        if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name):
            try:
                contents = documents.read(info)
                if contents.get("fileFormat", "tfrecord") == file_format:
                    found[tuple(map(int, info.parent.name.split(".")))] = info.parent
            except (OSError, ValueError, AttributeError):
                remedy = f"delete {info.parent} and run python -m scripts.prepare_data {name}"
                raise DataError(f"{info} is damaged; {remedy}") from None
    return found[max(found)] if found else None


def _decode(directory: pathlib.Path, name: str, data_set: DataSet) -> dict[str, np.ndarray]:
    """The arrays of a TFDS folder, in the order of the original files.

    TFDS shuffles them by a hash of the keys. The keys of MNIST, Fashion-MNIST and CIFAR are
    positions in those files; other sets keep TFDS's fixed order, which has no meaning.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import hashing

    encoded = dict(image=tfds.decode.SkipDecoding())  # TFDS's decoders differ from ours
    arrays = {key: [] for key in data_set.arrays}
    try:
        builder = tfds.builder_from_directory(str(directory))
        if not builder.is_prepared():
            raise FileNotFoundError("TFDS says it is not prepared")
        for split, theirs in zip(SPLITS, data_set.tfds_splits, strict=True):
            records = builder.as_data_source(theirs, decoders=encoded)
            # record -> position
            order = sorted(range(len(records)), key=hashing.Hasher(theirs).hash_key)
            for part in ("image", "label"):
                dtype, shape = data_set.arrays[f"{split}_{part}"]
                arrays[f"{split}_{part}"] = np.empty([len(records), *shape], dtype)
            for start in range(0, len(records), 1000):
                indices = range(start, min(start + 1000, len(records)))
                for i, example in zip(indices, records.__getitems__(indices), strict=True):
                    images, labels = arrays[f"{split}_image"], arrays[f"{split}_label"]
                    labels[order[i]] = example["label"]
                    try:
                        images[order[i]] = _pixels(example["image"], images.shape[1:])
                    except ValueError as error:
                        raise ValueError(f"record {i} of {split}: {error}") from None
    except Exception as error:  # TFDS and array_record raise types of their own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        remedy = f"delete it and run python -m scripts.prepare_data {name} --origin=tfds"
        raise DataError(f"{directory} cannot be read ({reason}); {remedy}") from None
    return arrays


def _pixels(encoded: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The image as uint8 of this shape, [H, W] or [H, W, C]. Raises ValueError, one line."""
    from train.data import crops

    pixels = crops.decode(encoded, "pillow")
    if shape[2:] != (3,) and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.shape[:2] != shape[:2] or pixels.size != np.prod(shape):
        raise ValueError(f"is {list(pixels.shape)}, must be {list(shape)}")
    return pixels.reshape(shape)
