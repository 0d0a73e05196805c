"""Launches of studies in which nothing is trained: with the fixtures `options` and `nothing_is_trained`."""

from tiny import Seen, tiny_space

from searchlab.search.launch import Launch, start
from searchlab.search.store import Definition, StudyStore, stored_study
from searchlab.study import RunOptions, Study


def launch_of(study: Study, options: RunOptions, **more) -> Launch:
    definition = Definition(study, study, "the space's text")
    return Launch(definition, more.pop("space", tiny_space), options, Seen(), runner="made up", **more)


def begun(options: RunOptions, study: Study) -> StudyStore:
    start(launch_of(study, options))
    return stored_study(study.name, options)
