"""Who a net is wrong for: its metrics in subgroups of patients, by what a manifest says of them besides."""
