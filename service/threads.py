"""Threads that are there from the start."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event


def started_threads(count: int, *, name: str) -> ThreadPoolExecutor:
    """So many, and not each when it is first needed: a limit on processes is one on threads, and who meets it then can
    neither read a file nor a body.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix=name)
    all_are_there = Event()
    for _ in range(count):
        threads.submit(all_are_there.wait)
    all_are_there.set()
    return threads
