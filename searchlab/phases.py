"""Phases of a trial, as texts for progress messages."""

READING = "reading the images"
BUILDING = "building the network"
MEASURING = "measuring latency"
STORING = "computing features for the heads"
TRAINING = "training"
TABULATING = "reading the validation split"
SEARCHING = "searching the frontier"
CHECKING = "measuring the routed network"
WRITING = "writing"

MEASURES = frozenset({MEASURING, CHECKING})
"""Phases in which no other process should use the machine."""
