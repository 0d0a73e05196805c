"""Folders of images behind a URL: copied to this machine once, however many processes ask for them."""

import fcntl
import hashlib
import shutil
from pathlib import Path

import pyarrow
from pyarrow.fs import FileSelector, FileSystem, FileType, copy_files

from searchlab.data.prepared import LoadHooks
from searchlab.errors import UserError

FETCHED = "fetched"
"""The folder below the data root that holds the copies."""

ALLOWED = "such as s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or file:///FOLDER"


def check_url(url: str) -> None:
    """Whether there is a folder behind a URL.

    Raises:
        UserError: there is none, or it cannot be reached.
    """
    _folder_at(url)


def fetched(url: str, root: Path, hooks: LoadHooks | None = None) -> Path:
    """The copy below `root` of the folder behind a URL. It is made once: what changes there later is not seen.

    Raises:
        UserError: the folder cannot be reached or copied.
    """
    files, folder = _folder_at(url)
    copy = root / FETCHED / f"{Path(folder).name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with copy.with_name(f"{copy.name}.lock").open("w") as lock:
            # Whoever comes second waits, and finds it there.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not copy.is_dir():
                (hooks or LoadHooks()).say(f"copying {url} to {copy}")
                half = copy.with_name(f"{copy.name}.part")
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir()
                copy_files(folder, str(half), source_filesystem=files)
                half.rename(copy)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"cannot be copied: {_line(error)}", where="data", value=url) from error
    return copy


def _folder_at(url: str) -> tuple[FileSystem, str]:
    try:
        files, folder = FileSystem.from_uri(url)
        kind = files.get_file_info(folder).type
        # Object stores have no folders, but names that begin alike.
        there = kind == FileType.Directory or bool(files.get_file_info(FileSelector(folder, allow_not_found=True)))
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"cannot be reached: {_line(error)}", where="data", value=url, allowed=ALLOWED) from error
    if not there:
        raise UserError("no such folder of images", where="data", value=url, allowed=ALLOWED)
    return files, folder


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
