"""A study in PostgreSQL, on a real server that is started here; left out where PostgreSQL is not installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import driver_process
import pytest
from tiny import run, tiny_study

from searchlab.cli.main import main
from searchlab.search.storage import open_storage
from searchlab.search.store import Definition, StudyStore

pytest.importorskip("psycopg2", reason="needs searchlab[postgresql]")


def _program(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


INITDB, PG_CTL = _program("initdb"), _program("pg_ctl")
pytestmark = pytest.mark.skipif(not (INITDB and PG_CTL), reason="PostgreSQL is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The URL of a server's first database; it listens on a socket in a folder of its own."""
    # The path of a socket may have 107 characters.
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/searchlab-pg-XXXXXX"], text=True).strip())
    # PostgreSQL refuses to run as root.
    user = {"user": "postgres"} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres")
    data, quiet = str(folder / "data"), {"stdout": subprocess.DEVNULL, "cwd": folder, **user}
    subprocess.run([INITDB, "-D", data, "-U", "searchlab", "-A", "trust", "--no-sync"], check=True, **quiet)
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    subprocess.run([PG_CTL, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start"], check=True, **quiet)
    yield f"postgresql+psycopg2://searchlab@/postgres?host={folder}"
    subprocess.run([PG_CTL, "-D", data, "-m", "immediate", "-w", "stop"], check=True, **quiet)
    shutil.rmtree(folder)


@pytest.fixture
def url(server):
    """The same, with a study of 30 trials and no other."""
    study = tiny_study(name=driver_process.NAME, trials=30)
    storage = open_storage(server, create=True)
    StudyStore.discard(study.name, storage, server)
    StudyStore.create(Definition(study, study, "the space's text"), storage, server)
    return server


def begun(url: str, *arguments: object) -> subprocess.Popen:
    command = [sys.executable, driver_process.__file__, url, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_drivers_share_a_study(url):
    drivers = [begun(url), begun(url)]
    told = [[int(number) for number in driver.communicate(timeout=50)[0].split()] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0]
    records = driver_process.driver_at(url).records
    assert (
        sorted(number for each in told for number in each)
        == sorted(record.number for record in records)
        == list(range(len(records)))
    )
    # Both may ask for the last one at the same time.
    assert len(records) in (30, 31)


@pytest.mark.slow
def test_what_a_driver_that_was_killed_had_begun_is_taken_up_by_another(url):
    lost = begun(url, 3)
    assert lost.stdout.readline() == f"{driver_process.BEGUN}\n"
    living = driver_process.driver_at(url)
    assert 3 not in run(living, at_most=5), "its driver lives"
    lost.kill()
    lost.communicate()
    assert run(living)[0] == 3
    records = driver_process.driver_at(url).records
    assert sorted(record.number for record in records) == list(range(30))
    assert {record.state for record in records} == {"complete"}


@pytest.mark.slow
def test_the_command_line_reads_it_and_hides_the_password(url, capfd):
    run(driver_process.driver_at(url), at_most=2)
    capfd.readouterr()
    with_password = url.replace("searchlab@", "searchlab:secret@")
    assert main(["trials", "--storage", with_password]) == 0
    assert "2 complete" in capfd.readouterr().out
    assert main(["front", "absent", "--storage", with_password]) == 2
    complaint = capfd.readouterr().err
    assert "searchlab:***@" in complaint and "secret" not in complaint
