"""What is typed into the numbers of either editor, and what it comes to."""

TYPED = {
    ("strength", "0.45"): 0.45,
    ("strength", "0,45"): 0.45,
    ("strength", ".3"): 0.3,
    ("strength", ",3"): 0.3,
    ("strength", "5"): 1,
    ("strength", "much"): 0.6,
    ("guidance_scale", "2,5"): 2.5,
    ("guidance_scale", "2.5"): 2.5,
    ("steps", "30"): 30,
    ("steps", "1.000"): 1000,
    ("seed", "4294967295"): 4294967295,
    ("seed", "1,5"): 7,
}
"""By the field and the keys; one that cannot be read leaves what was there before."""
