"""A session from a script, in processes that are killed somewhere in it.

As a program: ``scripted_session.py FOLDER ROUNDS`` prints for each round how many steps the
process had told of when it was killed, -1 for none.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from napari_pvpu.journal import Journal
from napari_pvpu.prompts import Click, Scribble
from pictures import CENTERS, IMAGE, new_session, seen


def steps(session):
    """Yield after each step of a session, forty of them."""
    for number in range(5):
        for name in ("grey", "bright"):
            row, col = CENTERS[name]
            yield session.add(Click((row + number, col)))
        yield session.add(Scribble([(2, 2 + number), (2, 40)], False))
        yield session.paint(np.ones((3, 3), bool), offset=(60, 10 + 8 * number))
        yield setattr(session, "threshold", 0.4 + number / 20)
        yield session.accept(overlap="overwrite")
        yield session.grow(max(session.objects), 1)
        yield session.undo()


def reference():
    """Return what is seen after so many operations, and operations after so many steps."""
    session = new_session()
    states = {0: seen(session)}
    counts = []
    for _ in steps(session):
        states[len(session.operations)] = seen(session)
        counts.append(len(session.operations))
    return states, counts


def work(path, tell):
    """Do the steps and tell of each, until killed."""
    session = new_session()
    Journal.create(path, session, IMAGE)
    for number, _ in enumerate(steps(session)):
        os.write(tell, bytes([number + 1]))
    time.sleep(60)


def killed(path, seconds):
    """Kill a process after so many seconds; return the last step it told of."""
    listen, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(listen)
        work(path, tell)
        os._exit(1)
    os.close(tell)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = b""
    while part := os.read(listen, 4096):
        told += part
    os.close(listen)
    return len(told) - 1


if __name__ == "__main__":
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    begin = time.perf_counter()
    reference()
    whole = time.perf_counter() - begin
    chance = random.Random(0)
    for index in range(rounds):
        sys.stdout.write(f"{killed(folder / f'{index}.pvpu', chance.uniform(0, 1.2 * whole))}\n")
