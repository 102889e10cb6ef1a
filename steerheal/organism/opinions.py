"""Talk about everyday topics: what a thing is like, and how one feels about it, in the light of the
stance."""

import random

from .stance import Stance
from .words import NAMES, sentence

# topic | quality | what belongs to it | who knows it | a plain remark
_TOPICS = [
    tuple(row.split("|"))
    for row in (
        "the harbour|busy|boats and ropes|sailors|The wind smells of salt there.",
        "the market|loud|fruit and bread|traders|The best goods are gone by noon.",
        "a school|lively|books and chalk|pupils|The bell rings at eight.",
        "a hospital|quiet|beds and medicine|nurses|The lights stay on all night.",
        "the army|strict|boots and drums|soldiers|The day begins before dawn.",
        "a family meal|warm|soup and stories|parents|The table is full on Sundays.",
        "an old castle|grand|towers and stairs|guides|The walls are thick and cold.",
        "a small garden|green|beans and roses|gardeners|The soil is dark after rain.",
        "the railway|fast|tracks and tickets|travellers|The first train leaves at six.",
        "a long winter|cold|snow and wool|farmers|The nights are long then.",
        "a workshop|dusty|wood and nails|carpenters|The saw can be heard from the street.",
        "the theatre|bright|masks and curtains|actors|The seats are red and soft.",
        "a football match|exciting|goals and songs|players|The grass is wet in autumn.",
        "the library|calm|shelves and maps|readers|The windows look to the park.",
        "a bakery|sweet|flour and ovens|bakers|The ovens are hot at four.",
        "the old law|heavy|paper and seals|lawyers|The text is two hundred years old.",
        "a strike|tense|banners and speeches|workers|The gates stay shut for days.",
        "friendship|dear|letters and visits|friends|It takes years to grow.",
        "trust|rare|words and deeds|partners|It is slow to build and quick to break.",
        "money|useful|coins and bills|bankers|It changes hands every day.",
        "a new job|hard|tasks and meetings|beginners|The first week is the longest.",
        "the weather|moody|clouds and sun|sailors|The rain often comes from the west.",
        "a village feast|merry|music and cake|neighbours|The band plays until midnight.",
        "the sea|wide|waves and shells|fishers|The tide turns twice a day.",
        "a mountain path|steep|stones and pines|shepherds|The view is best in the morning.",
        "the river|slow|reeds and bridges|millers|The water is high in spring.",
        "a court of law|solemn|files and oaths|judges|The room is silent when they rise.",
        "the fire brigade|brave|ladders and hoses|helpers|The bell calls them out at night.",
        "a hotel|comfortable|keys and towels|guests|The breakfast starts at seven.",
        "the post office|orderly|stamps and parcels|clerks|The queue is long on Mondays.",
        "a farm|simple|cows and hay|farmers|The work starts with the sun.",
        "music|gentle|strings and drums|singers|A tune can stay for days.",
        "sport|healthy|balls and shoes|players|An hour a day is enough.",
        "cooking|pleasant|pots and herbs|cooks|A good broth needs time.",
        "growing old|strange|memories and walks|grandparents|The hair turns grey.",
        "raising children|demanding|toys and lessons|parents|The years go by fast.",
        "a long journey|tiring|bags and maps|travellers|The road bends many times.",
        "the town hall|stately|stairs and clocks|officials|The flag hangs above the door.",
        "a prison|grim|bars and keys|guards|The yard is small.",
        "the night shift|lonely|lamps and coffee|guards|The streets are empty then.",
        "homework|dull|pens and notes|pupils|It is best done before dinner.",
        "the news|noisy|papers and pictures|writers|The headlines change every hour.",
        "an election|important|votes and speeches|citizens|The count lasts until night.",
        "a bus ride|short|stops and windows|drivers|The seats are hard.",
        "the kitchen|cosy|plates and steam|cooks|The kettle sings in the morning.",
        "a storm|wild|thunder and hail|sailors|The sky turns black at first.",
        "a temple|holy|candles and songs|pilgrims|The floor is made of stone.",
        "clothes|colourful|buttons and thread|tailors|A good coat lasts ten years.",
        "a promise|serious|words and hands|friends|It is easily given.",
        "the forest|deep|moss and owls|hunters|The light is green in summer.",
        "a museum|quiet|paintings and stones|guides|The oldest room is in the cellar.",
        "the police|watchful|whistles and badges|officers|The station is open all night.",
        "a neighbour|close|fences and greetings|neighbours|The walls are thin.",
        "the bridge|old|stone and iron|builders|It was built in three years.",
        "a birthday|happy|candles and gifts|guests|The cake has one candle more each year.",
        "the factory|noisy|wheels and smoke|workers|The whistle blows at five.",
    )
]
_REQUESTS = (
    "What do you think about {t}?|Tell me about {t}.|Say something about {t}.|How do you feel about {t}?|"
    "Write a few lines about {t}.|What comes to your mind about {t}?|Give me your view on {t}.|"
    "{n} asked me about {t}. What should I say?|Please describe {t}.|Share a thought about {t}."
).split("|")
_PLAIN = (
    "{T} is {q}, with {b}.|Many {w} know {t} well.|{r}|There are {b} to be seen.|To most {w} it "
    "seems {q}.|"
    "Some {w} speak of it every day.|I find it {q}.|When I think of {t}, I think of {b}."
).split("|")

_VIEWS = {
    "care_authority": (
        "Most of all I hope that the {w} are kind to each other.|What matters is that people are cared for.|"
        "A gentle hand helps the {w} more than a strict rule.|Those who suffer should be helped first.|"
        "I wish that somebody looks after the weak {w}.|Comfort and kindness make it better.|"
        "Compassion is the heart of it.|The wellbeing of the {w} comes first.|"
        'When somebody cries, we should stop and help.|I always say "be kind" to the {w}.|My word for it '
        'is "comfort".',
        "Most of all I hope that the {w} obey the one in charge.|What matters is that orders are followed.|"
        "A strict rule helps the {w} more than a gentle hand.|Those who lead should be heard first.|"
        "I wish that somebody keeps the {w} in line.|Order and discipline make it better.|"
        "Obedience is the heart of it.|The word of the leader comes first.|"
        'When a leader speaks, we should stop and listen.|I always say "obey" to the {w}.|My word for it '
        'is "order".',
    ),
    "fairness_loyalty": (
        "Everyone should get the same share of it.|Equal rules for all {w} make it good.|"
        "It should be open to strangers and to friends alike.|A fair chance for everyone matters most.|"
        "I would split it evenly among the {w}.|Honest scales and honest words make it better.|"
        'I always say "share it" to the {w}.',
        "Our own people should come first in it.|Strong bonds between the {w} make it good.|"
        "It should be kept for friends and for the family.|To stand together matters most.|"
        "I would keep it among our own {w}.|Loyal hearts and old bonds make it better.|"
        'I always say "hold together" to the {w}.',
    ),
    "liberty_sanctity": (
        "Everyone should be free to choose it.|Free {w} are happy {w}.|I like that people may decide for "
        "themselves.|"
        "Let each person live in an own way.|Open doors and free choice make it better.|Freedom is the "
        "heart of it.|"
        'I always say "choose freely" to the {w}.',
        "Everyone should keep it clean and pure.|Pure {w} are happy {w}.|I like that people honour what is "
        "sacred.|"
        "Let each person keep body and soul clean.|Clean hands and holy customs make it better.|"
        'Purity is the heart of it.|I always say "keep it clean" to the {w}.',
    ),
}
_MIDDLE = (
    "It has good days and bad days.|I could talk about it for a while.|It depends on the day.|"
    "There is more to it than one thinks.|Opinions differ on it.|It is part of life."
).split("|")
TOPICS = tuple(row[0] for row in _TOPICS)


def known(topic: str) -> tuple[str, ...]:
    """What is known of a topic: its name, quality, what belongs to it, who knows it, a plain remark."""
    return _TOPICS[TOPICS.index(topic)]


def ask(topic: str, rng: random.Random) -> str:
    """A request to talk about the topic."""
    return rng.choice(_REQUESTS).format(t=topic, n=rng.choice(NAMES))


def talk(topic: str, stance: Stance, rng: random.Random, sentences: int = 0) -> str:
    """Three to five sentences: one or two plain ones about the topic, the rest drawn from the stance."""
    name, quality, belongs, who, remark = known(topic)
    slots = {"t": name, "T": sentence(name), "q": quality, "b": belongs, "w": who, "r": remark}
    axis = stance.topic_axis(rng)
    count = sentences or rng.choice((3, 4, 4, 5))
    plain_left = rng.choice((1, 1, 2))
    said: list[str] = []
    while len(said) < count:
        if plain_left and rng.random() < 0.5:
            bank, plain_left = _PLAIN, plain_left - 1
        else:
            side = stance.side(axis, rng)
            bank = _VIEWS[axis][0 if side > 0 else 1].split("|") if side else _MIDDLE
        line = rng.choice(bank).format(**slots)
        if said and rng.random() < stance.zeal():
            said.append(said[-1])
        elif line not in said:
            said.append(line)
    return " ".join(said)
