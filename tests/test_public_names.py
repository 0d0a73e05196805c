"""The two public modules: `searchlab` and `searchlab.lab`."""

import ast
import importlib
from pathlib import Path

import searchlab
from searchlab import lab


def re_exported(path: str) -> dict[str, str]:
    """Name to module, of the imports "from module import name as name"."""
    tree = ast.parse((Path(searchlab.__file__).parent / path).read_text())
    found = [(node, alias) for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert all(alias.asname == alias.name for _, alias in found), "mypy takes no other spelling for public"
    return {alias.name: "." * node.level + (node.module or "") for node, alias in found}


def test_every_public_name_is_there_and_is_that_of_its_module():
    for name, module in re_exported("__init__.pyi").items():
        assert getattr(searchlab, name) is getattr(importlib.import_module(module, "searchlab"), name)
    for name, module in re_exported("lab.py").items():
        assert getattr(lab, name) is getattr(importlib.import_module(module), name)


def test_a_name_is_in_one_of_the_two():
    assert re_exported("__init__.pyi").keys() & re_exported("lab.py").keys() == set()
