"""Commands that list what can be run: `studies` and `spaces`."""

from searchlab.cli.console import show, show_json
from searchlab.cli.options import AsJson
from searchlab.errors import UserError
from searchlab.report.payloads import spaces_payload, studies_payload
from searchlab.report.tables import spaces_view, studies_view
from searchlab.search.catalog import available, load_studies, places
from searchlab.search.static_reading import read_studies
from searchlab.session.console import say, warn
from searchlab.study import Sketch, Study


def studies(as_json: AsJson = False) -> None:
    """List the studies that `searchlab run` knows: those in ./studies, then those of searchlab.

    Files in ./studies are read, not executed. Of a study that code computes, only the literal fields are listed.
    """
    found: dict[str, tuple[Study, ...]] = {}
    sketches: dict[str, Sketch] = {}
    for source in available("study"):
        try:
            read = load_studies(source) if source.is_brought else read_studies(source)
        except UserError as error:
            # One broken file must not hide the others.
            warn(f"omitted: {error}")
            continue
        if isinstance(read, Sketch):
            sketches[source.name] = read
        else:
            found[source.name] = read
    if as_json:
        show_json(studies_payload(found, sketches))
    else:
        show(studies_view(found, sketches))
        say(f"\nsearched in {places('study')}; `searchlab runs` lists the studies of the store")


def spaces(as_json: AsJson = False) -> None:
    """List the spaces that studies may name: those in ./spaces, then those of searchlab.

    Files in ./spaces are read, not executed.
    """
    found = {}
    for source in available("space"):
        try:
            found[source.name] = source.summary
        except UserError as error:
            warn(f"omitted: {error}")
    if as_json:
        show_json(spaces_payload(found))
    else:
        show(spaces_view(found))
        say(f"\nsearched in {places('space')}")
