"""The smallest run of a study that goes through everything: `searchlab run STUDY --smoke`."""

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

    After one epoch no accuracy is too low to be shown.
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
        UserError: the data are wrong in another way.
    """
    try:
        spec = with_size(study.data, study.image_size)
        load(spec, options.data_root, download=options.download, files=study.files)
    except MissingFiles:
        if study.data not in SHAPES:
            raise
        return replace(study, data=STAND_INS[SHAPES[study.data].height])
    return study
