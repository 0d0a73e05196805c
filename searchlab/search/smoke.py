"""The smallest run of a study that goes through everything: `searchlab run STUDY --smoke`."""

from dataclasses import replace

from searchlab.data.datasets import SHAPES, load
from searchlab.data.folder_spec import with_size
from searchlab.data.official import MissingFiles
from searchlab.study import RunOptions, Study

SMOKE = "-smoke"
"""What its name in the store ends with."""

IMAGES, TRIALS = 400, 3

STAND_INS = {28: "digits_28x28", 32: "digits_32x32"}
"""Height of the images of a data set that is not there to embedded images of this size."""


def smoke_of(study: Study) -> Study:
    """One epoch of a few hundred images, of the enqueued trials alone (or of three), all else as in the study.

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
    """The study as it is, or on embedded digits of the same size where its data set's files are missing.

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
