"""Python wording of errors: `--max-params N` on the command line is `max_params=N` in Python."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from searchlab.errors import UserError, from_validation

COMMAND = re.compile(r"`searchlab (run|resume) ([^\s`]+)`")
FLAGS = frozenset({"download", "force", "smoke", "test"})
"""Options without a value."""

RENAMED = {"max_latency": "max_latency_ms"}
OF_CLUSTER = frozenset(
    {"address", "cpus_per_trial", "gpus_per_trial", "concurrent", "max_failures", "storage_path", "latency_node"}
)
OPTION = re.compile(r"--([a-z][a-z-]+)(?: ([A-Z]+\b|(?<=runner )tune))?")


@contextmanager
def in_python() -> Iterator[None]:
    """Makes user errors name parameters and functions instead of options and commands."""
    try:
        yield
    except ValidationError as error:
        raise from_validation(error, "searchlab") from error
    except UserError as error:
        error.what, error.where, error.allowed = map(python_words, (error.what, error.where, error.allowed))
        error.args = (str(error),)
        raise


def python_words(text: str) -> str:
    """Translates a message: "--name NAME" to "name=NAME", "`searchlab run x`" to a call of `run`."""
    return OPTION.sub(_parameter, COMMAND.sub(_call, text))


def _call(found: re.Match[str]) -> str:
    command, study = found.groups()
    return f"`searchlab.{command}({study})`" if study.isupper() else f'`searchlab.{command}("{study}")`'


def _parameter(found: re.Match[str]) -> str:
    option, value = found.groups()
    name = option.replace("-", "_")
    name = RENAMED.get(name, name)
    if name in FLAGS:
        return f"{name}=True"
    if name in OF_CLUSTER:
        name = f"Cluster.{name}"
    if value is None:
        return name
    return f"{name}={value!r}" if value.islower() else f"{name}={value}"
