"""Keras 3 on TensorFlow, as used in the study: ``model.fit`` on arrays in memory, with its default settings.

These compile the step with XLA on a GPU but not on a CPU.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from typing import Any

import numpy as np
from job import BATCH_SIZE, EPS, IMAGE_SIZE, LR, Arrays, Job, Net


def main() -> None:
    """Train as asked on the command line."""
    job = Job()
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        job.cannot_run(f"{error.name} is not installed")
    if job.accelerator == "gpu" and not tf.config.list_physical_devices("GPU"):
        job.cannot_run("TensorFlow has no GPU")

    class Stopwatch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            job.epoch_ended(float((logs or {})["val_loss"]))

    keras.utils.set_random_seed(0)
    arrays = Arrays.load(job.data)
    model = keras.Sequential([keras.Input((IMAGE_SIZE, IMAGE_SIZE, 1)), *layers(job.net)])
    model.compile(
        optimizer=keras.optimizers.Adam(LR, epsilon=EPS),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        arrays.train_images.astype(np.float32) / 255,
        arrays.train_labels,
        validation_data=(arrays.val_images.astype(np.float32) / 255, arrays.val_labels),
        batch_size=BATCH_SIZE,
        epochs=job.epochs,
        verbose=0,
        callbacks=[Stopwatch()],
    )
    job.answer(model.count_params())


def layers(net: Net) -> list[Any]:
    """The net's layers, from images to the probability of the second class."""
    from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

    found: list[Any] = []
    for widths in net.stages:
        found += [Conv2D(width, 3, padding="same", activation="relu") for width in widths]
        found.append(MaxPooling2D())
    dense = [Dense(width, activation="relu") for width in net.dense]
    return [*found, Flatten(), *dense, Dense(1, activation="sigmoid")]


if __name__ == "__main__":
    main()
