"""A driver in a process of its own, with trials that are made up: `python driver_process.py URL [TRIAL]`.

It prints the numbers of the trials that it told; at TRIAL, it waits to be killed.
"""

import sys
from pathlib import Path
from threading import Event

sys.path.insert(0, str(Path(__file__).parent.parent))

from tiny import IMAGES, Seen, made_record, run, tiny_space

from searchlab.search.driver import Driver, Problem
from searchlab.search.storage import open_storage
from searchlab.search.store import StudyStore
from searchlab.study import RunOptions

NAME, BEGUN = "tiny", "begun"


def driver_at(url: str) -> Driver:
    store = StudyStore.load(NAME, open_storage(url, create=False), url)
    return Driver(Problem(store.definition.study, tiny_space, IMAGES), store, RunOptions(), "cpu", Seen())


def main(url: str, fatal: int | None) -> None:
    def outcome(spec):
        if spec.number == fatal:
            print(BEGUN, flush=True)
            Event().wait()
        return made_record(spec)

    print(*run(driver_at(url), outcome))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
