"""Papers of the user's beside those that searchlab brings: found by name, imported as packages, refused in a line."""

from pathlib import Path

import pytest
from raises import raises_code

from searchlab.search.catalog import available, find, load_space, load_studies, named_studies, studies_on
from searchlab.search.paper_packages import import_part, known_papers, load_paper

TABLES = '''"""Tables of mine."""

from searchlab import Paper

from .evaluation import TITLE

PAPER = Paper(TITLE, lambda studies: ())
'''
STUDY = '''"""A paper of mine."""

from searchlab import Study


def study():
    return Study(space="mine", data="digits", paper="paper_mine")
'''
SPACE = '''"""What my paper varies."""

from searchlab import Candidate, ResNet


def space(choose):
    return Candidate(ResNet((1,), 4))
'''
FILES = {"study.py": STUDY, "space.py": SPACE, "tables.py": TABLES, "evaluation.py": 'TITLE = "On Mine"\n'}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str = "mine", files: dict[str, str] = FILES, place: str = ".") -> Path:
    folder = Path(place) / "studies" / "papers" / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def test_a_paper_of_the_users_is_found_like_one_that_searchlab_brings():
    folder = write()
    source, (study,) = named_studies("paper_mine")
    assert (study.name, study.description, study.paper) == ("paper_mine", "A paper of mine", "paper_mine")
    space = find("space", study.space, beside=source.path)
    assert space.path.resolve() == (folder / "space.py").resolve() and callable(load_space(space))
    assert {"paper_mine", "paper_limited"} <= known_papers().keys()
    assert {"paper_mine", "paper_limited"} <= {each.name for each in available("study")}
    assert {"mine", "limited"} <= {each.name for each in available("space")}
    assert load_paper("paper_mine").title == "On Mine", "its modules import each other"


def test_the_space_of_a_paper_is_searched_on_other_images_by_its_name():
    folder = write()
    for name in ("mine", "studies/papers/mine/space.py"):
        source, (study,) = studies_on(name, "digits_28x28")
        assert source is None and study.name == "mine-digits_28x28" and not study.paper
        assert study.space == str((folder / "space.py").absolute())
    assert studies_on("limited", "digits_28x28")[1][0].space == "limited", "what searchlab brings goes by its name"


def test_where_a_space_was_looked_for_includes_the_papers():
    with raises_code("unknown-space", value="absent", mentions=["searched in ./spaces", " ./studies/papers, "]):
        find("space", "absent")


def test_a_paper_is_run_by_the_path_of_its_study_from_another_folder(here, monkeypatch):
    folder = write().absolute()
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    source, (study,) = named_studies(str(folder / "study.py"))
    assert study.name == source.name == "paper_mine"
    assert find("space", "mine", beside=source.path).path == folder / "space.py"
    assert find("space", str(folder / "space.py")).name == "mine"
    monkeypatch.chdir(folder)
    assert load_studies(find("study", "study.py"))[0].name == "paper_mine", "by a relative path, too"


def test_a_paper_of_the_users_hides_one_of_the_same_name_that_searchlab_brings():
    write("limited", FILES | {"tables.py": TABLES.replace("mine", "limited")})
    assert load_paper("paper_limited").title == "On Mine"
    assert named_studies("paper_limited")[1][0].description == "A paper of mine"


def test_two_folders_of_one_name_in_one_process_are_two_papers(here, monkeypatch):
    titles = []
    for place in ("first", "second.one"):
        write("my-own.paper", FILES | {"evaluation.py": f'TITLE = "{place}"\n'}, place)
        monkeypatch.chdir(here / place)
        titles.append(load_paper("paper_my-own.paper").title)
        monkeypatch.chdir(here)
    assert titles == ["first", "second.one"]


def test_a_package_with_an_init_file_is_one_too():
    write(files=FILES | {"__init__.py": "NUMBER = 3\n", "tables.py": TABLES + "from . import NUMBER\n"})
    assert load_paper("paper_mine").title == "On Mine"


def test_a_folder_without_tables_is_a_study_and_no_paper():
    write(files={"study.py": STUDY, "space.py": SPACE})
    assert named_studies("paper_mine")[1]
    with raises_code("unknown-paper", where="Study.paper", value="paper_mine", mentions="known: paper_checkpoint"):
        load_paper("paper_mine")


@pytest.mark.parametrize(
    ("tables", "code", "where", "mentions"),
    [
        ("from .absent import x\n", "user-code-raised", "tables.py:1", "ModuleNotFoundError: No module named"),
        ("x = 1\n1 / 0\n", "user-code-raised", "tables.py:2", "ZeroDivisionError: division by zero"),
        ("def (\n", "invalid-python", "tables.py:1", ()),
        ("from .broken import x\n", "invalid-python", "broken.py:2", ()),
        ("from .raising import x\n", "user-code-raised", "raising.py:3", "KeyError: 'x'"),
        ("PAPER = 3\n", "missing-function", "tables.py", "PAPER = Paper(...)"),
        ("", "missing-function", "tables.py", "PAPER"),
    ],
)
def test_a_mistake_in_a_paper_is_one_line(tables, code, where, mentions):
    write(files=FILES | {"tables.py": tables, "broken.py": "\ndef (\n", "raising.py": "\n\nx = {}['x']\n"})
    with raises_code(code, mentions=mentions) as raised:
        load_paper("paper_mine")
    assert raised.value.where.endswith(f"studies/papers/mine/{where}")


def test_a_mended_file_is_read_again_in_the_same_process():
    folder = write(files=FILES | {"tables.py": "1 / 0\n"})
    with raises_code("user-code-raised", where="studies/papers/mine/tables.py:1"):
        load_paper("paper_mine")
    (folder / "tables.py").write_text(TABLES + "# mended\n")
    assert load_paper("paper_mine").title == "On Mine"


def test_a_part_that_is_not_there_is_one_line():
    write()
    with raises_code("cannot-read"):
        import_part("paper_mine", "absent")
