# The public names of searchlab: what spaces, studies and notebooks import. Building blocks for experiments of one's own
# (data sets, exit tables, rules, latency measurements) are in `searchlab.lab`.

__version__: str

from .api import Results as Results
from .api import open_study as open_study
from .api import resume as resume
from .api import run as run
from .architecture import VGG as VGG
from .architecture import AlexNet as AlexNet
from .architecture import Backbone as Backbone
from .architecture import GoogLeNet as GoogLeNet
from .architecture import ImageSpec as ImageSpec
from .architecture import Partitioned as Partitioned
from .architecture import ResNet as ResNet
from .architecture import Torchvision as Torchvision
from .candidate import Augmentation as Augmentation
from .candidate import Candidate as Candidate
from .candidate import Choose as Choose
from .candidate import Decay as Decay
from .candidate import Exit as Exit
from .candidate import Gate as Gate
from .candidate import Head as Head
from .candidate import HeadTraining as HeadTraining
from .candidate import SixCopies as SixCopies
from .candidate import Training as Training
from .errors import UserError as UserError
from .limits import Limits as Limits
from .model.cost import network_cost as network_cost
from .model.fit import fit as fit
from .model.width import excess_over as excess_over
from .model.width import widest as widest
from .objective import Objective as Objective
from .objective import accuracy as accuracy
from .objective import latency_ms as latency_ms
from .objective import macs as macs
from .objective import params as params
from .papers.paper import Cell as Cell
from .papers.paper import Findings as Findings
from .papers.paper import Finished as Finished
from .papers.paper import Paper as Paper
from .papers.paper import Subject as Subject
from .papers.paper import Table as Table
from .space_helpers import even_cuts as even_cuts
from .space_helpers import flip_and_crop as flip_and_crop
from .space_helpers import standard_augmentation as standard_augmentation
from .study import Cluster as Cluster
from .study import Study as Study
