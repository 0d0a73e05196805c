"""Entry point: collects the commands; a UserError is printed as one line, with exit code 2."""

import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from typer import TyperException

import searchlab
from searchlab.cli.commands import add_commands
from searchlab.errors import Interrupted, UserError, from_validation

USER_ERROR, INTERRUPTED = 2, 130


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"searchlab {searchlab.__version__}")
        raise typer.Exit


def app_for(given: Sequence[str]) -> typer.Typer:
    """Makes the application for one command line."""
    app = typer.Typer(
        name="searchlab",
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help="Search for early-exit image classifiers: accuracy against latency, on your data and your device. "
        "Start with [bold]searchlab run digits[/bold]: it takes minutes and downloads nothing.",
        epilog="--debug, with any command, shows the traceback of an error.",
    )
    app.callback()(_options)
    add_commands(app, next((argument for argument in given if not argument.startswith("-")), ""))
    return app


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    # Without arguments, show the help.
    given = given or ["--help"]
    app = app_for(given)
    try:
        code = app(args=given, prog_name="searchlab", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except UserError as error:
        return _complain(_blames_option(error, given), debug=debug)
    except (ValidationError, TyperException) as error:
        return _complain(_as_user_error(error, given), debug=debug)
    except (Interrupted, KeyboardInterrupt, typer.Abort):
        return INTERRUPTED


def _as_user_error(error: ValidationError | TyperException, given: Sequence[str]) -> UserError:
    """Converts an invalid field of a noun, or an invalid use of the command line."""
    if isinstance(error, ValidationError):
        return _invalid_field(error, given)
    command = getattr(getattr(error, "ctx", None), "command_path", "searchlab")
    for option in getattr(getattr(error, "param", None), "opts", ()):
        if (value := _value_of(option, given)) is not None:
            message = error.message.removeprefix("Input ")
            return UserError(
                "invalid-usage", "invalid value", where=option, value=value, allowed=f"{message}; see {command} --help"
            )
    return UserError("invalid-usage", error.format_message().rstrip("."), allowed=f"see {command} --help")


def _invalid_field(error: ValidationError, given: Sequence[str]) -> UserError:
    """Makes the error for an invalid field, with the name of the option that set it."""
    found = from_validation(error, "command line")
    if (option := _option_of(error.errors()[0]["loc"][:1], given)) is not None:
        found.what, found.where, found.value = "invalid value", option, _value_of(option, given)
    return found


def _blames_option(error: UserError, given: Sequence[str]) -> UserError:
    """Replaces a field of the study ("Study.sampler") in an error by the option that set it."""
    noun, _, field = error.where.partition(".")
    option = _option_of((field,), given) if noun == "Study" else None
    if option is not None and _value_of(option, given) == error.value:
        error.where = option
    return error


def _option_of(loc: tuple[int | str, ...], given: Sequence[str]) -> str | None:
    """Returns the option that sets a field ("max_latency_ms": "--max-latency"), if it was given."""
    names = [f"--{name.removesuffix('_ms').replace('_', '-')}" for name in loc if isinstance(name, str)]
    return next((name for name in names if _value_of(name, given) is not None), None)


def _value_of(option: str, given: Sequence[str]) -> str | None:
    """Returns the value of an option, given as `--option value` or `--option=value`."""
    for argument, following in zip(given, [*given[1:], None], strict=True):
        name, equals, value = argument.partition("=")
        if name == option:
            return value if equals else following
    return None


def _complain(error: UserError, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        f"[red]error:[/red] {escape(f'{error} [{error.code}]')}"
    )
    return USER_ERROR


def script() -> None:
    """Entry point of the `searchlab` command."""
    # A reader that closes the pipe early (`searchlab front | head`) is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
