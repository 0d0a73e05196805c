"""Registry of error codes: what each code means, and how to fix it. A code is stable; the sentence beside it is not."""

from typing import NamedTuple


class Code(NamedTuple):
    """The meaning of an error code, and its fix."""

    meaning: str
    mend: str


_KNOWN = "Use a known name; the message lists them."

CODES: dict[str, Code] = {
    # Names
    "unknown-architecture": Code("torchvision has no classifier of this name.", _KNOWN),
    "unknown-data-set": Code("No data set has this name.", _KNOWN),
    "unknown-device": Code("The device name is invalid, or this machine has no such device.", _KNOWN),
    "unknown-early-stopping-rule": Code("No early stopping rule has this name.", _KNOWN),
    "unknown-engine": Code("No engine has this name.", _KNOWN),
    "unknown-exit": Code("The exit rule names an exit that the network lacks.", "Use an exit of the network."),
    "unknown-field": Code("A noun has no field of this name.", "Correct the name; the message suggests one."),
    "unknown-limit": Code("`best` has no limit of this name.", _KNOWN),
    "unknown-node": Code("No cluster node matches --latency-node.", "Name one of the listed nodes."),
    "unknown-objective": Code("No objective has this name.", _KNOWN),
    "unknown-parameter": Code("A function of the Python API has no parameter of this name.", _KNOWN),
    "unknown-point": Code("The front has no point of this number.", "See `searchlab front STUDY`."),
    "unknown-profile": Code("The study has no device profile of this name.", _KNOWN),
    "unknown-reference": Code("No reference network has this name.", _KNOWN),
    "unknown-regime": Code("No training regime has this name.", _KNOWN),
    "unknown-runner": Code("No runner has this name.", _KNOWN),
    "unknown-sampler": Code("No sampler has this name.", _KNOWN),
    "unknown-schedule": Code("No learning rate schedule has this name.", _KNOWN),
    "unknown-score": Code("No score has this name, or its decision latency was not measured.", _KNOWN),
    "unknown-space": Code("No space has this name.", _KNOWN),
    "unknown-study": Code("No study has this name, in a file or in the store.", _KNOWN),
    "unknown-paper": Code("No paper has this name.", _KNOWN),
    "unknown-trial": Code("The study has no trial of this number.", "See `searchlab trials STUDY`."),
    "duplicate-name": Code("Two studies, scores or parameters have one name.", "Give each its own name."),
    "invalid-space": Code("A space is not a named function whose source can be stored.", "Define it in a file."),
    "invalid-study-name": Code("The study name cannot be a folder name.", "Use letters, digits and . _ + - only."),
    "several-studies": Code("The file defines several studies; one is needed.", "Name one of them."),
    "not-a-study": Code("The name is that of a space; a study is needed.", "Run the space with --images FOLDER."),
    # Values
    "invalid-field": Code("A field of a noun has an invalid value.", "Use an allowed value."),
    "missing-field": Code("A required field is missing.", "Add it."),
    "invalid-profile-name": Code("A device profile cannot have this name.", "Use letters, digits and . _ - only."),
    "invalid-usage": Code("A command, an argument or an option is invalid.", "See the command's --help."),
    "conflicting-options": Code("Two options contradict each other.", "Omit one of them."),
    "confirmation-needed": Code("The command must ask first, and there is no terminal.", "Add --yes."),
    # Files
    "path-not-found": Code("A file or a folder does not exist.", "Correct the path."),
    "cannot-read": Code("The operating system cannot read a file.", "Check its permissions and the disk."),
    "cannot-write": Code("The operating system cannot write a file.", "Free disk space, or check permissions."),
    "io-error": Code("A trial could not read or write a file.", "Fix the cause, then resume."),
    "invalid-encoding": Code("A file or its name is not UTF-8.", "Save it as UTF-8, or rename it."),
    # Files of the user
    "invalid-python": Code("A Python file has a syntax error.", "Correct the line."),
    "missing-function": Code("A Python file lacks a function that it must define.", "Define it."),
    "wrong-return-type": Code("A function of the user's returned the wrong type.", "Return the named type."),
    "user-code-raised": Code("Code of the user's raised an exception.", "Correct the line; see --debug."),
    "invalid-score": Code("The score of a file is inconsistent, misshapen or not finite.", "Correct its functions."),
    # Data
    "data-missing": Code("Files of a data set are missing.", "Add --download, or name their folder with --data."),
    "data-corrupt": Code("Files of a data set are damaged.", "Delete them, then download them again."),
    "data-differ": Code("The images are not those of the study.", "Restore them, or begin another study."),
    "download-failed": Code("Data cannot be downloaded or copied.", "Check the network and the URL."),
    "folder-among-images": Code("Results would be written among the images.", "Choose another folder."),
    "invalid-augmentation": Code("A crop or a cutout is too large for the images.", "Use a smaller one."),
    "invalid-data-set": Code("A data set of the user's is inconsistent.", "Correct its splits, shapes or labels."),
    "invalid-data-spec": Code("A data name or its image size is invalid.", "Use folder:PATH or folder:PATH?size=N."),
    "invalid-image-folder": Code("An image folder has an invalid layout.", "Use one folder per class, in each split."),
    "invalid-images": Code("Images are unreadable, or their values do not fit their depth.", "Replace or save again."),
    "invalid-partition": Code("A partition must name every class exactly once.", "Correct the groups."),
    "too-few-images": Code("A class or a data set has too few images.", "Add images, or remove the class."),
    # Engines
    "engine-missing": Code("The package of an engine is not installed.", "Install it with the command shown."),
    "latency-not-measured": Code("A disturbed measurement is not believed.", "Repeat it on a quiet machine."),
    "engine-unusable": Code("The engine cannot run the network, or has no such device.", "Use another engine."),
    # Networks
    "cannot-build": Code("The space returned a candidate that cannot be built.", "Correct the space."),
    "invalid-cut": Code("The network cannot be cut there.", "Use the listed modules, in order."),
    "limits-too-low": Code("No candidate of the space meets the limits.", "Raise the limit, or shrink the space."),
    "no-gates": Code("The score \"gate\" needs a network with gates.", "Add gates, or use another score."),
    "pooling-too-large": Code("A head pools to more values than its feature map has.", "Use a smaller pool."),
    "uncountable-layer": Code("A layer has no rule that counts its MACs.", "Add a rule, or use another layer."),
    "unsupported-images": Code("The network does not support the size or channels of the images.", "Use others."),
    "unsupported-network": Code("This kind of network cannot be used or fitted there.", "Use another backbone."),
    # Artefacts
    "artefact-unreadable": Code("A file that a trial wrote is missing, damaged or invalid.", "Restore it, or rerun."),
    "weights-mismatch": Code("The weights are those of another network.", "Use the file of this network."),
    "export-differs": Code("A file of an export is not the one of its card, or of its network.", "Export again."),
    "export-exists": Code("The folder of an export holds another model, or other files.", "Choose another --out."),
    # Store and study
    "store-not-found": Code("There is no store at this place.", "See --output and --storage."),
    "store-empty": Code("The store holds no study.", "Begin one: `searchlab run STUDY`."),
    "store-unusable": Code("The database refused a request.", "Do what the message says."),
    "store-damaged": Code("The store holds invalid data.", "Restore a copy, or begin another study."),
    "store-newer": Code("A newer version of searchlab wrote this.", "Update searchlab."),
    "store-read-only": Code("The store cannot be written.", "Copy it, or correct its permissions."),
    "invalid-storage-url": Code("The storage is not a database URL.", "Use a URL such as sqlite:///FILE.db."),
    "package-missing": Code("An optional package is not installed.", "Install what the message names."),
    "version-differs": Code("Another version of Optuna, Ray or Python is needed.", "Install the named version."),
    "study-exists": Code("The store already holds a study of this name.", "Resume it, or choose another --name."),
    "study-running": Code("Another process runs this study.", "Wait for it, or end it."),
    "study-removed": Code("The study was removed at the same moment.", "Repeat the command."),
    "study-not-started": Code("The study's process ended before it was stored.", "Run it again."),
    "foreign-study": Code("searchlab did not create this study.", "Choose another --name."),
    "folder-of-another-study": Code("The folder belongs to another study.", "Choose another --output or --name."),
    "definition-changed": Code("The definition differs from the stored one.", "Undo the change, or add --force."),
    "warm-start-mismatch": Code("The earlier study has other objectives or another space.", "Use a matching one."),
    "no-results": Code("The study has too few trials or replicates for this.", "Run more trials."),
    "no-table": Code("The study fills no table.", "See `searchlab front STUDY`."),
    "all-trials-failed": Code("The first trials all failed.", "Fix the reason that the message gives."),
    "training-diverged": Code("The loss, the logits or the gates are not finite.", "Lower the learning rate."),
    # Machines
    "device-unusable": Code("A trial left the device unusable.", "Start a new process: `searchlab resume`."),
    "machine-differs": Code("Latencies of different machines do not compare.", "Use one machine, or --name."),
    "reference-differs": Code("Latencies beside different references do not compare.", "Use one, or --name."),
    "cluster-not-found": Code("No Ray cluster answers at --address.", "Use HOST:PORT, or auto."),
    "insufficient-resources": Code("A trial needs more CPUs or GPUs than any node has.", "Ask for fewer."),
    "node-unusable": Code("A node cannot run, measure or store trials.", "Fix the reason that the message gives."),
}  # fmt: skip
"""Every code that an error may carry."""
