"""Do the report's tests keep their error rates on real nets? Pairs of identical variants, trained on simulated images.

python benchmarks/aa_nets.py [pairs]     default 200 pairs: minutes on one core, printed at the end

In aa_check.py the scores are drawn at random; here they are outputs of LeNets for 16 x 16 images after a few epochs,
with all effects of seeds and images. Each pair has its own training and validation images, which its variants share, as
in a sweep; every net has its own seed, since the same seed would give the same net. The true difference between the
variants is 0. With one seed each, the tests are only about the two nets, which do differ: that line shows how
misleading it would be to take the result for a statement about variants.
"""

import sys
import time

import numpy as np
import torch
from aa_check import show
from numpy.typing import NDArray

from medcls.config.parts import read_part
from medcls.config.stored import read_conf
from medcls.evaluation.compare import adjust, compare
from medcls.models import build_network
from medcls.runs.predictions import Predictions
from medcls.sources.simulated import simulated_images, simulated_table

SIZE, N_TRAIN, N_VAL = 16, 32, 100  # images per class
EPOCHS, BATCH, LR = 10, 16, 3e-3
SEEDS = (1, 2, 3)  # per variant


def images(pair: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Images (N, 1, SIZE, SIZE) and labels (N,) of a pair by split."""
    table = simulated_table("skin", ("melanoma", "nevus"), {"train": [N_TRAIN] * 2, "val": [N_VAL] * 2})
    pixels = simulated_images(table, kind="skin", image_size=SIZE, channels=1, seed=pair)
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    labels, splits = (np.array([getattr(sample, name) for sample in table.samples]) for name in ("label", "split"))
    return {split: (tensor[splits == split], torch.from_numpy(labels[splits == split])) for split in ("train", "val")}


def probabilities(data: dict[str, tuple[torch.Tensor, torch.Tensor]], seed: int) -> NDArray[np.float64]:
    """Probabilities (N,) of a net trained with ``seed`` for the validation images."""
    torch.manual_seed(seed)
    part = read_part("model", read_conf("model/lenet") | {"n_base": 4, "dropout": 0.2})
    net = build_network(part, n_outputs=1, in_channels=1, image_size=SIZE)
    optimizer = torch.optim.Adam(net.parameters(), lr=LR)
    inputs, labels = data["train"]
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(labels)).split(BATCH):
            optimizer.zero_grad()
            logits = net(inputs[batch])[:, 0]
            torch.nn.functional.binary_cross_entropy_with_logits(logits, labels[batch].float()).backward()
            optimizer.step()
    net.eval()
    with torch.no_grad():
        return torch.sigmoid(net(data["val"][0])[:, 0]).double().numpy()


def predictions(data: dict[str, tuple[torch.Tensor, torch.Tensor]], seed: int) -> Predictions:
    """The same in the form that the report reads."""
    p, labels = probabilities(data, seed), data["val"][1].numpy()
    return Predictions("simulated", tuple(map(str, range(len(p)))), labels, np.stack([1 - p, p], axis=1), 1)


def main() -> None:
    """Print rates per number of seeds, and the mean and spread of the nets' AUROC."""
    n_pairs, start = int(sys.argv[1]) if len(sys.argv) > 1 else 200, time.process_time()
    torch.set_num_threads(1)
    counts = {n: {"declared": 0, "auroc": 0, "accuracy": 0} for n in SEEDS}
    aurocs = []
    for pair in range(n_pairs):
        data, most = images(pair), max(SEEDS)
        nets = [predictions(data, 1000 * pair + seed) for seed in range(2 * most)]
        for n, count in counts.items():
            made = adjust(compare(dict(enumerate(nets[:n])), dict(enumerate(nets[most : most + n]))))
            count["declared"] += any(comparison.shown for comparison in made)
            for comparison in made:
                # Without variation there is no interval: the nets agree on all images and are not different.
                count[comparison.metric] += not (comparison.low > 0 or comparison.high < 0)
        aurocs.append([c.a for c in (compare({0: net}, {0: net})[0] for net in nets)])
    print(f"{n_pairs} pairs each; in brackets 95 % Clopper-Pearson intervals\n")
    print(f"{'':10}{'difference declared':26}{'AUROC covered':26}accuracy covered")
    for n, count in counts.items():
        print(f"{n} seed{'s' if n > 1 else ' ':4}" + "".join(f"{show(k, n_pairs):26}" for k in count.values()))
    spread = np.array(aurocs)
    print(
        f"\nAUROC {spread.mean():.3f}, standard deviation over seeds {spread.std(axis=1, ddof=1).mean():.3f}; ", end=""
    )
    print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
