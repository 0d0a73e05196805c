"""What a trial is doing just now, in words for whoever looks on."""

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
"""While one of these goes on, nothing else should work on the machine."""
