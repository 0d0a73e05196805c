"""Smoke test of a study, a minimal run through all steps: `searchlab run STUDY --smoke`."""

from dataclasses import replace

from searchlab.data.datasets import SHAPES, load
from searchlab.data.folder_spec import with_size
from searchlab.data.official import MissingFiles
from searchlab.study import RunOptions, Study

SMOKE = "-smoke"
"""Suffix of the study's name in the store."""

IMAGES, TRIALS = 400, 3

STAND_INS = {28: "digits_28x28", 32: "digits_32x32"}
"""Height of a missing data set's images to embedded images of this size."""


def smoke_of(study: Study) -> Study:
    """Shrinks a study: one epoch of a few hundred images, only the enqueued trials (or three).

    The limit on accuracy is removed, because accuracies are low after one epoch.
    """
    few = len(study.enqueue) or TRIALS
    return replace(
        study,
        name=study.name + SMOKE,
        epochs=1,
        rungs=(),
        trials=min(study.trials or few, few),
        max_images=min(study.max_images or IMAGES, IMAGES),
        min_accuracy=0.0,
    )


def on_what_is_there(study: Study, options: RunOptions) -> Study:
    """Replaces a data set with missing files by embedded digits of the same size.

    Raises:
        UserError: the data are invalid for another reason.
    """
    try:
        spec = with_size(study.data, study.image_size)
        load(spec, options.data_root, download=options.download, files=study.files)
    except MissingFiles:
        if study.data not in SHAPES:
            raise
        return replace(study, data=STAND_INS[SHAPES[study.data].height])
    return study
