"""Exports and verifications as tables and payloads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from searchlab.deploy.bundle.card import MODEL, QUANTISED, Card
from searchlab.deploy.bundle.latency import WITHIN, FileLatency
from searchlab.deploy.bundle.verify import TIE, Agreement, Verification
from searchlab.front.points import deciding_score
from searchlab.operating_point import Estimate
from searchlab.report import units
from searchlab.report.layout import facts, figures, plain_table, titled, words
from searchlab.report.tables import accuracy_cell, latency_cell

NAMED = 5
"""Images that are named where more differ."""


def export_view(card: Card, folder: Path, kept: str = "") -> RenderableType:
    """Returns what was exported: the point, its exits, the files.

    `kept` are the options that say where the study is kept (" --output demo"), for the command that goes on with it.
    """
    size = card.files[MODEL].bytes
    rows = [
        ("exported to", str(folder)),
        ("network", f"trial {card.trial} of study {card.study.name}: {card.candidate.architecture.described}"),
        ("accuracy (validation)", accuracy_cell(card.point.accuracy_estimate)),
        *([("accuracy (test)", accuracy_cell(card.test.accuracy_estimate))] if card.test else []),
        *_promised(card),
        ("MACs, parameters", f"{units.count(card.point.macs)}, {units.count(card.point.params)}"),
        (MODEL, f"{size / 1000:,.1f} kB, takes {card.input} images"),
    ]
    if card.int8:
        rows.append(
            (QUANTISED, f"{card.files[QUANTISED].bytes / 1000:,.1f} kB, {_int8(card.int8.accuracy, card.int8.agree)}")
        )
    score = deciding_score(card.point.rule)
    rest = "takes the rest" if score else "takes all"
    lines = [
        [name, rest if threshold is None else units.threshold(threshold), units.percent(share)]
        for name, threshold, share in ((each.after_stage, each.threshold, each.share) for each in card.exits)
    ]
    columns = [words("exit after stage"), figures(f"threshold ({score})" if score else "threshold"), figures("share")]
    hint = Text(f"next: searchlab verify {folder}{kept}", style="bright_black")
    return Group(facts(rows), Text(""), plain_table(columns, lines), Text(""), hint)


def _promised(card: Card) -> list[tuple[str, str]]:
    if card.latency is None:
        return []
    text = units.marked(latency_cell(card.latency.ms), card.latency.doubt)
    doubt = [("in doubt", f"{units.DOUBTFUL} {card.latency.doubt}")] if card.latency.doubt else []
    return [("latency", text), *doubt, ("measured on", card.latency.machine.in_full)]


def _int8(accuracy: Estimate, agree: float) -> str:
    return f"accuracy {accuracy_cell(accuracy)}, same exit and class for {units.percent(agree)}"


def verify_view(card: Card, found: Verification, latency: FileLatency) -> RenderableType:
    """Returns what was compared with the exit table, and what the file takes."""
    rows = [_agreement_row(agreement) for agreement in found.agreements]
    columns = [
        words("compared"),
        figures("same exit and class"),
        figures("logits within"),
        words("differ", wrap_from=8),
    ]
    ties = f"{units.counted(len(found.ties), 'image')} within {TIE:.0e} of a threshold{_listed(found.ties)}"
    figures_ = [
        ("accuracy (test)", accuracy_cell(found.accuracy)),
        ("ties", ties),
        ("latency", _latency(latency)),
        *([(QUANTISED, _int8(*found.int8))] if found.int8 else []),
    ]
    title = f"trial {card.trial} of study {card.study.name} against its exit table, {found.images:,} test images"
    return Group(titled(title, plain_table(columns, rows)), Text(""), facts(figures_))


def _agreement_row(each: Agreement) -> list[str]:
    same = each.images - len(each.differing) - len(each.tied)
    differ = [f"{len(each.differing)}{_listed(each.differing)}" if each.differing else "none"]
    differ += [f"ties: {len(each.tied)}{_listed(each.tied)}"] if each.tied else []
    return [each.name, f"{same:,} of {each.images:,}", f"{each.logits_error:.1e}", "; ".join(differ)]


def _listed(images: Sequence[int]) -> str:
    """Formats " (3, 17, 29, ...)"."""
    more = ", ..." if len(images) > NAMED else ""
    return f" ({', '.join(map(str, images[:NAMED]))}{more})" if images else ""


def _latency(latency: FileLatency) -> str:
    now = f"{units.marked(units.milliseconds(latency.ms), latency.doubt)}, mean over {latency.images} test images"
    now += f" ({latency.doubt})" if latency.doubt else ""
    if latency.error is None:
        return f"{now} (not compared: {latency.why_not})"
    verdict = f"within {100 * WITHIN:.0f} %" if latency.holds else f"more than {100 * WITHIN:.0f} %"
    return f"{now}; the card has {units.milliseconds(latency.promised_ms)}: {100 * latency.error:+.1f} % ({verdict})"


def verify_payload(folder: Path, card: Card, found: Verification, latency: FileLatency) -> dict[str, Any]:
    """Returns a verification for JSON."""
    return {
        "folder": str(folder),
        "study": card.study.name,
        "trial": card.trial,
        "holds": found.holds,
        "images": found.images,
        "ties": list(found.ties),
        "compared": [{**vars(each), "holds": each.holds} for each in found.agreements],
        "test_accuracy": vars(found.accuracy),
        "int8_test_accuracy": vars(found.int8[0]) if found.int8 else None,
        "latency_ms": latency.ms,
        "promised_ms": latency.promised_ms,
        "latency_doubt": latency.doubt,
    }
