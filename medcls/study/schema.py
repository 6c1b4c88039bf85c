"""The part of the schema that only medcls study has: which tasks, on which images, with which further overrides."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from medcls.config.data import ClassName, GroupPattern
from medcls.config.schema import Config
from medcls.config.section import Flag, Location, Section

RELIABLE, FOLDS = "3", "3_folds"  # the task that also asks whether its result is reliable, and what answers that
# Task -> its sweep, in the order they are run.
TASKS = {
    "2": ("experiment=task2_bone",),
    "1c": ("experiment=task1c_alexnet_or_vgg16",),
    "1e": ("experiment=task1e_depth",),
    "1b": ("experiment=task1b_learning_rate",),
    "1d": ("experiment=task1d_width_and_dropout",),
    "3": ("experiment=task3_skin_or_bone",),
    "5a": ("experiment=task5a_dropout",),
    "5b": ("experiment=task5b_batch_norm_speed",),
    "5c": ("experiment=task5c_batch_norm_80_epochs",),
    "5d": ("experiment=task5d_batch_norm_150_epochs",),
    "6a": ("experiment=task6a_spatial_dropout_150_epochs",),
    "8": ("experiment=task8_augmentation",),
    "6b": ("experiment=task6b_spatial_dropout_250_epochs",),
    "4": ("experiment=task4_tune_xray",),
    "9": ("experiment=task9_vgg16_augmented",),
    FOLDS: ("experiment=task3_skin_or_bone", "data.split.folds=5", "seed=0"),
}


def known_task(name: str) -> str:
    """A key of ``TASKS``. Raises ValueError for another name."""
    if name not in TASKS:
        raise ValueError(f"one of {', '.join(TASKS)}")
    return name


# Hydra reads 2 as a number.
Task = Annotated[
    str, BeforeValidator(lambda name: str(name) if type(name) is int else name), AfterValidator(known_task)
]


Classes = Annotated[dict[ClassName, ClassName], Field(min_length=2)]


class ClassesConfig(Section):
    """Token -> class by data set, where a folder has others than the study's; None: the study's."""

    skin: Classes | None
    bone: Classes | None
    xray: Classes | None


class GroupPatternsConfig(Section):
    """data.group_pattern by data set, for folders whose names tell the patients; None: unknown."""

    skin: GroupPattern | None
    bone: GroupPattern | None
    xray: GroupPattern | None


class StudyConfig(Section):
    """Where the images are and the results go; also: by task, overrides of that one alone.

    packs: a folder with the finished runs of earlier studies, each task in a file, which is rewritten.
    """

    skin: Location | None
    bone: Location | None
    xray: Location | None
    classes: ClassesConfig
    group_pattern: GroupPatternsConfig
    tasks: Annotated[list[Task], Field(min_length=1)] | None
    claimed: Flag
    folder: Location
    page: Location | None
    packs: Location | None
    also: dict[str, list[str]]

    @field_validator("also")
    @classmethod
    def of_a_task(cls, also: dict[str, list[str]]) -> dict[str, list[str]]:
        if set(also) != {f"task{name}" for name in TASKS}:
            raise ValueError(f"overrides of each task: task{', task'.join(TASKS)}")
        return also


class ConfigWithStudy(Config):
    """The configuration of a run, of which the study takes its own section alone: each sweep composes the rest."""

    study: StudyConfig
