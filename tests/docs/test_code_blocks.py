"""Code blocks of the Markdown pages work: Python is executed, command lines are parsed, marked ones are executed.

The blocks of a page share a folder and run in their order: a file that one block shows is there for the next.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from pages import PAGES, ROOT, Block, blocks
from PIL import Image
from sklearn.datasets import load_digits

import searchlab
from searchlab.cli.main import app_for, main

SHELLS = ("console", "bash", "sh")
OTHER_LANGUAGES = ("", "text", "diff", "toml", "yaml", "json", "mermaid")
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


def targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def check_command(line: str) -> None:
    """Raises where `searchlab` or `make` would refuse the line, `searchlab` behind a launcher too.

    Other programs are not checked.
    """
    words = shlex.split(line, comments=True)
    if words[:1] == ["make"]:
        assert {each for each in words[1:] if "=" not in each} <= targets()
    elif "searchlab" in words:
        arguments = words[words.index("searchlab") + 1 :]
        if arguments and not arguments[0].startswith("-"):
            group = typer.main.get_command(app_for(arguments))
            group.commands[arguments[0]].make_context(arguments[0], arguments[1:])


@contextmanager
def smaller(options: tuple[str, ...]) -> Iterator[None]:
    """Overrides arguments of `searchlab.run` ("epochs=2"), so that an example takes seconds."""
    changed = {name: int(value) for name, _, value in (option.partition("=") for option in options)}
    with pytest.MonkeyPatch.context() as patch:
        if changed:
            real = searchlab.run
            patch.setattr(searchlab, "run", lambda study, **given: real(study, **given | changed))
        yield


def execute(block: Block) -> None:
    if block.language == "python":
        path = Path(block.file_name or f"line_{block.line}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        with smaller(block.options):
            exec(compile(block.text, str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})
        return
    for line in block.commands:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "searchlab", f"only searchlab is executed, not {program}"
        assert main([*arguments, *block.options]) == 0, line


def go_through(path: Path, *, slow: bool) -> None:
    """Checks or executes every block of a page; a failure names its line."""
    for block in blocks(path):
        where = f"{path.name}:{block.line}"
        assert block.language in (*SHELLS, *OTHER_LANGUAGES, "python"), f"{where}: unknown language {block.language!r}"
        try:
            if block.language in SHELLS:
                for line in block.commands:
                    check_command(line)
            runs = block.how == "run" or (block.language == "python" and not block.how)
            if runs or (slow and block.how == "slow"):
                execute(block)
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


@pytest.fixture
def page_folder(tmp_path, monkeypatch):
    """A working folder with one image, of a handwritten seven."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray((load_digits().images[7] * 15).astype("uint8")).save("seven.png")
    monkeypatch.setattr(sys, "argv", ["searchlab"])
    return tmp_path


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_the_code_of_a_page_works(name, page_folder):
    go_through(ROOT / name, slow=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [n for n in NAMES if any(block.how == "slow" for block in blocks(ROOT / n))])
def test_the_slow_code_of_a_page_works(name, page_folder):
    go_through(ROOT / name, slow=True)


def test_examples_import_public_modules_only():
    """What an example imports must not move without notice."""
    found = [
        f"{name}:{block.line}: {module}"
        for name in NAMES
        for block in blocks(ROOT / name)
        for module in re.findall(r"^(?:from|import) (searchlab[\w.]*)", block.text, flags=re.MULTILINE)
        if module not in ("searchlab", "searchlab.lab")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```python\nimport searchlab\nsearchlab.serach\n```", "AttributeError"),
        ("```console\n$ searchlab run digits --trails 3\n```", "No such option"),
        ("```console\n$ searchlab serach digits\n```", "KeyError"),
        ("```bash\nmake dmo\n```", "AssertionError"),
        ("```pyhton\nx\n```", "unknown language 'pyhton'"),
        ("<!-- example: run -->\n\n```console\n$ searchlab front nothing\n```", "searchlab front nothing"),
    ],
)
def test_a_wrong_block_is_found(page_folder, text, says):
    page = page_folder / "page.md"
    page.write_text(text)
    with pytest.raises(AssertionError, match=re.escape(says)) as caught:
        go_through(page, slow=False)
    assert str(caught.value).startswith(("page.md:1:", "page.md:3:"))


def test_a_marked_block_is_not_run(page_folder):
    page = page_folder / "page.md"
    page.write_text("<!-- example: not run: needs a cluster -->\n\n```python\n1 / 0\n```\n")
    go_through(page, slow=True)
    page.write_text("<!-- example: slow -->\n\n```python\n1 / 0\n```\n")
    go_through(page, slow=False)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        go_through(page, slow=True)


def test_a_misspelt_mark_is_found(page_folder):
    """Else a block that is meant to run would only be parsed."""
    page = page_folder / "page.md"
    page.write_text("<!-- example: rnu -->\n\n```console\n$ searchlab runs\n```\n")
    with pytest.raises(ValueError, match="unknown mark <!-- example: rnu -->"):
        go_through(page, slow=False)
