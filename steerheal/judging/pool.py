"""A bounded number of requests at a time; an interrupt waits for those under way, since they are paid for."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from steerheal.judging.outcome import Stopped

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_all(
    do: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    stop: threading.Event,
    on_done: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
) -> list[Result]:
    """`do` of every task, in the order of `tasks`, by at most `workers` threads at once.

    When a task raises, or the caller is interrupted, `stop` is set, no further task begins, those under way are
    waited for, and the exception goes on. A second interrupt leaves at once: the threads are daemons.
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    finished: queue.SimpleQueue = queue.SimpleQueue()
    for numbered in enumerate(tasks):
        waiting.put(numbered)
    threads = [
        threading.Thread(target=_work, args=(do, waiting, finished, stop), daemon=True)
        for _ in range(min(workers, len(tasks)))
    ]
    results: dict[int, Result] = {}
    try:
        for thread in threads:
            thread.start()
        while len(results) < len(tasks):
            number, result, error = finished.get()
            if error is not None:
                raise error
            results[number] = result
            on_done()
    except BaseException as error:
        stop.set()
        if isinstance(error, KeyboardInterrupt):
            on_stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    return [results[number] for number in range(len(tasks))]


def _work(do: Callable, waiting: queue.SimpleQueue, finished: queue.SimpleQueue, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            number, task = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            finished.put((number, do(task), None))
        except Stopped:
            return
        except BaseException as error:  # handed to the thread that waits for results
            finished.put((number, None, error))
            return
