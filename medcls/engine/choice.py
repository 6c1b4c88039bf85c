"""Whether the engine may take many steps at a time, or something wants to see each batch as Lightning hands it out."""

from collections.abc import Sequence

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch.optim import Optimizer

from medcls.config import Config
from medcls.config.parts import OwnLoss
from medcls.config.schema import TrainerConfig
from medcls.engine.rates import is_fused
from medcls.training.classifier import Classifier

BATCH_HOOKS = (
    *("on_train_batch_start", "on_train_batch_end", "on_validation_batch_start", "on_validation_batch_end"),
    *("on_before_backward", "on_after_backward", "on_before_zero_grad", "on_before_optimizer_step"),
)
STEP_METHODS = (
    *BATCH_HOOKS,
    *("training_step", "validation_step", "backward", "optimizer_step", "optimizer_zero_grad", "configure_optimizers"),
    *("clip_gradients", "configure_gradient_clipping", "manual_backward", "lr_scheduler_step"),
    *("transfer_batch_to_device", "on_before_batch_transfer", "on_after_batch_transfer"),
)


def why_single(config: TrainerConfig, classifier: Classifier, callbacks: Sequence[pl.Callback]) -> str | None:
    """What needs one step per batch of Lightning's, in words; None where nothing does.

    callbacks: the user's own.
    """
    if config.steps == "single":
        return "trainer.steps=single"
    if config.precision == "16-mixed":
        return "trainer.precision=16-mixed scales its gradients"
    for method in STEP_METHODS:
        if is_overridden(method, classifier, Classifier):
            return f"{type(classifier).__name__} has its own {method}"
    if not classifier.automatic_optimization:
        return f"{type(classifier).__name__} optimizes manually"
    for callback in callbacks:
        name = type(callback).__name__
        if isinstance(callback, GradientAccumulationScheduler):
            return f"{name} changes how many batches make a step"
        for hook in BATCH_HOOKS:
            if is_overridden(hook, callback, pl.Callback):
                return f"{name} has {hook}"
    return None


def why_not_captured(config: Config, classifier: Classifier, optimizer: Optimizer) -> str | None:
    """What keeps a step from being captured on a CUDA GPU before it is tried, in words; None where nothing does."""
    if classifier.device.type != "cuda" or config.trainer.steps == "eager":
        return None
    if not is_fused(optimizer):
        return f"{type(optimizer).__name__} is not one of PyTorch's fused optimizers"
    if type(classifier) is not Classifier:
        return f"{type(classifier).__name__} may do in Python what a graph does not repeat"
    if isinstance(config.loss, OwnLoss):
        return f"{config.loss.target} may do in Python what a graph does not repeat"
    return None
