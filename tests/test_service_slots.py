"""Slots: no more threads compute than may, those that went first go first, and waiting costs no slot."""

import threading
import time
from collections.abc import Callable

from serving.slots import Slots, WaitingFuture


def run(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_no_more_threads_compute_than_may() -> None:
    slots = Slots(2)
    inside, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with slots.computing():
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                with lock:
                    inside -= 1

    for thread in [run(work) for _ in range(8)]:
        thread.join(20)
    assert most == 2


def test_first_come_first_served_and_resumed_before_new() -> None:
    slots = Slots(1)
    future: WaitingFuture[int] = WaitingFuture(slots)
    order: list[object] = []
    waits = threading.Event()

    def resumed() -> None:
        with slots.computing():
            waits.set()
            order.append(future.result())

    def new(number: int) -> None:
        with slots.computing():
            order.append(number)

    threads = [run(resumed)]
    assert waits.wait(10)
    time.sleep(0.05)
    with slots.computing():
        for number in range(5):
            threads.append(run(lambda number=number: new(number)))  # type: ignore[misc]
            time.sleep(0.02)
        future.set_result(42)
        time.sleep(0.05)
    for thread in threads:
        thread.join(10)
    assert order == [42, 0, 1, 2, 3, 4]


def test_waiting_is_not_computing() -> None:
    slots = Slots(1)
    future: WaitingFuture[None] = WaitingFuture(slots)
    threading.Timer(0.2, future.set_result, [None]).start()
    with slots.computing() as watch:
        future.result()
        assert watch.computed < 0.15
        time.sleep(0.05)
    assert 0.04 < watch.computed < 0.2
    with slots.computing() as watch:
        future.result()
    assert watch.waited < 0.1
