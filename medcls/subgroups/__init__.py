"""Who a net is wrong for: its metrics in subgroups of patients, by what else a manifest says about them."""
