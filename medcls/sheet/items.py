"""The items of the checklists by number, in our own words, and which question to a run's files answers each.

CLAIM: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update, Radiology:
Artificial Intelligence 2024, 6(4):e240300. TRIPOD+AI: Collins et al., BMJ 2024, 385:e078378.
"""

from typing import NamedTuple

from medcls.sheet.answering import Question, objectives
from medcls.sheet.data_facts import (
    characteristics,
    class_shares,
    counts,
    disjoint,
    exclusions,
    missing,
    partition,
    preprocessing,
    quality,
    sources,
    subset,
    task,
)
from medcls.sheet.folder_facts import explained, external, robust, unlike
from medcls.sheet.result_facts import (
    diagnostic,
    errors,
    internal,
    limits,
    measures,
    output,
    performance,
    recalibration,
    subgroup_columns,
    subgroups,
    uncertainty,
)
from medcls.sheet.training_facts import (
    augmentation,
    ensembling,
    hardware,
    imbalance,
    initialisation,
    net,
    predictors,
    repetition,
    selection,
    software,
    technology,
    training,
)


class Item(NamedTuple):
    """An item of a checklist: what it is about, the questions that answer it, and what no file of a run can know."""

    number: str
    words: str
    questions: tuple[Question, ...] = ()
    yours: str = ""


class Checklist(NamedTuple):
    """A checklist with its source."""

    name: str
    source: str
    items: tuple[Item, ...]


# What makes the files say what they do not.
HOW = {
    uncertainty: "intervals as medcls computes them today, which the run's predictions then give again",
    characteristics: "a manifest with columns such as sex, age, site (data.manifest)",
    subgroup_columns: "a manifest with columns such as sex, age, site (data.manifest)",
    subgroups: "a manifest with columns such as sex, age, site (data.manifest)",
    external: "medcls predict on labelled images from elsewhere, then external=<its folder>",
    unlike: "medcls predict on labelled images from elsewhere, then external=<its folder>",
    explained: "medcls explain, then maps=<its folder>",
    robust: "medcls robustness, then robustness=<its folder>",
    **dict.fromkeys((quality, disjoint), "an audit, which every run on real images begins with unless audit=none"),
}

_HERE = (sources, partition)
_CLAIM = (
    Item("1", "Title: the kind of AI", (technology,), "The title."),
    Item("2", "Abstract: a structured summary"),
    Item("3", "Background, and the intended clinical role"),
    Item("4", "Aims and hypotheses", (objectives,), "Aims beyond the comparisons."),
    Item("5", "Prospective or retrospective"),
    Item("6", "Goal of the study"),
    Item("7", "Where the data come from", (sources,), "Institutions, dates, permissions."),
    Item("8", "What was included and excluded", (exclusions,), "Criteria for patients and examinations."),
    Item("9", "How images were prepared", (preprocessing,), "What was done before the files were made."),
    Item("10", "Parts of the data that were selected", (subset,), "Selection before the files were made."),
    Item("11", "How data were de-identified"),
    Item("12", "What was done about missing data", (missing,), "Missing clinical data."),
    Item("13", "How images were acquired"),
    Item("14", "What the reference standard is"),
    Item("15", "Why this reference standard"),
    Item("16", "Who annotated, with what qualification"),
    Item("17", "How the test images were annotated"),
    Item("18", "How far annotators agree"),
    Item("19", "How the data were partitioned", (partition,)),
    Item("20", "The level at which the parts are disjoint", (disjoint,)),
    Item("21", "Planned sample size"),
    Item("22", "The net, in enough detail to rebuild it", (net, predictors)),
    Item("23", "Software", (software, hardware)),
    Item("24", "How weights are initialized", (initialisation,)),
    Item("25", "How it was trained", (training, augmentation)),
    Item("26", "How the final net was chosen", (selection,)),
    Item("27", "Ensembling, if any", (ensembling,)),
    Item("28", "Metrics", (measures,), "Why these."),
    Item("29", "Uncertainty and significance", (uncertainty,)),
    Item("30", "Robustness to changes of images or settings", (robust,), "Changes of settings."),
    Item("31", "Explanations, and their checks", (explained,)),
    Item("32", "Evaluation on data of the same source", (internal,)),
    Item("33", "Evaluation on data from elsewhere", (external,)),
    Item("34", "Registration of the trial"),
    Item("35", "Numbers included and excluded", (counts, missing), "A diagram of the flow of patients."),
    Item("36", "Patients of each part", (characteristics,), "Clinical characteristics beyond the manifest's."),
    Item("37", "Performance with its uncertainty", (performance,)),
    Item("38", "Diagnostic performance with its precision", (diagnostic,)),
    Item("39", "Errors", (errors,), "What the errors have in common."),
    Item("40", "Limitations", (limits,), "Biases and generality."),
    Item("41", "What it means for practice"),
    Item("42", "Protocol and technical details", (repetition,), "The study's protocol."),
    Item("43", "Where software, net and data are available"),
    Item("44", "Funding, and the role of funders"),
)
_TRIPOD = (
    Item("1", "Title: a prediction model, of what, for whom"),
    Item("2", "Abstract"),
    Item("3a", "Medical context, and existing models"),
    Item("3b", "For which patients and users, where in care"),
    Item("3c", "Known health inequalities"),
    Item("4", "Objectives", (objectives,), "Objectives beyond the comparisons."),
    Item("5a", "Sources of the data", _HERE, "Why these, and whom they represent."),
    Item("5b", "Dates of the data"),
    Item("6a", "Setting and centers"),
    Item("6b", "Who was eligible", (exclusions,), "Criteria for patients."),
    Item("6c", "Treatments"),
    Item(
        "7",
        "Preparation and checks of the data",
        (preprocessing, quality),
        "Whether this was the same in all groups of patients.",
    ),
    Item("8a", "The outcome", (task,), "How and when it was determined, and why this one."),
    Item("8b", "Who determined the outcome"),
    Item("8c", "Whether they were blinded"),
    Item("9a", "Choice of predictors"),
    Item("9b", "The predictors", (predictors, preprocessing), "How and when images were taken."),
    Item("9c", "Who measured predictors"),
    Item("10", "Why this sample size"),
    Item("11", "Missing data", (missing,), "Missing clinical data."),
    Item("12a", "How the data were used", (partition, disjoint)),
    Item("12b", "How predictors were transformed", (preprocessing, augmentation)),
    Item("12c", "Kind of model, its building and internal validation", (net, training, selection), "Why this kind."),
    Item("12d", "How heterogeneity between clusters is assessed", (subgroup_columns,)),
    Item("12e", "Measures of performance", (measures, uncertainty), "Why these."),
    Item("12f", "Updating of the model", (recalibration,)),
    Item("12g", "How predictions were computed", (internal, output)),
    Item("13", "Imbalance of classes", (imbalance, class_shares)),
    Item("14", "Fairness", (subgroup_columns,), "What was done about it, and why."),
    Item("15", "What the model gives, and thresholds", (output,), "Why this rule."),
    Item("16", "Differences between data of development and evaluation", (unlike,), "Setting and eligibility."),
    Item("17", "Ethical approval and consent"),
    Item("18a", "Funding"),
    Item("18b", "Conflicts of interest"),
    Item("18c", "Protocol"),
    Item("18d", "Registration"),
    Item("18e", "Where the data are available"),
    Item("18f", "Where the code is available"),
    Item("19", "Involvement of patients and the public"),
    Item("20a", "Flow of patients", (counts, missing), "A diagram, and the time of follow-up."),
    Item("20b", "Characteristics of patients", (characteristics,), "Clinical characteristics beyond the manifest's."),
    Item("20c", "Development and evaluation compared", (class_shares,), "Distributions beyond the outcome."),
    Item("21", "Patients and outcomes in each analysis", (counts,)),
    Item("22", "The model in full", (net, repetition), "Conditions of use."),
    Item("23a", "Performance with intervals", (performance, diagnostic)),
    Item("23b", "Performance in each cluster", (subgroups,)),
    Item("24", "Results of updating", (recalibration,)),
    Item("25", "Interpretation"),
    Item("26", "Limitations", (limits,), "Biases and generality."),
    Item("27a", "Poor-quality input in use"),
    Item("27b", "What users must do and know"),
    Item("27c", "Next steps"),
)

CHECKLISTS = (
    Checklist("CLAIM", "Tejani et al., Radiology: Artificial Intelligence 2024, 6(4):e240300", _CLAIM),
    Checklist("TRIPOD+AI", "Collins et al., BMJ 2024, 385:e078378", _TRIPOD),
)
