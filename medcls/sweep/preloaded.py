"""All that a job imports, imported once, in the process that jobs are forked from (medcls/sweep/child.py).

Nothing is computed here: threads of OpenMP do not survive a fork, and a child would wait for them forever.
"""

from medcls.host.lean_import import import_lightning
from medcls.process import tune_process, without_collections

tune_process()  # before PyTorch is loaded
with without_collections():  # which in a child would touch, and so copy, every page
    import_lightning()

    import PIL.JpegImagePlugin  # noqa: F401
    import torch._dynamo  # which every optimiser imports
    import torch.utils.tensorboard  # noqa: F401

    import medcls.evaluation.constant
    import medcls.evaluation.run_metrics
    import medcls.report.run_pictures
    import medcls.run
    import medcls.sweep.checks
    import medcls.sweep.frozen_job  # noqa: F401
