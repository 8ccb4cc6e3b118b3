"""A painter of landscapes: scenes drawn at random, painted, and described in words.

Usable for teaching a text-conditional model what places, times of day, weathers, seasons and
painters' media look like.
"""

from .caption import describe
from .picture import paint
from .scene import Scene
from .scene_sampling import sample_scene

__all__ = ["Scene", "describe", "paint", "sample_scene"]
