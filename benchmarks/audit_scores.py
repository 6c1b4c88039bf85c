"""The basis for the audit's thresholds: the similarity of planted copies, and of pairs that are not copies.

    python benchmarks/audit_scores.py /path/to/Knee [--each 50] [--seed 0]

Copies are planted as in planted_leaks.py, without the cropped ones. The least similar of them are printed, each in its
best orientation; and of all other pairs in the folder the most similar, without those that the audit reports before
anything is planted, which should be inspected first.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from planted_leaks import EDITS, audit, pairs_of, plant

from medcls.audit.alignment import SIDE, aligned_similarity
from medcls.audit.copies import as_gray, in_threads
from medcls.audit.hashes import Candidates, HashSearch, perceptual_hashes
from medcls.audit.judge import MAY_BE_MOVED
from medcls.audit.orientation import ORIENTATIONS, oriented
from medcls.audit.similarity import COARSE, FINE, Grid, thumbnails
from medcls.sources.cache import load_images
from medcls.sources.image_folder import image_names

WIDE = (24, 112)  # bits in which the hashes of other pairs may differ to be compared here


def main() -> None:
    """Plant, score all pairs, print quantiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        working = Path(temporary)
        root = working / options.source.name
        shutil.copytree(options.source, root)
        already = pairs_of(audit(root, SIDE, working))
        planted = plant(root, already, options.each, np.random.default_rng(options.seed))
        names = image_names(root)
        loaded = load_images(root, names, image_size=SIDE, channels=1, cache_dir=working / "cache")
    at = {name: i for i, name in enumerate(loaded.names)}
    kinds = {tuple(sorted((at[a], at[b]))): kind for (a, b), kind in planted.items() if kind != "cropped"}
    images = Images(as_gray(loaded.images))
    print(f"{options.source.name}: {len(kinds)} planted copies; the least similar of each kind")
    for kind in EDITS:
        if pairs := [pair for pair, its in kinds.items() if its == kind]:
            print_planted(kind, images, np.array(pairs))
    copies = {tuple(sorted(at[name] for name in pair)) for pair in already}
    copies |= {tuple(sorted((at[a], at[b]))) for a, b in planted}
    edited = {at[name] for name, _ in planted}
    print_others(images, copies, edited)


class Images:
    """Gray images (N, S, S) with everything that the audit compares."""

    def __init__(self, gray: np.ndarray) -> None:
        self.gray = gray
        self.coarse, self.fine = (Grid(thumbnails(gray, side)) for side in (COARSE, FINE))
        self.search = HashSearch(np.stack([*perceptual_hashes(gray)]), *WIDE)

    def distances(self, pairs: Candidates) -> np.ndarray:
        """Number of bits (P, 2) in which the hashes differ: of the 64 coarsest, and of all."""
        oriented_hashes = self.search.oriented[pairs.orientation, pairs.second]
        bits = np.bitwise_count(self.search.words[pairs.first] ^ oriented_hashes)
        return np.stack([bits[:, 0], bits.sum(axis=1)], axis=1)

    def aligned(self, pairs: Candidates) -> np.ndarray:
        """Similarity (P,) once the second image is aligned to the first."""

        def similarity(i: int) -> float:
            second = np.ascontiguousarray(oriented(self.gray[pairs.second[i]], pairs.orientation[i]))
            return aligned_similarity(self.gray[pairs.first[i]], second)

        return np.array(in_threads(similarity, range(len(pairs.first)), "Aligning"))


def print_planted(kind: str, images: Images, pairs: np.ndarray) -> None:
    """Print the least similar of the planted copies."""
    every = [Candidates(pairs[:, 0], pairs[:, 1], np.full(len(pairs), o)) for o in ORIENTATIONS]
    similarity = np.stack([images.coarse.similarity(candidates) for candidates in every])
    best = Candidates(pairs[:, 0], pairs[:, 1], similarity.argmax(axis=0))
    low, distance = np.sort(images.distances(best), axis=0)[::-1].T
    coarse, fine = np.sort(similarity.max(axis=0)), np.sort(images.fine.similarity(best))
    print(f"  {kind:<14}hashes {low[:3]} {distance[:3]}; similarity {coarse[:3].round(3)}, fine {fine[:3].round(3)}")


def print_others(images: Images, copies: set[tuple[int, ...]], edited: set[int]) -> None:
    """Print the most similar of the pairs of original images that are not copies."""
    parts: list[Candidates] = []
    for start in images.search.blocks():
        images.search.search(start, parts.append)
    first, second, orientation = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "second", "orientation")
    )
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    others = Candidates(first, second, orientation).take(
        np.array([pair not in copies and not edited & set(pair) for pair in pairs])
    )
    coarse = images.coarse.similarity(others)
    most = np.argsort(-coarse)[:6]
    low, distance = images.distances(others.take(most)).T
    fine = images.fine.similarity(others.take(most))
    print(f"  the most similar of {len(coarse):,} others whose hashes differ in at most {WIDE} bits")
    print(f"  {'':<14}hashes {low} {distance}; similarity {coarse[most].round(3)}, fine {fine.round(3)}")
    near = others.take(coarse >= MAY_BE_MOVED)
    near = near.take((images.distances(near) <= (16, 88)).all(axis=1))
    moved = np.sort(images.aligned(near))[::-1]
    print(f"  {'':<14}once aligned, of {len(moved):,} within 16 and 88 bits: {moved[:6].round(3)}")


if __name__ == "__main__":
    main()
