"""From images to an exported network in given hours: search, promotion, final training, baselines, report."""
