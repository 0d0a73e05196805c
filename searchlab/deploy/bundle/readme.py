"""The README of a bundle: what the model is, and the lines of Python that load it."""

from searchlab.deploy.bundle.card import CARD, MODEL, QUANTISED, README, STAGED, WEIGHTS, Card
from searchlab.operating_point import Estimate

LINES = """\
import json, numpy as np, onnxruntime as ort
from PIL import Image, ImageOps
card, options = json.load(open("card.json")), ort.SessionOptions()
options.intra_op_num_threads = {threads}
session = ort.InferenceSession("{model}", options, providers=["CPUExecutionProvider"])
image = ImageOps.exif_transpose(Image.open("image.png")).convert("RGB")
pixels = np.asarray(ImageOps.fit(image, ({width}, {height}), Image.Resampling.BILINEAR){grey})
pixels = pixels.reshape(1, {height}, {width}, {channels}).transpose(0, 3, 1, 2){fraction}
number, probabilities, exit = session.run(["class", "probabilities", "exit"], {{"image": pixels}})
print(card["data"]["class_names"][number[0]], probabilities.max(), "exit", exit[0])
"""
"""Python that needs onnxruntime, numpy and Pillow alone."""


def loading_lines(card: Card, model: str = MODEL) -> str:
    """Returns ten lines of Python that load a model of the bundle and classify "image.png"."""
    images = card.data.images
    assert images is not None
    return LINES.format(
        threads=card.latency.machine.threads if card.latency else 1,
        model=model,
        width=images.width,
        height=images.height,
        channels=images.channels,
        grey='.convert("L")' if images.channels == 1 else "",
        fraction="" if card.input == "uint8" else ".astype(np.float32) / 255",
    )


def readme(card: Card) -> str:
    """Returns the README as Markdown."""
    images = card.data.images
    assert images is not None
    shape = f"{images.channels} x {images.height} x {images.width}"
    what = "bytes of 0 to 255 (uint8)" if card.input == "uint8" else "fractions of 0 to 1 (float32)"
    int8 = [f"- `{QUANTISED}`: the same with weights and activations of 8 bits; {_int8(card)}"] if card.int8 else []
    return "\n".join(
        [
            f"# {card.candidate.architecture.described}, for {images.classes} classes of {card.data.name}",
            "",
            f"Made by `{card.command}` at {card.created}: trial {card.trial} of study {card.study.name}.",
            "",
            *_figures(card),
            "",
            "| exit | after stage | threshold | share | accuracy there |",
            "| --- | --- | --- | --- | --- |",
            *_exits(card),
            "",
            *_rule(card),
            "",
            "```python",
            loading_lines(card).rstrip(),
            "```",
            "",
            f"- `{MODEL}`: takes `image`, 1 x {shape}, {what}; normalisation is inside. It returns `class`,",
            "  `probabilities`, `exit`, `score` (what decided; NaN at the last exit) and `logits`.",
            *int8,
            f"- `{STAGED}/`: one model a segment, for runtimes without `If`, and for batches. `leg_0` takes `image`, a",
            "  later leg the `map` of the one before as `map_in`; each returns `score` and `logits`. Where gates",
            "  decide, `logits` come from `head_0` and so on, which take the map of the images that leave.",
            f"- `{WEIGHTS}`: the weights of the network, all exits included.",
            f"- `{CARD}`: all of this for programs, with classes, hashes, seeds, versions and the whole candidate.",
            "",
            "`searchlab verify .` compares all files with the network on the test images.",
            "",
        ]
    )


def _rule(card: Card) -> list[str]:
    if not card.point.rule.thresholds:
        return ["Every image takes this exit; the network ends there."]
    first = card.point.rule.exits[0]
    return [
        f"An image leaves at the first exit whose score ({card.point.rule.score}) reaches the threshold.",
        "What comes after is not computed. Thresholds are initializers of the model, which can be edited in the file:",
        f"`threshold_{first}` is that of exit {first}.",
    ]


def _figures(card: Card) -> list[str]:
    point = card.point
    rows = [f"- accuracy (validation): {_share(point.accuracy_estimate)}, {point.correct} of {point.samples} images"]
    if card.test:
        rows.append(
            f"- accuracy (test): {_share(card.test.accuracy_estimate)}, {card.test.correct} of {card.test.samples}"
        )
    if card.latency:
        ms = card.latency.ms
        doubt = f" (in doubt: {card.latency.doubt})" if card.latency.doubt else ""
        rows.append(f"- latency: {ms.value:.4g} ms [{ms.low:.4g}, {ms.high:.4g}] per image{doubt}")
        rows.append(f"- measured on: {card.latency.machine.in_full}")
    rows.append(f"- cost: {point.macs:,.0f} MACs per image on average, {point.params:,} parameters")
    return rows


def _exits(card: Card) -> list[str]:
    return [
        f"| {each.exit} | {each.after_stage} | {'-' if each.threshold is None else f'{each.threshold:.6g}'} "
        f"| {100 * each.share:.1f} % | {_share(each.accuracy) if each.accuracy else '-'} |"
        for each in card.exits
    ]


def _int8(card: Card) -> str:
    assert card.int8 is not None
    return f"accuracy (validation) {_share(card.int8.accuracy)}"


def _share(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} % [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


__all__ = ["README", "loading_lines", "readme"]
