"""Where the service looks for its control group, in the texts that machines and containers show."""

from pathlib import Path

import pytest

from service.workers.cgroups import CONTROLLERS, V1, V2, ControlGroup, NoControlGroups, Place, find_place

MOUNTS_V1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
40 31 0:37 {root} /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
MEMBERSHIP_V1 = "8:pids:{path}\n4:memory:{path}\n1:cpu,cpuacct:{path}\n0::/\n"
MOUNTS_V2 = "29 22 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
MEMBERSHIP_V2 = "0::{path}\n"


def test_version_1_has_a_folder_for_each_controller() -> None:
    place = find_place(mounts=MOUNTS_V1.format(root="/"), membership=MEMBERSHIP_V1.format(path="/user/7"))
    assert place.version is V1
    assert place.folders["memory"] == Path("/sys/fs/cgroup/memory/user/7")
    assert place.folders["cpu"] == Path("/sys/fs/cgroup/cpu,cpuacct/user/7")
    assert place.folders.keys() == set(CONTROLLERS)


def test_in_a_container_the_path_of_the_host_is_what_is_mounted() -> None:
    membership = MEMBERSHIP_V1.format(path="/docker/abc")
    place = find_place(mounts=MOUNTS_V1.format(root="/docker/abc"), membership=membership)
    assert place.folders["pids"] == Path("/sys/fs/cgroup/pids")


def test_version_2_has_one_folder_for_all() -> None:
    place = find_place(
        mounts=MOUNTS_V2.format(root="/"), membership=MEMBERSHIP_V2.format(path="/system.slice/skep.service")
    )
    assert place.version is V2
    assert set(place.folders.values()) == {Path("/sys/fs/cgroup/system.slice/skep.service")}


def test_in_version_2_processes_move_aside_before_controllers_are_handed_down(tmp_path: Path) -> None:
    # A folder like the kernel's, since no test can count on a machine with version 2 that may be written.
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.events").write_text("populated 1\n")
    (tmp_path / "cgroup.procs").write_text("23\n")
    (tmp_path / "memory.max").write_text("1048576\n")
    group = ControlGroup(workers_max=10)
    group.make(Place(V2, dict.fromkeys(CONTROLLERS, tmp_path), is_top=True))
    group.add(77)
    (own,) = tmp_path.glob("skep-*")
    assert (own / "service" / "cgroup.procs").read_text() == "23"
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    assert (own / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    workers = {path.name: path.read_text() for path in (own / "workers").iterdir()}
    assert workers == {"cpu.weight": "50", "memory.max": "917504", "pids.max": "36", "cgroup.procs": "77"}


def test_without_a_controller_there_is_no_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu pids\n")
    with pytest.raises(NoControlGroups, match="memory"):
        ControlGroup(workers_max=10).make(Place(V2, dict.fromkeys(CONTROLLERS, tmp_path), is_top=True))


def test_processes_of_a_group_that_is_not_ours_are_left_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.events").write_text("populated 1\n")
    (tmp_path / "cgroup.procs").write_text("23\n")
    with pytest.raises(NoControlGroups, match="delegated"):
        ControlGroup(workers_max=10).make(Place(V2, dict.fromkeys(CONTROLLERS, tmp_path), is_top=False))
    assert not (tmp_path / "cgroup.subtree_control").exists()


@pytest.mark.parametrize(
    ("mounts", "membership"),
    [("", ""), ("", "0::/\n"), (MOUNTS_V2.format(root="/"), "")],
    ids=["nothing", "not mounted", "not a member"],
)
def test_where_there_is_none_it_says_so(mounts: str, membership: str) -> None:
    with pytest.raises(NoControlGroups):
        find_place(mounts=mounts, membership=membership)
