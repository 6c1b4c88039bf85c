"""The study that medcls re-runs: its experiments one after another, each claim judged by what they found."""
