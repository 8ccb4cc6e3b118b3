"""Both editors against one daemon, at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from real_editors import Gimp, Krita, find_gimp


def test_each_editor_gets_its_own_results(krita: Krita) -> None:
    gimp = Gimp(*find_gimp(), home=krita.home)
    krita.serve()
    with ThreadPoolExecutor() as pool:
        there = pool.submit(gimp.run, "shared")
        here = krita.run("shared")["shared"]
        other = there.result()["shared"]
    gimp.close()
    for said, name in ((here, "from Krita"), (other, "from GIMP")):
        assert not said["error"], said["error"]
        groups = [group for group in said["groups"] if group.startswith(name)]
        assert len(groups) == 3
        assert said["layers"] == [2, 2, 2]
        assert len(said["groups"]) - len(groups) <= 2  # the painting, and a background
