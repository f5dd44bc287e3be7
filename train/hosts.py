"""Several hosts: a process on each runs the same command.

They meet, compare what they are about to run, and end together.

Process 0 holds the key-value store of jax.distributed. It carries a sign of life from each process
every second, last words, and the wish to stop. With a single process every function here is
trivial.
"""

import collections
import faulthandler
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from train import host_flags, meeting
from train.errors import BadInput
from train.meeting import LOST, SAY, Waiting, end

CONNECT = 300  # s for all processes to arrive

_pod = None


def initialise(flags, command: str) -> None:
    """Connects the processes on its first call; call it before JAX looks for devices.

    Raises BadInput.
    """
    global _pod
    if _pod:
        return
    if host_flags.alone(flags):
        return
    import jax

    from train import interruption

    heartbeat = flags.heartbeat or host_flags.HEARTBEAT
    where = flags.coordinator or "process 0"
    with Waiting(
        command, f"for {flags.num_processes or 'all'} processes to connect to {where}", CONNECT
    ):
        place = meeting.meet(flags)
        jax.distributed.initialize(
            place.coordinator,
            flags.num_processes,
            flags.process_id,
            coordinator_bind_address=place.bind,
            # JAX's own limits, which would end the process without a line of ours
            initialization_timeout=2 * CONNECT,
            heartbeat_timeout_seconds=max(120, 2 * heartbeat),
        )
    meeting.listen_at(place.address)
    interruption.take_signals()
    _pod = Pod(command, heartbeat, flags.watchdog or host_flags.WATCHDOG)


class Pod:
    """The processes, as seen by one of them."""

    def __init__(self, command: str, heartbeat: int, watchdog: int):
        from jax._src import distributed  # the store has no public name

        state = distributed.global_state
        self.client, self.me, self.count = state.client, state.process_id, state.num_processes
        self.command, self.heartbeat, self.watchdog = command, heartbeat, watchdog
        self.hosts, self.shared = [""] * self.count, 0
        self.passed, self.step, self.answered, self.last = 0, 0, False, None  # for `requested`
        self.lock, self.over, self.beat = threading.Lock(), threading.Event(), 0
        self.hosts = self.share(socket.gethostname())
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        if self.me:
            threading.Thread(target=self._watch_store, daemon=True).start()
        self.alive()

    def name(self, process: int) -> str:
        host = self.hosts[process]  # unknown until every process has sent its host
        return f"process {process} ({host})" if host else f"process {process}"

    def alive(self) -> None:
        """Postpones the watchdog.

        Its thread is C's, so it also ends a process that hangs inside a library.
        """
        faulthandler.dump_traceback_later(self.watchdog, exit=True)

    def set(self, key: str, value: str) -> None:
        self.client.key_value_set(f"canon/{key}/{self.me}", value, allow_overwrite=True)

    def get(self, key: str, process: int, seconds: float = SAY) -> str | None:
        """The value of a process; None if there is none after `seconds`."""
        try:
            return self.client.blocking_key_value_get(f"canon/{key}/{process}", int(1000 * seconds))
        except Exception as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
            return None

    def all(self, key: str) -> list[str]:
        """The values of all processes, in order."""
        values = []
        for process in range(self.count):
            while (value := self.get(key, process)) is None:
                print(
                    f"{self.command}: waiting for {self.name(process)}", file=sys.stderr, flush=True
                )
            values.append(value)
        return values

    def share(self, value: str) -> list[str]:
        self.shared += 1
        self.set(f"shared/{self.shared}", value)
        return self.all(f"shared/{self.shared}")

    def _watch(self):
        try:
            self._watch_others()
        except RuntimeError:  # from JAX: the store does not answer
            if not self.over.is_set():
                self._lose_process_0("its connection broke")

    def _watch_store(self):
        """Ends this process if process 0 is silent, which also blocks `_watch`."""
        before, silent = 0, 0
        while not self.over.wait(1):
            silent = silent + 1 if self.beat == before else 0
            before = self.beat
            if silent > self.heartbeat:
                self._lose_process_0(f"silent for {silent} s")

    def _lose_process_0(self, how: str):
        end(f"{self.command}: {self._lost(0, how)}", LOST)

    def _lost(self, process: int, how: str) -> str:
        return f"{self.name(process)} is lost, {how}; the same command resumes"

    def _watch_others(self):
        before, silent, waited = {}, collections.Counter(), (0, 0)
        for self.beat in range(sys.maxsize):
            self.set("alive", json.dumps([self.beat, self.passed, self.step]))
            # seconds are counted, not measured: a pause of this process makes no other seem lost
            if self.over.wait(1):
                return
            now = {
                key.removeprefix("canon/"): value
                for key, value in self.client.key_value_dir_get("canon/")
            }
            for p in set(range(self.count)) - {self.me}:
                if f"words/{p}" in now:
                    line, code = json.loads(now[f"words/{p}"])
                    self._end(f"{self.name(p)} ended: {line}", code)
                silent[p] = (
                    silent[p] + 1 if now.get(f"alive/{p}") == before.get(f"alive/{p}") else 0
                )
                if silent[p] > self.heartbeat:
                    self._end(self._lost(p, f"silent for {silent[p]} s"), LOST)
            if any(key.startswith("stop/") for key in now):
                with self.lock:
                    self._answer()
            waited = (self.passed, waited[1] + 1) if waited[0] == self.passed else (self.passed, 0)
            if waited[1] and waited[1] % (6 * SAY) == 0:
                self._say_for_whom(now)
            before = now

    def _say_for_whom(self, now: dict[str, str]) -> None:
        others = {
            p: json.loads(now[f"alive/{p}"])
            for p in range(self.count)
            if p != self.me and f"alive/{p}" in now
        }
        behind = [p for p, (_, passed, _) in others.items() if passed < self.passed]
        if behind:
            who = ", ".join(f"{self.name(p)} at step {others[p][2]:,}" for p in behind)
            print(
                f"{self.command}: at step {self.step:,}, waiting for {who}",
                file=sys.stderr,
                flush=True,
            )

    def _end(self, line: str, code: int):
        if not self.over.is_set():
            self.set("read", "")
            end(f"{self.command}: {line}", code)

    def _answer(self) -> None:
        if not self.answered:
            self.answered = True
            self.set("passed", str(self.passed))

    def requested(self, step: int, wanted: bool) -> bool:
        """Whether all processes end now.

        Each process reports how far it was when it heard of the wish; all end at the first question
        after the furthest one. The thread reports, as the main one may be waiting for devices that
        wait for a process that is behind.
        """
        self.alive()
        with self.lock:
            if wanted and not self.answered:
                self.set("stop", "")
                self._answer()
            if self.answered and self.last is None:
                self.lock.release()
                self.last = max(map(int, self.all("passed")))
                self.lock.acquire()
            if self.answered and self.passed >= self.last:
                return True
            self.passed, self.step = self.passed + 1, step
            return False


def requested(step: int, wanted: bool) -> bool:
    """Whether all processes end now, because one of them `wanted` it.

    All of them must call it equally often.
    """
    return _pod.requested(step, wanted) if _pod else wanted


def alive() -> None:
    """Postpones the watchdog, for long work without `requested`."""
    if _pod:
        _pod.alive()


def share(value: str = "") -> list[str]:
    """The value of each process, in order, once all have called this.

    A process that is missing is named every few seconds.
    """
    return _pod.share(value) if _pod else [value]


def compare(facts: Callable[[], dict[str, object]]) -> None:
    """Raises BadInput, the same in every process, if the facts of one process differ.

    The message names the process and the facts. With two processes nothing shows which one is
    wrong; the message then names process 1.
    """
    if _pod is None:
        return
    found = [json.loads(text) for text in share(json.dumps(facts()))]
    differing = {}
    for key in dict.fromkeys(key for facts in found for key in facts):
        texts = [json.dumps(facts.get(key)) for facts in found]
        common = collections.Counter(texts).most_common(1)[0][0]
        for process, text in enumerate(texts):
            if text != common:
                differing.setdefault(process, []).append(
                    f"{key} is {text}, not {common}".replace('"', "")
                )
    if differing:
        of_each = (
            f"{_pod.name(process)} differs from the others: {'; '.join(what)}"
            for process, what in differing.items()
        )
        refuse("; ".join(of_each))


def refuse(line: str):
    """Raises BadInput in a place that every process reaches for the same reason."""
    error = BadInput(line)
    error.together = True
    raise error


def first() -> bool:
    """Whether this is process 0, which writes."""
    return _pod is None or _pod.me == 0


def name(process: int) -> str:
    return _pod.name(process) if _pod else "this process"


def blame(error: Exception) -> None:
    """After a connection error, waits to learn which process failed.

    This process then exits with that process's message.
    """
    if _pod and any(word in str(error) for word in ("Gloo", "UNAVAILABLE", "DEADLINE_EXCEEDED")):
        time.sleep(_pod.heartbeat + SAY)


def leave(line: str, code: int, *, together: bool) -> None:
    """Shuts this process down.

    together: wait until every process is here; otherwise exit now and end the others too, with
    `line`.
    """
    if _pod is None or _pod.over.is_set():
        return
    if together:
        share()
    _pod.over.set()
    if not together:
        _pod.set("words", json.dumps([line, code]))
        for process in range(_pod.count) if _pod.me == 0 else ():
            if process:
                _pod.get("read", process, seconds=3)  # the store ends with process 0
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # JAX's own exit waits for all processes
    _pod.thread.join()
    faulthandler.cancel_dump_traceback_later()
    import jax

    jax.distributed.shutdown()
