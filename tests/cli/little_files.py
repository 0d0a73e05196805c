"""A study and a space of a user's own, and how they get into a folder."""

from pathlib import Path

SPACE = '''"""Two blocks and an early exit."""

from searchlab.architecture import ResNet
from searchlab.candidate import Candidate, Exit, Training


def space(choose):
    width = choose.suggest_int("width", 2, 8)
    training = Training(learning_rate=choose.suggest_float("rate", 0.05, 0.2), batch_size=64)
    return Candidate(ResNet((1, 1), width), (Exit(0), Exit(1)), training=training)
'''

STUDY = '''"""Digits, as small as it gets."""

from searchlab.objective import accuracy, macs
from searchlab.study import Study


def study():
    return Study(
        space="little",
        data="digits",
        objectives=(accuracy, macs),
        epochs=2,
        trials=3,
        scores=("margin",),
        thresholds_per_exit=11,
    )
'''


def write_files(folder: Path) -> Path:
    """Puts them into a folder; returns the path of the study."""
    for path, text in {"spaces/little.py": SPACE, "studies/little.py": STUDY}.items():
        (folder / path).parent.mkdir()
        (folder / path).write_text(text)
    return folder / "studies" / "little.py"


def write_few_images(folder: Path, most: int) -> Path:
    """As `write_files`; the study takes so many images at most."""
    path = write_files(folder)
    path.write_text(STUDY.replace('data="digits",', f'data="digits",\n        max_images={most},'))
    return path
