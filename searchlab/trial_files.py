"""Names of the files in a trial's folder, and errors for files that cannot be written.

`searchlab/artefacts.py` reads and writes them with torch, which commands that only read a store do not import.
"""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from searchlab.errors import RunError
from searchlab.schema import Plain, upgraded

WEIGHTS, TABLE, RECORD, STATE = "weights.safetensors", "exit_table.npz", "record.json", "state.json"


@contextmanager
def disk_errors(folder: Path, see: str = "--output") -> Iterator[None]:
    """Turns errors of the operating system about a folder into one line; the study can be resumed.

    `see` is the option that names another folder.
    """
    try:
        yield
    except OSError as error:
        mend = "free disk space, then resume" if error.errno == errno.ENOSPC else f"see {see}"
        raise RunError(
            "cannot-write", f"cannot write: {error.strerror or error}", where=str(folder), allowed=mend
        ) from error
    except SafetensorError as error:
        raise RunError(
            "cannot-write", f"cannot write weights: {error}", where=str(folder), allowed="check for free disk space"
        ) from error


def read_record(folder: Path) -> Plain:
    """Reads the record in a trial's folder, with today's fields, unchecked.

    Raises:
        UserError: a newer searchlab wrote it.
        OSError: it is missing.
        ValueError: it is damaged.
    """
    plain = json.loads((folder / RECORD).read_text())
    if not isinstance(plain, dict):
        raise ValueError("a record is a dict")
    return upgraded("TrialRecord", plain, str(folder / RECORD))
