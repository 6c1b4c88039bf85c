"""Random numbers that depend on (seed, epoch) alone, so that a resumed run draws as an uninterrupted one would."""

import numpy as np
import pytorch_lightning as pl


def seed_everything(*key: int) -> None:
    """Seed Python, NumPy and torch on all devices from integers >= 0."""
    pl.seed_everything(int(np.random.SeedSequence(key).generate_state(1)[0]), verbose=False)


class SeedEpochs(pl.Callback):
    """Seeds every epoch anew: dropout then needs no generator state in checkpoints, where Lightning keeps none."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed_everything(self.seed, trainer.current_epoch)
