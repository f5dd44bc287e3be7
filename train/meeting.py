"""Where the processes of several hosts meet before JAX connects them.

Process 0 listens at --coordinator, or at --bind; the others introduce themselves there. A
combination that cannot work ends in one line here: JAX would end such processes, and those that
already run, without one.
"""

import contextlib
import dataclasses
import errno
import functools
import ipaddress
import os
import select
import socket
import sys
import threading
import time

from train.errors import BadInput

GREETING = b"canon: who are you?\n"  # another program that listens at the port says something else
GO = "go"  # or the line that ends all processes
ANSWER = 30  # s within which a process 0 greets
LOST = 69  # EX_UNAVAILABLE of sysexits.h: another process is gone; the same command resumes
SAY = 10  # s of waiting before it is reported
STRANGER = 2  # s within which a connection must introduce itself
METADATA = "169.254.169.254"  # of Google Cloud, within reach of a host's first network interface


@dataclasses.dataclass
class Meeting:
    """coordinator, bind: HOST:PORT in numbers. address: where the others reach this process."""

    coordinator: str | None
    bind: str
    address: str


def meet(flags) -> Meeting:
    """Returns once all processes are there.

    Raises BadInput: an unknown host, a port that is in use, a process id that is taken, or another
    number of processes.
    """
    if flags.coordinator is None:  # on Cloud TPU JAX knows the others, and chooses the port
        address = _first_interface()
        return Meeting(None, f"{address}:8482", address)
    if flags.process_id == 0:
        return _receive(flags)
    return _join(flags)


def _first_interface() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((METADATA, 80))  # sends nothing
        return probe.getsockname()[0]


def _receive(flags) -> Meeting:
    """The meeting in process 0."""
    flag = "bind" if flags.bind else "coordinator"
    where = getattr(flags, flag)
    family, *_, place = _resolve(flag, where)[0]
    both = {"dualstack_ipv6": socket.has_dualstack_ipv6()} if family == socket.AF_INET6 else {}
    try:
        door = socket.create_server(place[:2], family=family, **both)
    except OSError as error:
        port = "; choose another port" if error.errno == errno.EADDRINUSE else ""
        reason = os.strerror(error.errno)
        raise BadInput(f"--{flag}: cannot listen at {where} ({reason}){port}") from None
    present = {}  # process -> its connection and its host
    with door:
        while len(present) < flags.num_processes - 1:
            connection, _ = door.accept()
            refusal = _receive_one(connection, present, flags.num_processes)
            present = {p: who for p, who in present.items() if not _is_gone(who[0])}
            if refusal:
                _say_to_all(present, refusal)
                raise BadInput(refusal)
    addresses = [_address(connection) for connection, _ in present.values()]
    _say_to_all(present, GO)
    # a process on this machine may use loopback, which the others cannot reach
    address = min(addresses, key=lambda text: ipaddress.ip_address(text).is_loopback)
    return Meeting(_text(address, place[1]), _text(*place[:2]), address)


def _receive_one(connection, present: dict, processes: int) -> str:
    """Enters a process that has connected; refuses one that would take another one's place.

    Returns the line that ends all processes, if there is one.
    """
    connection.settimeout(STRANGER)
    line = ""
    try:
        connection.sendall(GREETING)
        process, count, host = _line(connection).decode().split()
        process, count = int(process), int(count)
        if not 0 < process < count:
            raise ValueError("not a process of ours")
        if count != processes:
            line = (
                f"process {process} ({host}) has --num_processes={count}, process 0 has {processes}"
            )
            connection.sendall(f"{line}\n".encode())
        elif process in present and not _is_gone(present[process][0]):
            taken = f"--process_id: {process} is taken by a process on {present[process][1]}"
            connection.sendall(f"{taken}\n".encode())
        else:
            present[process] = connection, host
    except (OSError, ValueError):  # a stranger, or a process that has gone again
        connection.close()
    return line


def _join(flags) -> Meeting:
    """The meeting in every other process."""
    _resolve("coordinator", flags.coordinator)
    while True:
        with (
            contextlib.suppress(OSError),  # process 0 is not there yet, or has gone again
            socket.create_connection(_parts(flags.coordinator), timeout=ANSWER) as connection,
        ):
            if not _greets(connection):
                raise BadInput(
                    f"--coordinator: what listens at {flags.coordinator} is another program, or a "
                    "process 0 whose processes have all come; choose another port"
                )
            who = f"{flags.process_id} {flags.num_processes} {socket.gethostname()}\n"
            connection.sendall(who.encode())
            connection.settimeout(None)
            answer = _line(connection).decode().strip()
            if answer == GO:
                place = _text(*connection.getpeername()[:2])
                return Meeting(place, place, _address(connection))
            if answer:
                raise BadInput(answer)
        time.sleep(0.2)


def _greets(connection) -> bool:
    """Whether a process 0 greets. Raises OSError where the connection is closed."""
    text = b""
    while text != GREETING:
        try:
            text += (more := connection.recv(1))
        except TimeoutError:  # it is silent
            return False
        if not more:
            raise ConnectionResetError
        if not GREETING.startswith(text):
            return False
    return True


def _resolve(flag: str, where: str) -> list[tuple]:
    """What getaddrinfo finds, at least one. Raises BadInput for an unknown host."""
    host, port = _parts(where)
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not the name of a host"
        raise BadInput(f"--{flag}: unknown host {host!r} ({reason})") from None


def _parts(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    return host.strip("[]"), int(port)


def _text(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(connection) -> str:
    """The address of this end."""
    address = ipaddress.ip_address(connection.getsockname()[0])
    return str(getattr(address, "ipv4_mapped", None) or address)


def _line(connection) -> bytes:
    """The bytes up to the end of a line, or up to the end of the connection."""
    text = b""
    while not text.endswith(b"\n") and len(text) < 1000 and (more := connection.recv(1)):
        text += more
    return text


def _is_gone(connection) -> bool:
    """Whether the other end has closed it; a process sends nothing after its introduction."""
    return bool(select.select([connection], [], [], 0)[0])


def _say_to_all(present: dict, line: str) -> None:
    for connection, _ in present.values():
        try:
            connection.sendall(f"{line}\n".encode())
        except OSError:  # gone; JAX waits for it, and our line names it
            pass
        connection.close()


class Waiting:
    """Reports what it waits for, and ends the process after `limit` seconds."""

    def __init__(self, command, what, limit):
        self.over, self.thread = (
            threading.Event(),
            threading.Thread(target=self._say, args=(command, what, limit), daemon=True),
        )

    def _say(self, command, what, limit):
        for seconds in range(SAY, limit + 1, SAY):
            if self.over.wait(SAY):
                return
            print(f"{command}: waiting {what} ({seconds} s)", file=sys.stderr, flush=True)
        end(f"{command}: gave up waiting {what}", LOST)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()


def end(line: str, code: int):
    """Ends this process, whatever its other threads do."""
    with contextlib.suppress(OSError):  # standard error is full, or closed
        os.write(2, f"{line}\n".encode())
    os._exit(code)


def listen_at(address: str) -> None:
    """Makes Gloo, which carries what CPUs exchange, listen at this address only.

    By default it listens at whatever address the host's name resolves to.
    """
    import jax
    from jax._src import distributed, xla_bridge  # there is no public name for this

    if jax.config.jax_cpu_collectives_implementation == "gloo":
        gloo = xla_bridge._jax.make_gloo_tcp_collectives(
            distributed_client=distributed.global_state.client, hostname=address
        )
        make = functools.partial(xla_bridge.make_cpu_client, gloo)
        xla_bridge.register_backend_factory("cpu", make, priority=0, fail_quietly=False)
