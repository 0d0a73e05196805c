# The public names of searchlab: what spaces, studies and notebooks import. Building blocks for experiments of one's own
# (data sets, exit tables, rules, latency measurements) are in `searchlab.lab`.

__version__: str

from .architecture import VGG as VGG
from .architecture import AlexNet as AlexNet
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
from .model.cost import fit as fit
from .objective import accuracy as accuracy
from .objective import latency_ms as latency_ms
from .objective import macs as macs
from .objective import params as params
from .study import Study as Study
