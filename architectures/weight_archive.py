"""Files that hold files, or point to others: what they may ask of this machine. A zip file may
grow only so much when it is read, and an HDF5 file may hold only its own values.
"""

import contextlib
import zipfile
from collections.abc import Iterator

LARGE = 2**30  # bytes that any file may come to
ALONE = "only values of the file itself are read"
GROWTH = 100  # and how many times its size a larger one may come to


def check_size(path, archive: zipfile.ZipFile) -> None:
    """Raises ValueError, one line, where the members would grow to more than a file of weights
    does: float32 hardly shrinks."""
    members = archive.infolist()
    full = sum(member.file_size for member in members)
    wrong = _growth("", full, sum(member.compress_size for member in members))
    if wrong:
        raise ValueError(f"{path}: {wrong}")


def _growth(what: str, full: int, stored: int) -> str | None:
    if full > LARGE and full > GROWTH * stored:
        return f"{what}grows from {stored} bytes to {full}; refused, as weights do not"
    return None


@contextlib.contextmanager
def hdf5(path, file=None) -> Iterator:
    """An h5py.File of `path`, or of the open binary `file`, for reading.

    Raises ValueError, one line, for a link other than a hard one, and for values that lie in
    another file or nowhere: external storage, virtual data sets, ones that were never written.
    Such a file would be read as weights from wherever it points to.
    """
    import h5py

    with h5py.File(path if file is None else file, "r") as opened:
        # what a visitor raises is lost in h5py; what it returns ends the visit
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
    """Whether the values lie in the data set's header."""
    return item.id.get_create_plist().get_layout() == h5py.h5d.COMPACT
