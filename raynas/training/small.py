"""A final training for small data sets and small machines, in numbers. The search recipe and the training
recipe that are called small_final share them.

They are raynas's own: a child's numbers (raynas.training.child), more epochs, and a network of a size that
two CPU cores train in hours.
"""

from __future__ import annotations

EPOCHS = 30
BATCH_SIZE = 64
LEARNING_RATE = 0.05
WEIGHT_DECAY = 5e-4
GRADIENT_CLIP = 5.0
NETWORK = {"cells_per_stack": 2, "filters": 16}
