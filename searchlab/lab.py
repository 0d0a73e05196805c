"""Building blocks for your own experiments: for spaces, notebooks and the evaluation of a paper.

The second public module. The vocabulary of studies (Study, Candidate, ResNet, Paper ...) is in `searchlab` itself;
modules that neither of the two exports may change without notice.
"""

# Artefacts: the files of a trial
from searchlab.artefacts import load_network as load_network

# Baselines: published rules on one exit table, fitted on one split and evaluated on another
from searchlab.baselines.compare import Judged as Judged
from searchlab.baselines.compare import Row as Row
from searchlab.baselines.compare import chosen_at as chosen_at
from searchlab.baselines.compare import compare as compare
from searchlab.baselines.let_in import LET_IN_SCORE as LET_IN_SCORE
from searchlab.baselines.let_in import LetIn as LetIn
from searchlab.baselines.let_in import let_in_points as let_in_points
from searchlab.baselines.rules import exact as exact
from searchlab.baselines.rules import gate_at_zero as gate_at_zero

# Data: data sets, splits, batches, partitions of the classes
from searchlab.data.batches import Batch as Batch
from searchlab.data.batches import Normaliser as Normaliser
from searchlab.data.batches import evaluation_batches as evaluation_batches
from searchlab.data.datasets import load as load
from searchlab.data.partitions import Groups as Groups
from searchlab.data.partitions import origins as origins
from searchlab.data.splits import Dataset as Dataset
from searchlab.data.splits import Split as Split
from searchlab.data.splits import assemble as assemble
from searchlab.data.splits import limited as limited
from searchlab.data.splits import three_way as three_way

# Deployment: a network with its exit rule
from searchlab.deploy.runtime import EarlyExitRuntime as EarlyExitRuntime

# Engines: what executes a network; its pieces in PyTorch
from searchlab.engines.engine import Run as Run
from searchlab.engines.segments import Segments as Segments
from searchlab.engines.segments import run_without_exits as run_without_exits

# Exits: exit tables, scores, costs, rules, the exact frontier
from searchlab.exits.costs import exit_cost_macs as exit_cost_macs
from searchlab.exits.costs import exit_cost_ms as exit_cost_ms
from searchlab.exits.evaluate import evaluate as evaluate
from searchlab.exits.evaluate import route as route
from searchlab.exits.evaluate import scores_of as scores_of
from searchlab.exits.frontier import FrontierSettings as FrontierSettings
from searchlab.exits.frontier import exact_frontier as exact_frontier
from searchlab.exits.scores import GATE as GATE
from searchlab.exits.scores import available_scores as available_scores
from searchlab.exits.table import ExitTable as ExitTable
from searchlab.exits.table import load_table as load_table
from searchlab.exits.table import save_table as save_table
from searchlab.exits.tabulate import tabulate as tabulate
from searchlab.exits.top_k import confusion_of as confusion_of
from searchlab.exits.top_k import correct_among as correct_among

# Fronts and their points
from searchlab.front.points import deciding_score as deciding_score

# Latency: measurement, locks, machines
from searchlab.measure.alternating import Alternated as Alternated
from searchlab.measure.alternating import Epochs as Epochs
from searchlab.measure.alternating import Turns as Turns
from searchlab.measure.alternating import alternating as alternating
from searchlab.measure.device import has_bf16 as has_bf16
from searchlab.measure.device import resolve_device as resolve_device
from searchlab.measure.device import this_machine as this_machine
from searchlab.measure.end_to_end import samples_pass as samples_pass
from searchlab.measure.isolation import measuring as measuring
from searchlab.measure.isolation import training_lock as training_lock
from searchlab.measure.latency import LatencyOptions as LatencyOptions
from searchlab.measure.latency import measure_latency as measure_latency
from searchlab.measure.latency import prepared as prepared
from searchlab.measure.passes import block_orders as block_orders
from searchlab.measure.passes import quiet_host as quiet_host
from searchlab.measure.passes import warm_up as warm_up

# Networks: stages, heads, gates, costs, widths below a cap
from searchlab.model.backbones.googlenet import LEAST_SIDE as LEAST_SIDE
from searchlab.model.blocks import Stage as Stage
from searchlab.model.blocks import halved as halved
from searchlab.model.early_exit import EarlyExitNetwork as EarlyExitNetwork
from searchlab.model.early_exit import build as build
from searchlab.model.heads import GateUnit as GateUnit
from searchlab.model.heads import LearnedGate as LearnedGate
from searchlab.model.partitioned import Classifier as Classifier
from searchlab.model.partitioned import RoutedExperts as RoutedExperts
from searchlab.model.stages import stages_of as stages_of

# Operating points, with their estimates
from searchlab.operating_point import Estimate as Estimate
from searchlab.operating_point import ExitRule as ExitRule
from searchlab.operating_point import Frontier as Frontier
from searchlab.operating_point import OperatingPoint as OperatingPoint
from searchlab.operating_point import difference_estimate as difference_estimate
from searchlab.operating_point import share_estimate as share_estimate

# Papers: findings about a trial after its training, in percent and points
from searchlab.papers.evaluation import evaluate_exits as evaluate_exits
from searchlab.papers.evaluation import gained_and_lost as gained_and_lost
from searchlab.papers.evaluation import percent as percent
from searchlab.papers.evaluation import percent_of as percent_of
from searchlab.papers.evaluation import percent_right as percent_right
from searchlab.papers.evaluation import percent_wrong as percent_wrong
from searchlab.papers.evaluation import points_above as points_above
from searchlab.papers.evaluation import validation_table as validation_table
from searchlab.record import Epoch as Epoch
from searchlab.record import NetworkCost as NetworkCost

# Records of trials
from searchlab.record import Profile as Profile
from searchlab.record import SegmentCost as SegmentCost
from searchlab.record import SegmentLatency as SegmentLatency
from searchlab.record import TrialRecord as TrialRecord

# Nouns as plain data
from searchlab.serialization import NOUN as NOUN
from searchlab.serialization import from_plain as from_plain
from searchlab.serialization import to_plain as to_plain

# One trial without a search: its inputs
from searchlab.study import TrialSpec as TrialSpec

# Training: phases, batches, the loop
from searchlab.train.context import batches_for as batches_for
from searchlab.train.loop import BatchSource as BatchSource
from searchlab.train.loop import Hooks as Hooks
from searchlab.train.loop import Trained as Trained
from searchlab.train.loop import train as train
from searchlab.train.partitioned import budget as budget
from searchlab.train.recipes import recipe_of as recipe_of
from searchlab.train.regimes import Phase as Phase
from searchlab.train.regimes import phases as phases

# One trial without a search: from candidate to record
from searchlab.trial import run_trial as run_trial
