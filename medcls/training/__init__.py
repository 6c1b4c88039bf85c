"""From images and a configuration to a trained net and its checkpoints."""
