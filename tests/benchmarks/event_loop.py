"""How jobs keep Krita from its own work: `python tests/benchmarks/event_loop.py [--steps 600]`.

A Krita of its own with a model that takes almost no time for a step, so that progress comes as
fast as it can. Prints how far apart the turns of Krita's event loop are, in milliseconds: while it
is idle, and while the job runs without and with previews. Of the longest gap it tells how much
Krita's main thread worked and how long it waited for a processor.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from real_editors import Krita, find_krita


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--steps", type=int, default=600)
    os.environ["UNDERPAINT_STEPS"] = str(parser.parse_args().steps)
    krita = Krita(*find_krita())
    try:
        krita.serve()
        said = krita.run("event_loop")["event_loop"]
    finally:
        krita.close()
    if error := said.pop("error"):
        sys.exit(f"It did not end: {error}")
    for name, found in said.items():
        gaps = sorted(found["gaps"])
        middle, most = gaps[len(gaps) // 2], gaps[len(gaps) * 95 // 100]
        worst, worked, waited = gaps[-1]
        print(
            f"{name}: median {middle[0]:.1f}, 95 % {most[0]:.1f}, worst {worst:.0f} (worked"
            f" {worked:.0f}, waited {waited:.0f}), {sum(gap[0] for gap in gaps) / 1000:.0f} s."
            f" {found['status']}"
        )


if __name__ == "__main__":
    main()
