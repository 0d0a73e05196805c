"""searchlab: search for early-exit image classifiers, from a study to a Pareto front.

`__init__.pyi` lists the public names. Each is imported when it is first used, so that `import searchlab` is fast.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _lazy_dir, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return [*_lazy_dir(), "__version__"]
