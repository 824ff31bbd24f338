"""What other frameworks need so that a plan holds inside them: Trainer, Lightning, timm, torchtitan."""
