"""Folders of images behind a URL: copied to this machine once, for all processes."""

import hashlib
import shutil
from pathlib import Path

import pyarrow
from pyarrow.fs import FileSelector, FileSystem, FileType, copy_files

from searchlab.data.one_process import one_process
from searchlab.data.prepared import LoadHooks
from searchlab.errors import UserError

FETCHED = "fetched"
"""Name of the folder below the data root for the copies."""

ALLOWED = "such as s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or file:///FOLDER"


def check_url(url: str) -> None:
    """Checks that a URL is a folder.

    Raises:
        UserError: the folder is missing or cannot be reached.
    """
    _folder_at(url)


def fetched(url: str, root: Path, hooks: LoadHooks | None = None) -> Path:
    """Returns the local copy of the folder behind a URL. It is made once; later changes there are ignored.

    Raises:
        UserError: the folder cannot be reached or copied.
    """
    files, folder = _folder_at(url)
    copy = root / FETCHED / f"{Path(folder).name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with one_process(copy):
            # A second process waited, and finds the copy.
            if not copy.is_dir():
                (hooks or LoadHooks()).say(f"copying {url} to {copy}")
                half = copy.with_name(f"{copy.name}.part")
                shutil.rmtree(half, ignore_errors=True)
                half.mkdir()
                copy_files(folder, str(half), source_filesystem=files)
                half.rename(copy)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(
            "download-failed", f"cannot copy the folder: {_line(error)}", where="data", value=url
        ) from error
    return copy


def _folder_at(url: str) -> tuple[FileSystem, str]:
    try:
        files, folder = FileSystem.from_uri(url)
        kind = files.get_file_info(folder).type
        # Object stores have no folders, only common prefixes of names.
        there = kind == FileType.Directory or bool(files.get_file_info(FileSelector(folder, allow_not_found=True)))
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(
            "download-failed", f"cannot reach the folder: {_line(error)}", where="data", value=url, allowed=ALLOWED
        ) from error
    if not there:
        raise UserError("path-not-found", "image folder not found", where="data", value=url, allowed=ALLOWED)
    return files, folder


def _line(error: Exception) -> str:
    return str(error).splitlines()[0]
