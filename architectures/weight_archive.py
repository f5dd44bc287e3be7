"""Limits for files that contain or point to other files.

A zip file may only grow by so much when it is read, and an HDF5 file may only contain its own
values.
"""

import contextlib
import zipfile
from collections.abc import Iterator

LARGE = 2**30  # bytes that any file may expand to
ALONE = "only values of the file itself are read"
GROWTH = 100  # a larger file may expand to this many times its size


def check_size(path, archive: zipfile.ZipFile) -> None:
    """Raises ValueError, one line, if the members would expand more than a file of weights does.

    float32 hardly compresses.
    """
    members = archive.infolist()
    full = sum(member.file_size for member in members)
    wrong = _growth("", full, sum(member.compress_size for member in members))
    if wrong:
        raise ValueError(f"{path}: {wrong}")


def _growth(what: str, full: int, stored: int) -> str | None:
    if full > LARGE and full > GROWTH * stored:
        return f"{what}expands from {stored} bytes to {full}; refused, as weights do not do that"
    return None


@contextlib.contextmanager
def hdf5(path, file=None) -> Iterator:
    """An h5py.File, opened for reading, of `path` or of the open binary `file`.

    Raises ValueError, one line, for a link other than a hard one, and for values that are in
    another file or nowhere: external storage, virtual data sets, values that were never written.
    Otherwise such a file would make us read weights from wherever it points.
    """
    import h5py

    with h5py.File(path if file is None else file, "r") as opened:
        # h5py loses what a visitor raises; a visitor that returns a value ends the visit
        def linked(name, link):
            if not isinstance(link, h5py.HardLink):
                return f"{name} is a link, {_target(link)}; {ALONE}"

        def elsewhere(name, item):
            if not isinstance(item, h5py.Dataset):
                return None
            if item.external or item.is_virtual:
                where = "in external storage" if item.external else "a virtual data set"
                return f"{name} is {where}; {ALONE}"
            stored = item.id.get_storage_size()
            if item.size and not stored and not _is_compact(h5py, item):
                return f"{name} has a shape but no values; it was cut off"
            return _growth(f"{name} ", item.nbytes, stored)

        wrong = opened.visititems_links(linked) or opened.visititems(elsewhere)
        if wrong:
            raise ValueError(f"{path}: {wrong}")
        yield opened


def _target(link) -> str:
    return f"to {getattr(link, 'filename', '')}:{getattr(link, 'path', '')}".replace(" :", " ")


def _is_compact(h5py, item) -> bool:
    """Whether the values are in the data set's header."""
    return item.id.get_create_plist().get_layout() == h5py.h5d.COMPACT
