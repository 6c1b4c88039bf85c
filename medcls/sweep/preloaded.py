"""All that a job imports, imported once, in the process that jobs are forked from (medcls/sweep/child.py).

Nothing is computed here: threads of OpenMP do not survive a fork, and a child would wait for them forever.
"""

import gc

from medcls.host.lean_import import import_lightning
from medcls.process import tune_process

tune_process()  # before PyTorch is loaded
import_lightning()

import PIL.JpegImagePlugin  # noqa: E402, F401
import torch._dynamo  # noqa: E402  which every optimizer imports
import torch.utils.tensorboard  # noqa: E402, F401

import medcls.evaluation.constant  # noqa: E402
import medcls.evaluation.run_metrics  # noqa: E402
import medcls.report.run_pictures  # noqa: E402
import medcls.run  # noqa: E402
import medcls.sweep.checks  # noqa: E402
import medcls.sweep.frozen_job  # noqa: E402, F401

gc.freeze()  # a collection in a child would touch, and so copy, every page
