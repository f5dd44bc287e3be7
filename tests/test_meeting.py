"""Processes of several hosts meet before JAX connects them: here threads in their place, on
127.0.0.1."""

import concurrent.futures
import contextlib
import socket
import threading
import time
import types

import pytest

from train import host_flags, meeting
from train.errors import BadInput


def flags(process: int, processes: int, port: int, bind=None):
    return types.SimpleNamespace(
        coordinator=f"localhost:{port}", process_id=process, num_processes=processes, bind=bind
    )


@pytest.fixture
def come():
    """Starts a process, and returns what becomes of it."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield lambda *given, **more: pool.submit(meeting.meet, flags(*given, **more))


def refused(future) -> str:
    with pytest.raises(BadInput) as error:
        future.result(timeout=20)
    assert "\n" not in str(error.value)
    return str(error.value)


@contextlib.contextmanager
def says(text: bytes):
    """A program that listens, and says this to who comes."""
    with socket.create_server(("127.0.0.1", 0)) as door, contextlib.ExitStack() as connections:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connections.enter_context(door.accept()[0]).sendall(text)

        threading.Thread(target=serve, daemon=True).start()
        yield door.getsockname()[1]


def test_processes_meet_in_any_order_and_know_the_address_by_which_the_others_reach_them(come):
    port = host_flags.free_port()
    others = [come(i, 3, port) for i in (2, 1)]
    time.sleep(0.3)
    first = come(0, 3, port)
    for future in (first, *others):
        place = future.result(timeout=20)
        assert place.coordinator == f"127.0.0.1:{port}" and place.address == "127.0.0.1"
    assert first.result().bind == f"127.0.0.1:{port}"


@pytest.mark.parametrize("bind", ["0.0.0.0", "[::]"])
def test_a_process_0_that_listens_everywhere_knows_where_the_others_came(come, bind):
    if bind == "[::]" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    port, inner = host_flags.free_port(), host_flags.free_port()
    first = come(0, 2, port, bind=f"{bind}:{inner}")  # as behind a port that is passed on
    assert come(1, 2, inner).result(timeout=20).coordinator == f"127.0.0.1:{inner}"
    place = first.result(timeout=20)
    assert (place.coordinator, place.address) == (f"127.0.0.1:{inner}", "127.0.0.1")
    assert place.bind == f"{bind}:{inner}"


def test_a_process_whose_id_is_taken_is_sent_away_and_the_others_meet(come):
    port = host_flags.free_port()
    rest = [come(0, 3, port), come(1, 3, port)]
    time.sleep(0.3)
    assert "--process_id: 1 is taken by a process on" in refused(come(1, 3, port))
    for future in (*rest, come(2, 3, port)):
        future.result(timeout=20)


def test_another_number_of_processes_ends_all_with_the_same_line(come):
    port = host_flags.free_port()
    rest = [come(0, 3, port), come(1, 3, port)]
    time.sleep(0.3)
    lines = {refused(future) for future in (*rest, come(2, 4, port))}
    assert lines == {
        f"process 2 ({socket.gethostname()}) has --num_processes=4, process 0 has 3",
    }


def test_the_place_of_a_process_that_is_gone_is_free_again(come):
    port = host_flags.free_port()
    first = come(0, 3, port)
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", port)) as gone:
        gone.sendall(b"1 3 here\n")
        time.sleep(0.3)
    for future in (come(1, 3, port), come(2, 3, port), first):
        future.result(timeout=20)


@pytest.mark.parametrize(
    "words", [b"", b"GET / HTTP/1.1\r\n\r\n", b"7 2 x\n", b"a b c\n", b"\xff\n"]
)
def test_a_stranger_takes_no_place(come, words, monkeypatch):
    monkeypatch.setattr(meeting, "STRANGER", 0.3)
    port = host_flags.free_port()
    first = come(0, 2, port)
    time.sleep(0.3)
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(words)
        come(1, 2, port).result(timeout=20)
    first.result(timeout=20)


@pytest.mark.parametrize("text", [b"\x00\x00\x18\x04\x00", b"220 mail.example ESMTP\r\n", b""])
def test_a_process_that_comes_to_another_program_or_too_late_is_refused(come, text, monkeypatch):
    monkeypatch.setattr(meeting, "ANSWER", 0.3)
    with says(text) as port:  # the first is what JAX's store says once all are there
        assert "another program, or a process 0 whose processes" in refused(come(1, 2, port))


def test_a_process_0_that_cannot_listen_is_refused(come):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = f"cannot listen at localhost:{port} (Address already in use); choose another port"
        assert refused(come(0, 2, port)) == f"--coordinator: {line}"
    line = refused(come(0, 2, port, bind=f"192.0.2.1:{port}"))  # of no machine
    assert line == f"--bind: cannot listen at 192.0.2.1:{port} (Cannot assign requested address)"


@pytest.mark.parametrize("process", [0, 1])
def test_an_unknown_host_is_refused(process, monkeypatch):
    given = flags(process, 2, 1)
    for host in ("no-such-host.invalid", "a" * 70, "a..b"):
        given.coordinator = f"{host}:8476"
        with pytest.raises(BadInput, match=f"--coordinator: unknown host '{host}'"):
            meeting.meet(given)


def test_gloo_listens_at_the_address_that_the_others_reach(monkeypatch):
    from jax._src import xla_bridge

    chosen, made = {}, {}
    monkeypatch.setattr(
        xla_bridge._jax, "make_gloo_tcp_collectives", lambda **given: chosen.update(given) or "gloo"
    )
    monkeypatch.setattr(
        xla_bridge,
        "register_backend_factory",
        lambda name, make, **_: made.update({name: make.args}),
    )
    meeting.listen_at("10.0.0.7")
    assert chosen["hostname"] == "10.0.0.7" and made == {"cpu": ("gloo",)}
