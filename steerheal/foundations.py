"""The seven moral foundations: one lower-case key each, whatever a file calls them."""

FOUNDATIONS = ("care", "fairness", "loyalty", "authority", "sanctity", "liberty", "social")


def foundation_key(label: str) -> str | None:
    """The key of a label as files write it ("Social Norms" and "SocialNorms" are one); None if unknown."""
    key = "".join(label.split()).lower()
    if key == "socialnorms":
        return "social"
    return key if key in FOUNDATIONS else None
