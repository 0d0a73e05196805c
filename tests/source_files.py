"""The modules of the package and of the shelf as syntax trees, with their imports."""

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "searchlab"
SHELF = ("spaces", "studies")
"""Folders beside the package: what is built on its public names alone."""


@dataclass(frozen=True)
class Module:
    """A file of the package; `path` is relative to it ("search/launch.py")."""

    path: str
    text: str

    @cached_property
    def part(self) -> str:
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        return ".".join(["searchlab", *self.path.removesuffix(".py").split("/")]).removesuffix(".__init__")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def functions(self) -> list["Functions"]:
        return [node for node in self.nodes if isinstance(node, Functions)]


@dataclass(frozen=True)
class Import:
    """One imported name, fully dotted ("searchlab.serialization.NOUN"), its line, and whether it is in a function."""

    target: str
    line: int
    lazy: bool

    @property
    def top(self) -> str:
        return self.target.split(".")[0]


Functions = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> list[Module]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [Module(path.relative_to(PACKAGE).as_posix(), path.read_text()) for path in paths]


@cache
def on_the_shelf() -> list[Module]:
    """Spaces, studies and papers; their paths begin with the folder's name ("studies/papers/gates/tables.py")."""
    paths = sorted(path for folder in SHELF for path in (PACKAGE.parent / folder).rglob("*.py"))
    return [Module(path.relative_to(PACKAGE.parent).as_posix(), path.read_text()) for path in paths]


@cache
def imports(module: Module) -> list[Import]:
    """Every import, those under TYPE_CHECKING and inside functions included."""
    inside = {
        id(node)
        for function in module.functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    found = []
    for node in module.nodes:
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            folder = module.path.removesuffix(".py").split("/")[: -node.level] if node.level else []
            source = ".".join(filter(None, [*(["searchlab"] if node.level else []), *folder, node.module]))
            targets = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [Import(target, node.lineno, id(node) in inside) for target in targets]
    return found
