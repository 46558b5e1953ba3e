"""Whose turn it is among accepted runs, and who may be accepted."""

from itertools import count

from service.domain.jobs import Job, JobQueue

_ids = count()


def job(workspace: str, size: int = 2) -> Job:
    return Job(
        id=f"{next(_ids):032x}", workspace=workspace, function="f", code=None, parameters_json=b"x" * size,
        revision=None, key="", callback=None, accepted_ms=0,
    )  # fmt: skip


def queue_of(*, jobs_max: int = 100, size: int = 10_000, at_once: int = 2, begun_max: int = 100) -> JobQueue:
    return JobQueue(jobs_max=jobs_max, jobs_max_bytes=size, at_once=at_once, begun_max=begun_max)


def fill(queue: JobQueue, workspace: str, wanted: int, size: int = 2) -> list[Job]:
    accepted = []
    for _ in range(wanted):
        one = job(workspace, size)
        if queue.has_room(workspace, size):
            queue.hold(one)
            queue.add(one)
            accepted.append(one)
    return accepted


def begun(queue: JobQueue) -> list[Job]:
    found = []
    while (one := queue.next()) is not None:
        found.append(one)
    return found


def test_workspaces_take_turns_and_none_has_more_than_its_number_at_once() -> None:
    queue = queue_of()
    many, few = fill(queue, "many", 5), fill(queue, "few", 1)
    assert begun(queue) == [many[0], few[0], many[1]]
    queue.end(many[0])
    queue.drop(many[0])
    assert begun(queue) == [many[2]]
    assert queue.waiting == 2


def test_there_is_always_room_for_the_next_workspace() -> None:
    queue = queue_of(jobs_max=12)
    accepted = [len(fill(queue, name, 100)) for name in ("a", "b", "c")]
    assert accepted[0] == 7
    assert min(accepted) >= 1


def test_size_counts_as_numbers_do() -> None:
    queue = queue_of(size=1000)
    assert len(fill(queue, "a", 100, size=100)) == 5
    assert len(fill(queue, "b", 100, size=100)) == 2


def test_one_that_is_withdrawn_does_not_begin_and_what_is_finished_leaves_nothing() -> None:
    queue = queue_of(at_once=1)
    first, second, third = fill(queue, "a", 3)
    queue.withdraw(second)
    queue.drop(second)
    assert begun(queue) == [first]
    queue.end(first)
    queue.drop(first)
    assert begun(queue) == [third]
    queue.end(third)
    queue.drop(third)
    assert not len(queue)
    assert queue.next() is None


def test_what_is_begun_is_shared_too() -> None:
    queue = queue_of(at_once=100, begun_max=9)
    fill(queue, "a", 20)
    assert len(begun(queue)) == 5
    fill(queue, "b", 20)
    assert len(begun(queue)) >= 2
