"""An sshd on 127.0.0.1, with keys of its own and as the user who tests, who is the only one whom it
lets in.

Debian: apt-get install openssh-server openssh-client.
"""

import contextlib
import getpass
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from services import accepts, programs, stop, wait_until
from train import host_flags

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
AllowUsers {user}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
"""


class Sshd:
    """host: how ssh and ssh_sweep.sh are to name it. path: a folder with an `ssh` that knows the
    keys, to be the first of PATH."""

    def __init__(self, folder: pathlib.Path, port: int):
        self.port, self.path = port, folder / "bin"
        self.host = f"ssh://{getpass.getuser()}@127.0.0.1:{port}"


@contextlib.contextmanager
def sshd() -> Iterator[Sshd]:
    daemon, ssh, keygen = programs("sshd", "ssh", "ssh-keygen")
    folder, port = pathlib.Path(tempfile.mkdtemp(prefix="sshd")), host_flags.free_port()
    for name in ("host_key", "user_key"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    service = Sshd(folder, port)
    (folder / "config").write_text(CONFIG.format(folder=folder, port=port, user=getpass.getuser()))
    key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port},[localhost]:{port} {key}")
    service.path.mkdir()
    (service.path / "ssh").write_text(
        f"#!/bin/sh\nexec {ssh} -F none -o IdentityFile={folder}/user_key "
        f'-o UserKnownHostsFile={folder}/known_hosts "$@"\n'
    )
    (service.path / "ssh").chmod(0o755)
    if os.geteuid() == 0:  # which a root's sshd wants
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    process = None
    try:
        with open(folder / "log", "w") as log:
            process = subprocess.Popen([daemon, "-D", "-e", "-f", folder / "config"], stderr=log)
        wait_until(lambda: process.poll() is not None or accepts(port), "sshd")
        yield service
    finally:
        if process:
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)
