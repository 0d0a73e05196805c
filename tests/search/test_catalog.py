from pathlib import Path

import pytest
from raises import raises_code

from searchlab.candidate import Candidate
from searchlab.objective import OBJECTIVES
from searchlab.search.catalog import SourceFile, available, find, load_space, load_studies, named_studies, with_files
from searchlab.search.static_reading import read_studies
from searchlab.serialization import from_plain, to_plain
from searchlab.study import Study
from searchlab.user_file import UserFile

STUDY = '''"""{about}."""
from searchlab.study import Study

def study():
    return Study(space="small_resnet", data="digits"{more})
'''


TWO = '''"""On two data sets."""
from searchlab.study import Study

def study():
    return tuple(Study(space="small_resnet", data=data{more}) for data in ("digits", "synthetic"))
'''


def load_study(source: SourceFile) -> Study:
    (study,) = load_studies(source)
    return study


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: str, text: str) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def test_a_built_in_study_and_its_space_are_found_by_name_from_anywhere():
    source = find("study", "digits")
    study = load_study(source)
    assert (study.name, study.data) == ("digits", "digits")
    assert callable(load_space(find("space", study.space, beside=source.path)))


@pytest.mark.parametrize("kind", ["study", "space"])
def test_everything_that_searchlab_brings_loads(kind):
    for source in available(kind):
        assert load_studies(source) if kind == "study" else load_space(source)
        assert source.summary


def test_a_file_of_the_users_hides_a_built_in_one():
    write("studies/digits.py", STUDY.format(about="Mine", more=", epochs=3"))
    study = load_study(find("study", "digits"))
    assert (study.epochs, study.name, study.description) == (3, "digits", "Mine")
    assert [source.path.resolve() for source in available("study") if source.name == "digits"] == [
        Path("studies/digits.py").resolve()
    ]


def test_several_studies_in_a_file_are_named_after_their_data_and_found_by_their_names():
    write("studies/both.py", TWO.format(more=""))
    source, studies = named_studies("both")
    assert [(study.name, study.description) for study in studies] == [
        ("both-digits", "On two data sets"),
        ("both-synthetic", "On two data sets"),
    ]
    assert named_studies("both-synthetic") == (source, studies[1:])
    assert named_studies("studies/both.py")[1] == studies
    with raises_code("unknown-study", value="both-mnist"):
        named_studies("both-mnist")


def test_a_file_hides_a_part_of_the_same_name():
    write("studies/both.py", TWO.format(more=""))
    write("studies/both-digits.py", STUDY.format(about="One", more=", epochs=3"))
    (study,) = named_studies("both-digits")[1]
    assert (study.name, study.epochs) == ("both-digits", 3)


def test_by_path_named_after_the_file_unless_it_names_itself():
    write("elsewhere/first.py", STUDY.format(about="One", more=""))
    write("elsewhere/second.py", STUDY.format(about="Two", more=", name='other', description='Said'"))
    assert load_study(find("study", "elsewhere/first.py")).name == "first"
    second = load_study(find("study", str(Path("elsewhere/second.py").absolute())))
    assert (second.name, second.description) == ("other", "Said")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (("work/spaces/mine.py", "spaces/mine.py", "work/mine.py"), "work/spaces/mine.py"),
        (("spaces/mine.py", "work/mine.py", "here/spaces/mine.py"), "spaces/mine.py"),
        (("work/mine.py", "here/spaces/mine.py"), "work/mine.py"),
        (("here/spaces/mine.py",), "here/spaces/mine.py"),
    ],
)
def test_the_space_nearest_to_the_study_wins(here, monkeypatch, at, expected):
    for path in at:
        write(path, "")
    write("here/keep", "")
    monkeypatch.chdir(here / "here")
    assert find("space", "mine", beside=here / "work/study.py").path == here / expected


def test_a_study_and_its_space_may_have_one_name(here):
    write("studies/mine.py", STUDY.format(about="Mine", more=""))
    write("spaces/mine.py", "")
    beside = find("study", "mine").path
    assert find("space", "mine", beside=beside).path.resolve() == here / "spaces/mine.py"


def test_a_space_by_path_is_beside_its_study(here):
    write("work/spaces/odd.py", "")
    assert find("space", "spaces/odd.py", beside=here / "work/study.py").path == here / "work/spaces/odd.py"


def loads(text: str, load=load_study) -> None:
    load(find("study", str(write("bad.py", text))))


def test_a_syntax_error_names_file_line_and_text():
    with raises_code("invalid-python", where="bad.py:3", value="def study(:"):
        loads("x = 1\n\ndef study(:\n    pass\n")


def test_a_file_without_the_function():
    with raises_code("missing-function", where="bad.py", mentions="study()"):
        loads("x = 1")
    with raises_code("missing-function", where="bad.py", mentions="space()"):
        loads("space = 3", load_space)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("def study(): return {'space': 'x'}", "dict"),
        (TWO.format(more="") + "one = study\ndef study(): return (*one(), 'x')", "str"),
        ("def study(): return ()", "tuple"),
    ],
)
def test_a_study_that_returns_something_else(text, value):
    with raises_code("wrong-return-type", where="bad.py", value=value, mentions="Study"):
        loads(text)


def test_studies_of_one_name_in_a_file():
    with raises_code("duplicate-name", where="bad.py", value=["same", "same"]):
        loads(TWO.format(more=", name='same'"), load_studies)


@pytest.mark.parametrize(("text", "line"), [("\n1 / 0\ndef study(): pass", 2), ("def study():\n\n  1 / 0", 3)])
def test_a_file_that_raises_is_named_with_its_line(text, line):
    with raises_code("user-code-raised", where=f"bad.py:{line}", mentions="ZeroDivisionError: division by zero"):
        loads(text)


def test_a_wrong_field_is_named_with_its_line():
    with raises_code("invalid-field", where="bad.py:5", value=0, mentions="Study.epochs"):
        loads(STUDY.format(about="Bad", more=", epochs=0"))


@pytest.mark.parametrize(
    ("content", "code", "where"),
    [
        (b'"""Caf\xe9."""\ndef study(): pass\n', "invalid-encoding", "bad.py:1"),
        (b"x = 1\n# \xff\ndef study(): pass\n", "invalid-encoding", "bad.py:2"),
        (b"# coding: nonsense\ndef study(): pass\n", "invalid-encoding", "bad.py:1"),
        (b"x = 1\n\ny = '\0'\n", "invalid-python", "bad.py:3"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "invalid-python", "bad.py"),
    ],
    ids=["latin-1", "a byte", "no encoding", "a null byte", "too deep"],
)
def test_a_file_that_is_no_python_is_one_line_with_its_place(content, code, where):
    Path("bad.py").write_bytes(content)
    for use in (load_study, load_space, lambda source: source.summary, read_studies):
        with raises_code(code) as raised:
            use(find("study", "bad.py"))
        assert raised.value.where.startswith(where)


def test_a_file_may_declare_another_encoding():
    text = '# coding: latin-1\n"""Caf\xe9."""\nfrom searchlab.study import Study\ndef study(): return Study("s", "d")\n'
    Path("old.py").write_bytes(text.encode("latin-1"))
    assert load_study(find("study", "old.py")).description == "Caf\xe9"


def test_objectives_may_be_named_in_a_study_file():
    file = write("mine.py", STUDY.format(about="Mine", more=", objectives=('accuracy', 'macs')"))
    study = load_study(find("study", str(file)))
    assert study.objectives == (OBJECTIVES["accuracy"], OBJECTIVES["macs"])
    assert from_plain(Study, to_plain(study)) == study
    mentions = ["Study.objectives.1", "did you mean 'macs'? known: accuracy"]
    with raises_code("invalid-field", value="mac", mentions=mentions):
        loads(STUDY.format(about="Bad", more=", objectives=('accuracy', 'mac')"))


def test_a_missing_import_is_named():
    with raises_code("user-code-raised", where="bad.py:1", mentions="No module named 'nowhere'"):
        loads("import nowhere")


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        (", epochs=0", raises_code("invalid-field", value=0, mentions="invalid Study.epochs:")),
        (", epoch=3", raises_code("unknown-field", value=3, mentions="unknown field Study.epoch:")),
        (", objectives=()", raises_code("invalid-field", value=(), mentions="Study.objectives")),
        (", rungs=(5,), epochs=5", raises_code("invalid-field", mentions=["rungs", "(5)", "[5]"])),
        (", min_accuracy=2", raises_code("invalid-field", value=2, mentions="invalid Study.min_accuracy:")),
    ],
)
def test_a_wrong_field_is_named(more, refused):
    with refused:
        loads(STUDY.format(about="Bad", more=more))


@pytest.mark.parametrize("where", ["module", "function"])
def test_a_file_that_ends_the_process_does_not(where):
    text = "import sys\nsys.exit(3)\n" if where == "module" else "import sys\ndef study(): sys.exit(3)\n"
    with raises_code("user-code-raised", where="bad.py:2", mentions="SystemExit"):
        loads(text)


def test_a_file_that_is_no_text():
    Path("bad.py").write_bytes(b"\xff\xfe\x00study")
    with raises_code("invalid-encoding", where="bad.py:1"):
        load_study(find("study", "bad.py"))


def test_unknown_names_list_the_known():
    write("studies/mine.py", "")
    with raises_code("unknown-study", value="nope", mentions=["known: cifar10_small, digits, ", " mine, "]):
        find("study", "nope")
    with raises_code("unknown-space", value="nope", mentions="small_resnet"):
        find("space", "nope")
    with raises_code("path-not-found", value="nope.py"):
        find("study", "nope.py")


def test_a_candidate_comes_out_of_a_space_file():
    write("spaces/plain.py", "from tiny import tiny_candidate\ndef space(choose): return tiny_candidate()\n")
    assert isinstance(load_space(find("space", "plain"))(None), Candidate)


# -- files that a study names

NAMING = STUDY.format(about="Own", more=", sampler='./mine.py', scores=('sub/ratio.py', 'margin', 'sub/ratio.py')")


def test_a_study_carries_the_text_of_files_named_relative_to_its_own():
    write("work/mine.py", "the sampler")
    write("work/sub/ratio.py", "the score")
    files = load_study(find("study", str(write("work/own.py", NAMING)))).files
    assert [(file.name, file.text) for file in files] == [("./mine.py", "the sampler"), ("sub/ratio.py", "the score")]
    assert files[0].path == str(Path("work/mine.py").absolute())


def test_a_file_that_a_study_names_and_is_absent():
    write("work/mine.py", "the sampler")
    with raises_code("path-not-found", where="work/own.py", value="work/sub/ratio.py"):
        load_study(find("study", str(write("work/own.py", NAMING))))


def test_what_is_stored_stands_in_for_a_file_that_is_gone():
    study = Study("small_resnet", "digits", sampler="mine.py")
    stored = UserFile("mine.py", "/away/mine.py", "stored")
    assert with_files(study, Path("work/own.py"), [stored]).files == (stored,)
    write("work/mine.py", "now")
    (file,) = with_files(study, Path("work/own.py"), [stored]).files
    assert file.text == "now"


def test_studies_of_a_file_are_named_after_their_data_sets_files():
    write("pets.py", "")
    write("both.py", TWO.format(more="").replace('"synthetic"', '"./pets.py"'))
    assert [study.name for study in load_studies(find("study", "both.py"))] == ["both-digits", "both-pets"]
